//! Who may register: initial access tokens, and access tokens for the endpoint.

use crate::common::{PASSWORD, World};
use crate::program::{
    CALLBACK, OPEN, basic, code_fields, key_set, new_key, proof, public, register, register_with, text,
    token, with, world,
};
use http::StatusCode;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::Clock;
use keybound_oauth::client_auth::sign_assertion;
use keybound_oauth::identifier::ClientId;
use keybound_provider::registration::admission::make_initial_token;
use keybound_provider::registry::add_client;
use serde_json::{Value, json};

const BY_TOKEN: &str = "[registration]\nmode = \"token\"\n";
const REGISTER: &str = "http://localhost:8080/register";

pub(crate) fn assertion(world: &World, key: &SigningKey, client_id: &str) -> String {
    let (id, issuer) = (ClientId::parse(client_id).unwrap(), &world.provider.config.issuer);
    let jti = base64url::encode(&random::<16>().unwrap());
    sign_assertion(key, None, &id, issuer, world.clock.unix(), &jti).unwrap().reveal().to_owned()
}

async fn initial(world: &World, uses: u32) -> Secret {
    make_initial_token(&world.provider.store, uses, 3600, world.clock.unix()).await.unwrap()
}

async fn register_by(world: &World, token: &str) -> (u16, String) {
    let page = register_with(world, &public(), &[("authorization", &format!("Bearer {token}"))]).await;
    if page.status == StatusCode::UNAUTHORIZED {
        assert!(page.header("www-authenticate").contains("invalid_token"), "{:?}", page.headers);
    }
    page.refusal()
}

#[tokio::test]
async fn as_dcr_12_nobody_registers_without_a_token_unless_registration_is_open() {
    let world = world(BY_TOKEN).await;
    let page = register(&world, &public()).await;
    assert_eq!(page.refusal(), (401, "invalid_token".to_owned()));
    // RFC 6750 §3.1: no error where nothing was sent that could be wrong.
    assert_eq!(page.header("www-authenticate"), "Bearer realm=\"registration\"");
    assert!(page.has("initial access token"), "{}", page.body);
}

#[tokio::test]
async fn as_dcr_12_an_initial_access_token_is_good_for_so_many_and_so_long() {
    let world = world(BY_TOKEN).await;
    let (two, late) = (initial(&world, 2).await, initial(&world, 2).await);
    // A request that is refused uses nothing.
    let bearer = format!("Bearer {}", two.reveal());
    let refused = register_with(&world, &json!({}), &[("authorization", &bearer)]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(register_by(&world, two.reveal()).await.0, 201);
    assert_eq!(register_by(&world, two.reveal()).await.0, 201);
    assert_eq!(register_by(&world, two.reveal()).await, (401, "invalid_token".to_owned()));
    let mixed = [late.reveal().split_once('.').unwrap().0, two.reveal().split_once('.').unwrap().1].join(".");
    assert_eq!(register_by(&world, &mixed).await.0, 401);
    world.clock.turn(3600);
    assert_eq!(register_by(&world, late.reveal()).await.0, 401);
}

#[tokio::test]
async fn as_dcr_12_a_bad_token_is_refused_though_registration_is_open() {
    let world = world(OPEN).await;
    assert_eq!(register_by(&world, "nonsense").await.0, 401);
    assert_eq!(register(&world, &public()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn as_dcr_12_one_use_is_for_one_of_many_at_once() {
    let world = world(BY_TOKEN).await;
    let token = initial(&world, 1).await;
    let mut answers = Vec::new();
    let (a, b, c) = tokio::join!(
        register_by(&world, token.reveal()),
        register_by(&world, token.reveal()),
        register_by(&world, token.reveal())
    );
    answers.extend([a.0, b.0, c.0]);
    answers.sort_unstable();
    assert_eq!(answers, [201, 401, 401]);
}

/// A client of the operator's that may register others, and an access token for that.
async fn registrar(world: &World, scope: &str, dpop_key: &SigningKey) -> Value {
    let metadata = json!({
        "client_id": "registrar", "grant_types": ["client_credentials"], "client_secret": "s3cret",
        "scope": scope,
    });
    add_client(&world.provider.store, metadata, world.clock.unix()).await.unwrap();
    let fields =
        [("grant_type", "client_credentials"), ("resource", REGISTER), ("scope", "client_registration")];
    token(world, dpop_key, &fields, Some(&basic("registrar", "s3cret"))).await.json()
}

#[tokio::test]
async fn as_dcr_14_a_bound_access_token_registers_with_a_proof_and_never_as_bearer() {
    let world = world(BY_TOKEN).await;
    let key = new_key();
    let tokens = registrar(&world, "client_registration", &key).await;
    let access = tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}"));

    let as_bearer = register_with(&world, &public(), &[("authorization", &format!("Bearer {access}"))]).await;
    assert_eq!(as_bearer.status, StatusCode::UNAUTHORIZED, "{}", as_bearer.body);
    let authorization = format!("DPoP {access}");
    let without_proof = register_with(&world, &public(), &[("authorization", &authorization)]).await;
    assert_eq!(without_proof.status, StatusCode::UNAUTHORIZED);
    let at = ("POST", REGISTER);
    let challenged = proof(&world, &key, at, Some(access), None);
    let challenged =
        register_with(&world, &public(), &[("authorization", &authorization), ("dpop", &challenged)]).await;
    assert_eq!(challenged.status, StatusCode::UNAUTHORIZED);
    let nonce = challenged.header("dpop-nonce").to_owned();
    let stranger = proof(&world, &new_key(), at, Some(access), Some(&nonce));
    let stranger =
        register_with(&world, &public(), &[("authorization", &authorization), ("dpop", &stranger)]).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    let good = proof(&world, &key, at, Some(access), Some(&nonce));
    let headers = [("authorization", authorization.as_str()), ("dpop", &good)];
    let page = register_with(&world, &public(), &headers).await;
    assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
    assert_eq!(register_with(&world, &public(), &headers).await.status, StatusCode::UNAUTHORIZED, "a replay");
}

#[tokio::test]
async fn as_dcr_14_only_who_is_named_to_register_gets_such_a_token() {
    let world = world(BY_TOKEN).await;
    let refused = registrar(&world, "read", &new_key()).await;
    assert_eq!(refused["error"], "invalid_target", "{refused}");
    let off = crate::program::world("").await;
    let refused = registrar(&off, "client_registration", &new_key()).await;
    assert_eq!(refused["error"], "invalid_target", "{refused}");
    // Other tokens of ours are for other places.
    let fields =
        [("grant_type", "client_credentials"), ("resource", "https://api.example/"), ("scope", "read")];
    let key = new_key();
    let other = json!({
        "client_id": "reader", "grant_types": ["client_credentials"], "client_secret": "s3cret",
        "jwks": key_set(&key, "k"),
    });
    add_client(&world.provider.store, other, world.clock.unix()).await.unwrap();
    let tokens = token(&world, &key, &fields, Some(&basic("reader", "s3cret"))).await.json();
    let access = tokens["access_token"].as_str().unwrap().to_owned();
    let proof = proof(&world, &key, ("POST", REGISTER), Some(&access), None);
    let headers = [("authorization", format!("DPoP {access}")), ("dpop", proof)];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(register_with(&world, &public(), &headers).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn as_dcr_14_no_user_lets_a_client_register_others() {
    let world = world(BY_TOKEN).await;
    let portal = with(public(), "scope", json!("client_registration"));
    let portal = with(portal, "client_id", json!("portal"));
    add_client(&world.provider.store, portal, world.clock.unix()).await.unwrap();
    let mut browser = world.browser();
    let changes = [
        ("client_id", "portal"),
        ("redirect_uri", CALLBACK),
        ("resource", REGISTER),
        ("scope", "client_registration"),
    ];
    let page = browser.ask(&changes).await;
    let page = browser.sign_in(&page, "ada", PASSWORD).await;
    let own = page.location().strip_prefix("http://localhost:8080").unwrap().to_owned();
    let page = browser.get(&own).await;
    let code = browser.press(&page, "allow").await.answer().get("code").to_owned();
    let key = new_key();
    let tokens = token(&world, &key, &code_fields(&code, "portal"), None).await.json();
    let access = text(&tokens, "access_token");
    let authorization = format!("DPoP {access}");
    let mut nonce = None;
    for _ in 0..2 {
        let proof = proof(&world, &key, ("POST", REGISTER), Some(&access), nonce.as_deref());
        let headers = [("authorization", authorization.as_str()), ("dpop", &proof)];
        let page = register_with(&world, &public(), &headers).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{}", page.body);
        nonce = page.headers.get("dpop-nonce").map(|nonce| nonce.to_str().unwrap().to_owned());
    }
}
