//! Software statements (RFC 7591 §2.3).

use crate::common::World;
use crate::program::{CALLBACK, call, key_set, new_key, public, register, registered, text, with, world};
use crate::site::Site;
use http::Method;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::signer::SigningKey;
use serde_json::{Value, json};

/// A provider that trusts `trust`, whose keys are at a site.
async fn trusting(site: &Site, key: &SigningKey, more: &str) -> World {
    let keys = site.put("/jwks", key_set(key, "v").to_string());
    let registration = format!("[registration]\nmode = \"open\"\n{more}");
    let issuer =
        format!("[[registration.software_statement_issuers]]\nissuer = \"trust\"\njwks_uri = \"{keys}\"");
    world(&format!("{registration}{issuer}")).await
}

fn statement(key: &SigningKey, claims: &Value) -> Value {
    let jwt = jws::sign(key, "JWT", Some("v"), claims.to_string().as_bytes()).unwrap();
    with(public(), "software_statement", jwt.into())
}

#[tokio::test]
async fn as_dcr_08_what_somebody_vouches_for_wins() {
    let (site, key) = (Site::open().await, new_key());
    let world = trusting(&site, &key, "").await;
    let claims = json!({
        "iss": "trust", "iat": 1_800_000_000, "client_name": "Vouched", "software_id": "shop",
        "redirect_uris": [CALLBACK],
    });
    let request = with(statement(&key, &claims), "redirect_uris", json!(["https://evil.example/cb"]));
    let client = registered(&world, &request).await;
    assert_eq!((&client["client_name"], &client["software_id"]), (&json!("Vouched"), &json!("shop")));
    assert_eq!(client["redirect_uris"], json!([CALLBACK]));
    assert_eq!(client["software_statement"], request["software_statement"]);
    assert!(client.get("iss").is_none() && client.get("iat").is_none(), "{client}");
    registered(&world, &public()).await;

    let path = format!("/register/{}", text(&client, "client_id"));
    let bearer = format!("Bearer {}", text(&client, "registration_access_token"));
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let again = with(request.clone(), "client_id", client["client_id"].clone());
    let changed = call(&world, Method::PUT, &path, &headers, again.to_string()).await.json();
    assert_eq!(changed["software_statement"], request["software_statement"]);
}

#[tokio::test]
async fn as_dcr_08_a_statement_that_does_not_hold() {
    let (site, key) = (Site::open().await, new_key());
    let world = trusting(&site, &key, "").await;
    let good = json!({"iss": "trust", "client_name": "Vouched"});
    let mut unsigned = statement(&key, &good);
    let text = unsigned["software_statement"].as_str().unwrap().to_owned();
    unsigned["software_statement"] = format!("{}.", text.rsplit_once('.').unwrap().0).into();
    for (bad, code) in [
        (statement(&new_key(), &good), "invalid_software_statement"),
        (unsigned, "invalid_software_statement"),
        (with(public(), "software_statement", json!("nonsense")), "invalid_software_statement"),
        (statement(&key, &with(good.clone(), "exp", json!(1_800_000_000))), "invalid_software_statement"),
        (statement(&key, &with(good.clone(), "nbf", json!(1_800_000_100))), "invalid_software_statement"),
        (statement(&key, &with(good.clone(), "iat", json!(1_800_000_100))), "invalid_software_statement"),
        (statement(&key, &with(good.clone(), "exp", json!("soon"))), "invalid_software_statement"),
        (statement(&key, &json!({"client_name": "x"})), "invalid_software_statement"),
        (statement(&key, &json!({"iss": "somebody"})), "unapproved_software_statement"),
        (with(public(), "software_statement", json!(7)), "invalid_client_metadata"),
        // What is vouched for must hold like anything else.
        (statement(&key, &with(good.clone(), "redirect_uris", json!(["/cb"]))), "invalid_redirect_uri"),
    ] {
        let page = register(&world, &bad).await;
        assert_eq!(page.refusal(), (400, code.to_owned()), "{bad}");
    }
}

#[tokio::test]
async fn as_dcr_08_a_statement_for_somebody_else_is_not_taken() {
    let (site, key) = (Site::open().await, new_key());
    let world = trusting(&site, &key, "").await;
    let issuer = world.provider.config.issuer.as_str();
    for (aud, status) in [
        (json!(issuer), 201),
        (json!(["https://other.example", issuer]), 201),
        (json!(format!("{issuer}/register")), 201),
        (json!("https://other.example"), 400),
        (json!([]), 400),
        (json!(7), 400),
    ] {
        let page = register(&world, &statement(&key, &json!({"iss": "trust", "aud": aud}))).await;
        let code = if status == 400 { "invalid_software_statement" } else { "" };
        assert_eq!(page.refusal(), (status, code.to_owned()), "{aud}");
    }
}

#[tokio::test]
async fn as_dcr_08_a_statement_can_be_required() {
    let (site, key) = (Site::open().await, new_key());
    let world = trusting(&site, &key, "require_software_statement = true\n").await;
    assert_eq!(
        register(&world, &public()).await.refusal(),
        (400, "unapproved_software_statement".to_owned())
    );
    registered(&world, &statement(&key, &json!({"iss": "trust"}))).await;
}
