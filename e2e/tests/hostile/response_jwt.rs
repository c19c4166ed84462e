//! Forged signed answers (JARM §2.4): nothing in one is used, and no code is redeemed.

use crate::forgery::{Forgery, Make, by_its_own_key, hmac, key_set, make, new_key, unlisted};
use crate::nonces::TOKENS;
use crate::server::{Hostile, says};
use crate::victim::{CODE, begin_asking, client_of, metadata};
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::flow::authorization_code::LoginAsk;
use keybound_client::tokens::Tokens;
use keybound_dpop::jose::base64url;
use keybound_dpop::secret::Secret;
use keybound_e2e::clock::BEGIN;
use keybound_oauth::response_mode::ResponseMode;
use keybound_oauth::scope::Scope;
use serde_json::json;

/// A login whose answer is made of a good one and of the plain query that it stands for; how it ended, and the server.
async fn login(answer: &dyn Fn(Forgery, &str) -> String) -> (Result<Tokens, ClientError>, Hostile) {
    let key = new_key();
    let keys = key_set(&key);
    let hostile = Hostile::start(move |asked, _| match asked.target() {
        "/jwks" => says(200, &[], &keys),
        _ => says(200, &[], TOKENS),
    })
    .await;
    let mut document = metadata(&hostile.origin);
    document["response_modes_supported"] = json!(["query", "query.jwt", "jwt"]);
    document["authorization_signing_alg_values_supported"] = json!(["ES256"]);
    let client = client_of(&document, ClientAuth::None);
    let response = ResponseMode::QueryJwt;
    let ask = LoginAsk { scope: Scope::parse("read").ok(), response, ..LoginAsk::default() };
    let (login, sent) = begin_asking(&client, ask).await;
    let (state, iss) = (sent.state.expect("a state"), hostile.origin.clone());
    let plain = format!("code={CODE}&state={state}&iss={iss}");
    let claims = json!({
        "iss": iss, "aud": "app", "exp": BEGIN.as_secs() + 300, "code": CODE, "state": state,
    });
    let good = Forgery { header: json!({ "alg": "ES256", "kid": "k" }), claims, key };
    (client.finish_login(login, &Secret::new(answer(good, &plain))).await, hostile)
}

/// The kinds, by what is wrong.
fn kinds() -> Vec<(&'static str, Make)> {
    let now = BEGIN.as_secs();
    vec![
        ("iss", make(|good| good.claim("iss", "https://id.example").sign())),
        ("iss", make(|good| good.without("iss").sign())),
        ("aud", make(|good| good.claim("aud", "other").sign())),
        ("aud", make(|good| good.without("aud").sign())),
        ("exp", make(move |good| good.claim("exp", now - 120).sign())),
        ("exp", make(|good| good.without("exp").sign())),
        ("alg none", make(|good| format!("{}.", good.head("alg", "none").input()))),
        ("alg HS256", make(|good| hmac(&good.head("alg", "HS256")))),
        ("alg not listed", make(|good| good.head("alg", "EdDSA").sign())),
        ("alg not listed", make(unlisted)),
        ("signature", make(|good| good.sign_with(&new_key()))),
        ("signature", make(|good| format!("{}.", good.input()))),
        ("signature", make(|good| format!("{}.{}", good.input(), base64url::encode(&[0; 64])))),
        ("kid", make(|good| good.head("kid", "unknown").sign())),
        ("jwk", make(|good| by_its_own_key(good, &new_key()))),
        ("state", make(|good| good.claim("state", "other").sign())),
        ("state", make(|good| good.without("state").sign())),
        ("code", make(|good| good.without("code").sign())),
        (
            "error",
            make(|good| {
                good.without("code").claim("error", "access_denied").claim("iss", "https://x").sign()
            }),
        ),
        ("nothing", make(|_| String::new())),
    ]
}

#[track_caller]
fn assert_refused(what: &str, (refused, hostile): &(Result<Tokens, ClientError>, Hostile)) {
    assert!(matches!(refused, Err(ClientError::Redirect(_))), "{what}: {refused:?}");
    assert_eq!(hostile.at("/token").len(), 0, "{what}");
    hostile.assert_knows_none_of(&[CODE]);
}

#[tokio::test]
async fn cl_flw_08_atk_119_no_forged_answer_is_used() {
    for (what, forge) in kinds() {
        assert_refused(what, &login(&|good, _| format!("response={}", forge(good))).await);
    }
    let (believed, hostile) = login(&|good, _| format!("response={}", good.sign())).await;
    assert!(believed.is_ok(), "{believed:?}");
    assert_eq!(hostile.at("/token").len(), 1);
}

/// Plain parameters where a signed answer was asked for, alone or beside one.
#[tokio::test]
async fn cl_flw_08_atk_119_plain_parameters_are_no_signed_answer() {
    let forged = |good: Forgery| good.claim("state", "other").sign();
    type Answer<'a> = &'a dyn Fn(Forgery, &str) -> String;
    let plain: [(&str, Answer<'_>); 4] = [
        ("plain", &|_, plain| plain.to_owned()),
        ("beside a forged one", &|good, plain| format!("{plain}&response={}", forged(good))),
        ("before a forged one", &|good, plain| format!("response={}&{plain}", forged(good))),
        ("two", &|good, _| format!("response={}&response={}", good.sign(), good.sign())),
    ];
    for (what, answer) in plain {
        assert_refused(what, &login(answer).await);
    }
}
