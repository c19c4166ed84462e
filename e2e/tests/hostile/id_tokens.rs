//! Forged ID tokens (OpenID Connect Core §3.1.3.7): none is believed, and nothing is called with what came beside it.

use crate::forgery::{Forgery, Make, by_its_own_key, hmac, key_set, make, new_key, unlisted};
use crate::server::{Hostile, says};
use crate::victim::{CLIENT_SECRET, CODE, begin, client_of, metadata};
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::tokens::Tokens;
use keybound_dpop::jose::base64url;
use keybound_dpop::secret::Secret;
use keybound_e2e::clock::BEGIN;
use parking_lot::Mutex;
use serde_json::json;
use std::sync::Arc;

/// A login at a server whose ID token that is; how it ended, and the server.
async fn login(
    make: &dyn Fn(Forgery) -> String,
    max_age_secs: Option<u64>,
) -> (Result<Tokens, ClientError>, Hostile) {
    let key = new_key();
    let (keys, answered) = (key_set(&key), Arc::new(Mutex::new(String::new())));
    let id_token = Arc::clone(&answered);
    let hostile = Hostile::start(move |asked, _| match asked.target() {
        "/jwks" => says(200, &[], &keys),
        "/token" => {
            let mut body = json!({ "access_token": "a", "token_type": "DPoP" });
            let id_token = id_token.lock();
            if !id_token.is_empty() {
                body["id_token"] = id_token.as_str().into();
            }
            says(200, &[], &body.to_string())
        }
        _ => says(404, &[], ""),
    })
    .await;
    let client = client_of(&metadata(&hostile.origin), ClientAuth::SecretBasic(Secret::new(CLIENT_SECRET)));
    let (login, sent) = match max_age_secs {
        None => begin(&client).await,
        Some(secs) => crate::victim::begin_recently(&client, secs).await,
    };
    let now = BEGIN.as_secs();
    let claims = json!({
        "iss": hostile.origin, "sub": "ada", "aud": "app", "exp": now + 300, "iat": now,
        "auth_time": now, "nonce": sent.nonce,
    });
    *answered.lock() = make(Forgery { header: json!({ "alg": "ES256", "kid": "k" }), claims, key });
    let query = format!("code={CODE}&state={}&iss={}", sent.state.expect("a state"), hostile.origin);
    (client.finish_login(login, &Secret::new(query)).await, hostile)
}

/// The kinds, by what is wrong.
fn kinds() -> Vec<(&'static str, Make)> {
    let now = BEGIN.as_secs();
    vec![
        ("iss", make(|good| good.claim("iss", "https://id.example").sign())),
        ("iss", make(|good| good.without("iss").sign())),
        ("aud", make(|good| good.claim("aud", "other").sign())),
        ("aud", make(|good| good.without("aud").sign())),
        ("extra aud", make(|good| good.claim("aud", json!(["app", "other"])).sign())),
        ("azp", make(|good| good.claim("aud", json!(["app"])).claim("azp", "other").sign())),
        ("exp", make(move |good| good.claim("exp", now - 120).sign())),
        ("exp", make(|good| good.without("exp").sign())),
        ("iat", make(move |good| good.claim("iat", now + 86_400).claim("exp", now + 90_000).sign())),
        ("iat", make(|good| good.without("iat").sign())),
        ("nonce", make(|good| good.claim("nonce", "other").sign())),
        ("nonce", make(|good| good.without("nonce").sign())),
        ("sub", make(|good| good.without("sub").sign())),
        ("none at all", make(|_| String::new())),
        ("at_hash", make(|good| good.claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA").sign())),
        ("alg none", make(|good| format!("{}.", good.head("alg", "none").input()))),
        ("alg none", make(|good| good.head("alg", "None").sign())),
        ("alg HS256", make(|good| hmac(&good.head("alg", "HS256")))),
        ("alg not listed", make(|good| good.head("alg", "EdDSA").sign())),
        ("alg not listed", make(unlisted)),
        ("signature", make(|good| good.sign_with(&new_key()))),
        ("signature", make(|good| format!("{}.", good.input()))),
        ("signature", make(|good| format!("{}.{}", good.input(), base64url::encode(&[0; 64])))),
        ("kid", make(|good| good.head("kid", "unknown").sign())),
        ("jwk", make(|good| by_its_own_key(good, &new_key()))),
    ]
}

#[tokio::test]
async fn cl_flw_06_atk_118_no_forged_id_token_is_believed() {
    for (what, forge) in kinds() {
        let (refused, hostile) = login(&*forge, None).await;
        assert!(matches!(refused, Err(ClientError::IdToken(_))), "{what}: {refused:?}");
        // The code was redeemed and keys were fetched; nothing was called.
        for one in hostile.asked() {
            assert!(["/token", "/jwks"].contains(&one.target()), "{what}: {one:?}");
        }
    }
    let (believed, _) = login(&|good| good.sign(), None).await;
    assert_eq!(believed.expect("tokens").subject.as_deref(), Some("ada"));
}

#[tokio::test]
async fn cl_flw_06_atk_118_a_sign_in_that_is_too_long_ago_is_refused() {
    let now = BEGIN.as_secs();
    let old = move |good: Forgery| good.claim("auth_time", now - 3600).sign();
    for forge in [make(old), make(|good| good.without("auth_time").sign())] {
        let (refused, _) = login(&*forge, Some(300)).await;
        assert!(matches!(refused, Err(ClientError::IdToken(_))), "{refused:?}");
    }
    let (believed, _) = login(&|good| good.sign(), Some(300)).await;
    assert!(believed.is_ok(), "{believed:?}");
}

/// UserInfo about somebody else, or about nobody, is not used (OpenID Connect Core §5.3.2).
#[tokio::test]
async fn cl_flw_07_atk_118_userinfo_about_another_user_is_not_used() {
    let about = |body: &'static str, kind: &'static str| async move {
        let hostile = Hostile::start(move |_, _| says(200, &[("Content-Type", kind)], body)).await;
        let mut document = metadata(&hostile.origin);
        document["userinfo_endpoint"] = format!("{}/userinfo", hostile.origin).into();
        let client = client_of(&document, ClientAuth::None);
        let tokens = Tokens { subject: Some("ada".to_owned()), ..crate::victim::tokens() };
        client.userinfo(&tokens).await
    };
    for body in [
        r#"{"sub":"eve","email":"ada@example.org"}"#,
        r#"{"sub":"ADA"}"#,
        r#"{"sub":["ada"]}"#,
        r#"{"sub":"eve","sub":"ada"}"#,
        r#"{"email":"ada@example.org"}"#,
        r#"["ada"]"#,
        "",
    ] {
        let refused = about(body, "application/json").await;
        assert!(matches!(refused, Err(ClientError::Userinfo(_))), "{body}: {refused:?}");
    }
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.";
    assert!(about(unsigned, "application/jwt").await.is_err());
    assert_eq!(about(r#"{"sub":"ada"}"#, "application/json").await.expect("claims")["sub"], "ada");
}
