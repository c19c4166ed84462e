//! ID tokens, from the first answer to those after a refresh.

use crate::common::World;
use crate::relying_party::{self as rp, allow, metadata, redeem, refresh, tokens, world};
use http::StatusCode;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::secret::Secret;
use keybound_oauth::form::FormWriter;
use keybound_oauth::id_token::at_hash;
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;

#[tokio::test]
async fn oidc_idt_01_oidc_idt_03_oidc_idt_10_an_id_token_says_who_for_whom_and_for_how_long() {
    let world = world(json!({}), json!({})).await;
    let claims = tokens(&world, &[("nonce", "n 1")]).await.id_token(&world);
    assert_eq!(claims["iss"], "https://id.example");
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("subject-of-ada"), &json!("rp")));
    assert_eq!((&claims["iat"], &claims["nonce"]), (&json!(NOW), &json!("n 1")));
    let life = claims["exp"].as_u64().unwrap() - NOW;
    assert!((1..=3600).contains(&life), "{life}");
    assert!(claims.get("azp").is_none(), "there is one audience");
}

#[tokio::test]
async fn oidc_idt_04_oidc_idt_05_oidc_idt_07_each_algorithm_has_a_kid_and_the_hash_of_the_access_token() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa] {
        let world = world(json!({"id_token_signed_response_alg": algorithm.name()}), json!({})).await;
        let tokens = tokens(&world, &[]).await;
        let (header, claims) = tokens.verified(&world, "id_token");
        assert_eq!(header["alg"], algorithm.name());
        assert_ne!(header["kid"], Value::Null);
        let expected = at_hash(algorithm, &Secret::new(tokens.text("access_token")));
        assert_eq!(claims["at_hash"], expected, "{algorithm:?}");
    }
}

#[tokio::test]
async fn oidc_idt_09_auth_time_is_there_whenever_it_is_asked_for() {
    for (changes, parameter) in [
        (json!({"require_auth_time": true}), ("max_age", "")),
        (json!({"default_max_age": 600}), ("max_age", "")),
        (json!({}), ("max_age", "600")),
        (json!({}), ("claims", r#"{"id_token":{"auth_time":{"essential":true}}}"#)),
    ] {
        let world = world(changes, json!({})).await;
        let mut browser = world.browser();
        let asked = [("client_id", "rp"), ("scope", "openid"), parameter];
        browser.reach_consent(&asked).await;
        world.clock.turn(5);
        let page = browser.ask(&asked).await;
        let answer = browser.press(&page, "allow").await.answer();
        let claims = redeem(&world, answer.get("code")).await.id_token(&world);
        assert_eq!((&claims["auth_time"], &claims["iat"]), (&json!(NOW), &json!(NOW + 5)), "{parameter:?}");
    }
}

#[tokio::test]
async fn oidc_aut_14_acr_says_how_the_user_signed_in() {
    let acr = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";
    let by_default = json!({"default_acr_values": ["urn:other", acr]});
    for (changes, acr_values) in [(json!({}), acr), (json!({}), "urn:other"), (by_default, "")] {
        let world = world(changes, json!({})).await;
        let first = tokens(&world, &[("acr_values", acr_values)]).await;
        let again = refresh(&world, first.text("refresh_token")).await;
        for tokens in [&first, &again] {
            let claims = tokens.id_token(&world);
            assert_eq!((&claims["acr"], &claims["amr"]), (&json!(acr), &json!(["pwd"])));
            let (_, access) = tokens.verified(&world, "access_token");
            assert_eq!(
                (&access["acr"], &access["auth_time"]),
                (&json!(acr), &json!(NOW)),
                "step-up needs both"
            );
        }
    }
}

#[tokio::test]
async fn oidc_rt_02_an_id_token_after_a_refresh_is_of_the_same_sign_in() {
    for changes in [json!({}), json!({"subject_type": "pairwise"})] {
        let world = world(changes, json!({})).await;
        let first = tokens(&world, &[("nonce", "n-1")]).await;
        world.clock.turn(100);
        let again = refresh(&world, first.text("refresh_token")).await;
        let (before, after) = (first.id_token(&world), again.id_token(&world));
        for same in ["iss", "sub", "aud", "auth_time", "acr"] {
            assert_eq!(before[same], after[same], "{same}");
        }
        assert_eq!(after["iat"], NOW + 100);
        assert!(after.get("nonce").is_none() && after.get("azp").is_none());
        let expected = at_hash(Algorithm::Es256, &Secret::new(again.text("access_token")));
        assert_eq!(after["at_hash"], expected);
    }
}

#[tokio::test]
async fn oidc_rt_03_the_answer_has_its_members_and_is_nobodys_to_keep() {
    let world = world(json!({}), json!({})).await;
    let tokens = tokens(&world, &[]).await;
    assert_eq!(tokens.text("token_type"), "Bearer");
    assert!(tokens.json["expires_in"].is_u64() && !tokens.text("id_token").is_empty());
    let header = |name| tokens.page.header(name);
    assert_eq!((header("cache-control"), header("pragma")), ("no-store", "no-cache"));
    assert_eq!(header("content-type"), "application/json");
}

#[tokio::test]
async fn oidc_rt_05_a_secret_goes_into_the_header_or_into_the_body_as_registered() {
    for (method, other) in
        [("client_secret_basic", "client_secret_post"), ("client_secret_post", "client_secret_basic")]
    {
        let world = world(json!({"token_endpoint_auth_method": method}), json!({})).await;
        for (sent, status) in [(other, StatusCode::UNAUTHORIZED), (method, StatusCode::OK)] {
            let answer = allow(&world, &[("code_challenge", ""), ("code_challenge_method", "")]).await;
            let form = FormWriter::new().pair("grant_type", "authorization_code");
            let form = form.pair("code", answer.get("code")).pair("redirect_uri", crate::common::CALLBACK);
            let (form, header) = match sent {
                "client_secret_basic" => (form, Some(rp::basic("rp"))),
                _ => (form.pair("client_id", "rp").pair("client_secret", rp::SECRET), None),
            };
            let headers: Vec<(&str, &str)> =
                header.iter().map(|value| ("authorization", value.as_str())).collect();
            let page = rp::post(&world, "/token", form, &headers).await;
            assert_eq!(page.status, status, "{method}, sent as {sent}: {}", page.body);
        }
    }
}

#[tokio::test]
async fn oidc_aut_05_oidc_idt_08_no_token_comes_from_the_authorization_endpoint() {
    let world = World::with_clients(&[metadata(json!({"errors": "redirect"}))]).await;
    for response_type in
        ["code id_token", "code id_token token", "code token", "id_token", "id_token token", "token"]
    {
        let asked =
            [("client_id", "rp"), ("scope", "openid"), ("response_type", response_type), ("nonce", "n")];
        let answer = world.browser().ask(&asked).await.answer();
        assert_eq!(answer.get("error"), "unsupported_response_type", "{response_type}");
        assert!(!answer.form.has("id_token") && !answer.form.has("access_token"));
    }
}
