//! Who the user is to whom: `sub` as public and pairwise clients see it.

use crate::common::{CALLBACK, World};
use crate::relying_party::{self as rp, SECRET, call_userinfo, metadata, refresh, tokens};
use keybound_dpop::secret::Secret;
use keybound_oauth::form::FormWriter;
use keybound_provider::registry::{self, NewUser};
use keybound_provider::subject;
use serde_json::{Value, json};

const PAIRWISE: (&str, &str) = ("subject_type", "pairwise");

fn client(client_id: &str, changes: Value) -> Value {
    let mut client = metadata(changes);
    client["client_id"] = client_id.into();
    client[PAIRWISE.0] = PAIRWISE.1.into();
    client
}

/// `sub` at UserInfo and in both tokens, which agree.
async fn seen(world: &World, client_id: &str, redirect_uri: &str) -> String {
    let asked = [("client_id", client_id), ("scope", "openid"), ("redirect_uri", redirect_uri)];
    let answer = world.browser().allow(&asked).await;
    let form = FormWriter::new().pair("grant_type", "authorization_code").pair("code", answer.get("code"));
    let form = form
        .pair("redirect_uri", redirect_uri)
        .pair("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    let tokens = rp::request(world, client_id, form).await;
    let page = call_userinfo(world, tokens.text("access_token")).await;
    let told: Value = serde_json::from_str(&page.body).unwrap();
    let (_, access) = tokens.verified(world, "access_token");
    let sub = tokens.id_token(world)["sub"].clone();
    assert_eq!((&told["sub"], &access["sub"]), (&sub, &sub), "{client_id}");
    let refreshed = FormWriter::new().pair("grant_type", "refresh_token");
    let refreshed = refreshed.pair("refresh_token", tokens.text("refresh_token"));
    let refreshed = rp::request(world, client_id, refreshed).await;
    assert_eq!(refreshed.id_token(world)["sub"], sub);
    for token in ["access_token", "refresh_token"] {
        let form = FormWriter::new().pair("token", tokens.text(token));
        let page = rp::post(world, "/introspect", form, &[("authorization", &rp::basic(client_id))]).await;
        let told: Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!((&told["active"], &told["sub"]), (&json!(true), &sub), "{token}");
    }
    sub.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn oidc_idt_02_oidc_ui_02_each_sector_knows_a_user_by_its_own_sub_everywhere() {
    let other_host = "https://other.example/cb";
    let sector = json!({"redirect_uris": [other_host, "https://third.example/cb"],
                        "sector_identifier_uri": "https://app.example/sector.json"});
    let world = World::with_clients(&[
        metadata(json!({})),
        client("one", json!({})),
        client("two", json!({})),
        client("other", json!({"redirect_uris": [other_host]})),
        client("sector", sector),
    ])
    .await;
    assert_eq!(seen(&world, "rp", CALLBACK).await, "subject-of-ada");
    let one = seen(&world, "one", CALLBACK).await;
    assert!(one.len() <= 255 && one.is_ascii() && !one.contains("ada"));
    assert_eq!(seen(&world, "one", CALLBACK).await, one, "stable");
    assert_eq!(seen(&world, "two", CALLBACK).await, one, "the same sector");
    assert_eq!(seen(&world, "sector", other_host).await, one, "as its sector_identifier_uri says");
    assert_ne!(seen(&world, "other", other_host).await, one, "another sector");
}

#[tokio::test]
async fn oidc_idt_02_a_pairwise_sub_comes_back_as_the_same_user() {
    let world = World::with_clients(&[metadata(json!({"subject_type": "pairwise"}))]).await;
    let sub = tokens(&world, &[]).await.id_token(&world)["sub"].as_str().unwrap().to_owned();
    let now = world.provider.now();
    let client = world.provider.clients.find(&world.provider.store, "rp", now).await.unwrap().unwrap();
    assert_eq!(subject::seen_by(&world.provider, &client, "subject-of-ada"), sub);
    for (user_sub, came, is_same) in [
        ("subject-of-ada", sub.as_str(), true),
        ("subject-of-bob", sub.as_str(), false),
        ("subject-of-ada", "subject-of-ada", false),
    ] {
        assert_eq!(
            subject::is_seen_as(&world.provider, &client, user_sub, came),
            is_same,
            "{user_sub} {came}"
        );
    }
    for (came, goes_on) in [(sub.as_str(), true), ("subject-of-ada", false)] {
        let claims = json!({"id_token": {"sub": {"value": came}}}).to_string();
        let asked = [("client_id", "rp"), ("scope", "openid"), ("claims", claims.as_str())];
        let mut browser = world.browser();
        let page = browser.ask(&asked).await;
        let page = browser.sign_in(&page, "ada", crate::common::PASSWORD).await;
        let page = browser.follow(&page).await;
        assert_eq!(page.asks_for_consent(), goes_on, "{came}");
    }
}

#[tokio::test]
async fn oidc_idt_02_the_sub_outlives_a_restart() {
    let world = World::with_clients(&[metadata(json!({"subject_type": "pairwise"}))]).await;
    let sub = tokens(&world, &[]).await.id_token(&world)["sub"].clone();
    let again = world.opened_again().await;
    let client = again.clients.find(&again.store, "rp", again.now()).await.unwrap().unwrap();
    assert_eq!(subject::seen_by(&again, &client, "subject-of-ada"), sub.as_str().unwrap());
}

#[tokio::test]
async fn as_at_07_atk_141_no_client_and_no_user_is_called_like_another() {
    let world = World::with_clients(&[metadata(json!({"subject_type": "pairwise"}))]).await;
    let store = &world.provider.store;
    let now = world.provider.unix();
    let pairwise = tokens(&world, &[]).await.id_token(&world)["sub"].as_str().unwrap().to_owned();
    for taken in ["subject-of-ada", pairwise.as_str()] {
        let client = json!({"client_id": taken, "redirect_uris": [CALLBACK]});
        let error = registry::add_client(store, client, now).await.expect_err(taken);
        assert!(error.to_string().contains("`client_id`"), "{error}");
    }
    for taken in ["rp", "subject-of-ada", pairwise.as_str()] {
        let user = NewUser {
            username: "carol".to_owned(),
            password: Secret::new(SECRET),
            subject: Some(taken.to_owned()),
            claims: serde_json::Map::new(),
        };
        let error = registry::add_user(store, user, now).await.expect_err(taken);
        assert!(error.to_string().contains("`sub`"), "{error}");
    }
    let refreshed = refresh(&world, tokens(&world, &[]).await.text("refresh_token")).await;
    assert_eq!(refreshed.id_token(&world)["sub"], pairwise.as_str());
}

#[tokio::test]
async fn oidc_clm_02_claims_are_checked_when_a_user_is_added_or_comes_from_a_file() {
    let world = World::open().await;
    let (store, now) = (&world.provider.store, world.provider.unix());
    let claims = |json: Value| json.as_object().unwrap().clone();
    for (json, told) in [
        (
            json!({"email_verified": "true"}),
            "the claim `email_verified` must be true or false, without quotes",
        ),
        (json!({"address": "Main St"}), "the claim `address` must be an object"),
        (json!({"updated_at": "today"}), "the claim `updated_at` must be a number"),
        (json!({"groups": ["a"]}), "the claim `groups` is none of the standard claims"),
    ] {
        let user = NewUser {
            username: "carol".to_owned(),
            password: Secret::new(SECRET),
            subject: None,
            claims: claims(json.clone()),
        };
        let error = registry::add_user(store, user, now).await.expect_err(told).to_string();
        assert!(error.contains("user carol") && error.contains(told), "{error}");
        for username in ["ada", "carol"] {
            let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";
            let entry = json!([{"username": username, "password_hash": hash, "claims": json}]);
            let path = world.folder.path().join("users.json");
            std::fs::write(&path, entry.to_string()).unwrap();
            let error = registry::sync_users(store, &path, now).await.expect_err(told).to_string();
            assert!(error.contains(told), "{error}");
        }
    }
    assert!(store.find_user_by_username("ada").await.unwrap().unwrap().claims.is_empty());
}

/// An API that has bearer tokens, and goes on to the next one with them.
const APIS: &str = r#"
issuer = "https://id.example"

[[resource]]
identifier = "https://api.example/"
scopes = ["read"]
dpop = "allowed"
client = "api"

[[resource]]
identifier = "https://next.example/"
scopes = ["read"]
dpop = "allowed"
"#;

#[tokio::test]
async fn oidc_idt_02_an_exchanged_token_tells_the_next_api_no_other_sub() {
    const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
    let api = json!({
        "client_id": "api", "client_secret": SECRET, "grant_types": [EXCHANGE], "dpop_bound_access_tokens": false,
    });
    let world = World::with(APIS, &[metadata(json!({"subject_type": "pairwise"})), api]).await;
    let asked = [("scope", "openid read"), ("resource", "https://api.example/")];
    let tokens = tokens(&world, &asked).await;
    let (_, came) = tokens.verified(&world, "access_token");
    let form = FormWriter::new().pair("grant_type", EXCHANGE).pair("resource", "https://next.example/");
    let form = form.pair("subject_token", tokens.text("access_token"));
    let form = form.pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token");
    let exchanged = rp::request(&world, "api", form).await;
    let (_, claims) = exchanged.verified(&world, "access_token");
    assert_eq!((&claims["sub"], &claims["client_id"]), (&came["sub"], &json!("api")));
    assert!(subject::looks_pairwise(claims["sub"].as_str().unwrap()));
}

#[tokio::test]
async fn oidc_idt_02_a_device_sees_the_pairwise_sub_too() {
    const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
    let changes = json!({"client_name": "The TV", "subject_type": "pairwise",
                         "grant_types": ["authorization_code", DEVICE]});
    let world = World::with_clients(&[metadata(changes)]).await;
    let sub = tokens(&world, &[]).await.id_token(&world)["sub"].clone();
    let form = FormWriter::new().pair("scope", "openid");
    let page = rp::post(&world, "/device_authorization", form, &[("authorization", &rp::basic("rp"))]).await;
    let device: Value = serde_json::from_str(&page.body).unwrap();
    let mut browser = world.browser();
    let page = crate::device::reach_consent(&mut browser, device["user_code"].as_str().unwrap()).await;
    assert_eq!(crate::device::press(&mut browser, &page, "allow").await.status, 200);
    let form = FormWriter::new().pair("grant_type", DEVICE);
    let form = form.pair("device_code", device["device_code"].as_str().unwrap());
    let taken = rp::request(&world, "rp", form).await;
    assert_eq!(taken.id_token(&world)["sub"], sub);
}
