//! AS-CA: client authentication.

use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::jose::{base64url, jws};
use keybound_e2e::forge::new_key;
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Settings, World};
use keybound_oauth::form::FormWriter;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;

#[track_caller]
fn assert_invalid_client(answer: &Answer) {
    assert_eq!(answer.error(), (401, "invalid_client".to_owned()), "{answer:?}");
}

/// The claims of a good assertion.
fn claims(world: &World) -> Value {
    let now = world.now().as_secs();
    json!({ "iss": "signed", "sub": "signed", "aud": ISSUER, "exp": now + 60, "iat": now, "jti": random_jti() })
}

fn random_jti() -> String {
    base64url::encode(&random::<16>().expect("entropy"))
}

fn sign(key: &SigningKey, claims: &Value) -> String {
    jws::sign(key, "JWT", None, claims.to_string().as_bytes()).expect("signed")
}

async fn show(world: &World, claims: &Value) -> Answer {
    let proof = world.proof().sign(&world.key);
    world.with_assertion(&sign(&world.client_key, claims), Some(&proof)).await
}

async fn with(world: &World, name: &str, value: Value) -> Answer {
    let mut claims = claims(world);
    claims[name] = value;
    show(world, &claims).await
}

#[tokio::test]
async fn as_ca_01_atk_084_an_assertion_must_be_whole_and_right() {
    let world = World::new().await;
    assert_eq!(show(&world, &claims(&world)).await.status, 200);
    for name in ["iss", "aud", "exp", "jti"] {
        let mut claims = claims(&world);
        claims.as_object_mut().expect("an object").remove(name);
        assert_invalid_client(&show(&world, &claims).await);
    }
    let now = world.now().as_secs();
    assert_invalid_client(&with(&world, "iss", json!("app")).await);
    assert_invalid_client(&with(&world, "aud", json!("https://elsewhere.example")).await);
    assert_invalid_client(&with(&world, "exp", json!(now + 3601)).await);
    assert_invalid_client(&with(&world, "exp", json!("soon")).await);
    assert_invalid_client(&with(&world, "jti", json!("")).await);
    assert_eq!(with(&world, "exp", json!(now + 3600)).await.status, 200);
    let foreign = sign(&new_key(), &claims(&world));
    let proof = world.proof().sign(&world.key);
    assert_invalid_client(&world.with_assertion(&foreign, Some(&proof)).await);
}

#[tokio::test]
async fn as_ca_02_atk_084_sub_must_be_the_client() {
    let world = World::new().await;
    let mut without = claims(&world);
    without.as_object_mut().expect("an object").remove("sub");
    assert_invalid_client(&show(&world, &without).await);
    assert_invalid_client(&with(&world, "sub", json!("app")).await);
}

#[tokio::test]
async fn as_ca_03_atk_082_an_assertion_is_used_once() {
    let world = World::new().await;
    let claims = claims(&world);
    assert_eq!(show(&world, &claims).await.status, 200);
    assert_invalid_client(&show(&world, &claims).await);
}

#[tokio::test]
async fn as_ca_04_atk_084_times_may_be_a_little_ahead_and_never_past() {
    let world = World::new().await;
    let now = world.now().as_secs();
    for name in ["iat", "nbf"] {
        assert_eq!(with(&world, name, json!(now + 8)).await.status, 200, "{name}");
        assert_invalid_client(&with(&world, name, json!(now + 61)).await);
    }
    assert_invalid_client(&with(&world, "exp", json!(now - 1)).await);
}

#[tokio::test]
async fn as_ca_06_the_issuer_is_the_audience_and_the_endpoint_is_tolerated() {
    let world = World::new().await;
    assert_eq!(with(&world, "aud", json!(ISSUER)).await.status, 200);
    assert_eq!(with(&world, "aud", json!([ISSUER])).await.status, 200);
    assert_eq!(with(&world, "aud", json!(TOKEN)).await.status, 200);
    assert_invalid_client(&with(&world, "aud", json!(USERINFO)).await);
}

#[tokio::test]
async fn as_ca_06_a_setting_makes_the_audience_strict() {
    let strict = "[nonce]\nmode = \"off\"\n[assertion]\naudience = \"issuer\"\n";
    let world = World::with(Settings { config: strict.to_owned() }).await;
    assert_eq!(with(&world, "aud", json!(ISSUER)).await.status, 200);
    for lax in [json!([ISSUER]), json!(TOKEN), json!([ISSUER, TOKEN])] {
        assert_invalid_client(&with(&world, "aud", lax).await);
    }
}

#[tokio::test]
async fn as_ca_07_one_method_and_the_registered_one() {
    let world = World::new().await;
    let basic = basic("service", SECRET);
    let proof = world.proof().sign(&world.key);
    let headers = [("authorization", basic.as_str()), ("dpop", proof.as_str())];
    let twice = client_credentials_form().pair("client_secret", SECRET);
    assert_eq!(world.post(twice, &headers).await.error(), (400, "invalid_request".to_owned()));
    let other_method = client_credentials_form().pair("client_id", "service").pair("client_secret", SECRET);
    assert_invalid_client(&world.post(other_method, &[("dpop", &proof)]).await);
    let unknown = client_credentials_form().pair("client_id", "nobody").pair("client_secret", SECRET);
    assert_invalid_client(&world.post(unknown, &[("dpop", &proof)]).await);
}

#[tokio::test]
async fn as_ca_08_as_ca_09_basic_credentials_are_form_decoded_and_kept_as_a_digest() {
    let world = World::new().await;
    let answer = world.client_credentials(Some(&world.proof().sign(&world.key))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let raw = format!("Basic {}", data_encoding::BASE64.encode(format!("service:{SECRET}").as_bytes()));
    assert_invalid_client(&world.post(client_credentials_form(), &[("authorization", &raw)]).await);
    let stored = world.store.find_client("service").await.expect("the store").expect("a client");
    assert!(!stored.metadata.to_string().contains(SECRET));
    assert!(stored.metadata["client_secret_sha256"].is_string());
}

#[tokio::test]
async fn as_ca_10_client_id_in_the_body_must_be_the_client() {
    let world = World::new().await;
    let basic = basic("service", SECRET);
    let form = client_credentials_form().pair("client_id", "app");
    assert_invalid_client(&world.post(form, &[("authorization", &basic)]).await);
    let form = client_credentials_form()
        .pair("client_id", "app")
        .pair("client_assertion_type", keybound_oauth::client_auth::ASSERTION_TYPE)
        .pair("client_assertion", world.assertion().reveal());
    assert_invalid_client(&world.post(form, &[]).await);
}

#[tokio::test]
async fn as_ca_11_bcp_prx_03_certificates_in_headers_are_nothing_to_us() {
    let world = World::new().await;
    let headers = [("client-cert", ":MIIB:"), ("x-ssl-client-cert", "x")];
    let form = client_credentials_form().pair("client_id", "service");
    assert_invalid_client(&world.post(form, &headers).await);
    let metadata = world.send(get(&format!("{ISSUER}/.well-known/openid-configuration"), &[])).await.json();
    assert!(!metadata["token_endpoint_auth_methods_supported"].to_string().contains("tls_client_auth"));
}

#[tokio::test]
async fn as_ca_12_public_clients_cannot_act_for_themselves() {
    let world = World::new().await;
    let form = client_credentials_form().pair("client_id", "app");
    let answer = world.post(form, &[("dpop", &world.proof().sign(&world.key))]).await;
    assert_eq!(answer.error(), (400, "unauthorized_client".to_owned()));
}

#[tokio::test]
async fn as_ca_13_a_key_is_what_a_client_without_a_method_is_asked_for() {
    let metadata = json!({ "client_id": "new", "grant_types": ["client_credentials"] });
    let error = keybound_oauth::client_metadata::ClientMetadata::parse(&metadata).expect_err("refused");
    assert!(error.to_string().contains("private_key_jwt"), "{error}");
}

#[tokio::test]
async fn dpop_typ_04_a_proof_is_no_assertion_and_an_assertion_no_proof() {
    let world = World::new().await;
    let now = world.now();
    let as_assertion = keybound_e2e::Forge::new(&world.client_key, "POST", TOKEN, now)
        .claim("iss", "signed")
        .claim("sub", "signed")
        .claim("aud", ISSUER)
        .claim("exp", now.as_secs() + 60)
        .sign(&world.client_key);
    assert_invalid_client(&world.with_assertion(&as_assertion, None).await);
    let form: FormWriter = client_credentials_form();
    let headers =
        [("authorization", basic("service", SECRET)), ("dpop", world.assertion().reveal().to_owned())];
    keybound_e2e::answer::assert_e_as(&world.post(form, &borrow(&headers)).await);
}

#[tokio::test]
async fn as_ca_14_an_unknown_kid_is_looked_for_once_at_the_clients_jwks_uri() {
    let world = World::new().await;
    let published = Arc::new(Mutex::new((String::new(), 0_usize)));
    let served = Arc::clone(&published);
    let answer = move || {
        let mut served = served.lock();
        served.1 += 1;
        std::future::ready(served.0.clone())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let uri = format!("http://{}/jwks", listener.local_addr().expect("an address"));
    let router = axum::Router::new().route("/jwks", axum::routing::get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let (first, second) = (new_key(), new_key());
    published.lock().0 = key_set(&[("one", &first)]);
    let metadata = json!({ "client_id": "remote", "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri });
    keybound_provider::registry::add_client(&world.store, metadata, world.now()).await.expect("a client");
    let show = |key: &SigningKey, kid: &'static str| {
        let mut claims = claims(&world);
        claims["iss"] = json!("remote");
        claims["sub"] = json!("remote");
        let assertion = jws::sign(key, "JWT", Some(kid), claims.to_string().as_bytes()).expect("signed");
        let proof = world.proof().sign(&world.key);
        let world = &world;
        async move { world.with_assertion(&assertion, Some(&proof)).await }
    };
    assert_eq!(show(&first, "one").await.status, 200);
    published.lock().0 = key_set(&[("one", &first), ("two", &second)]);
    world.clock.pass(11);
    assert_eq!(show(&second, "two").await.status, 200, "rotated keys are taken up");
    assert_eq!(show(&second, "two").await.status, 200);
    assert_eq!(published.lock().1, 2, "one fetch for each set");
    assert_invalid_client(&show(&new_key(), "three").await);
    assert_invalid_client(&show(&new_key(), "three").await);
    assert!(published.lock().1 <= 3, "an unknown kid does not make us fetch at will");
}

fn key_set(keys: &[(&str, &SigningKey)]) -> String {
    let named = keys.iter().map(|(kid, key)| NamedKey {
        kid: Some((*kid).to_owned()),
        algorithm: Some(key.algorithm()),
        key: key.public_jwk().clone(),
    });
    KeySet::of(named.collect()).to_json()
}
