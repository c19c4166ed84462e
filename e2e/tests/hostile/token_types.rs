//! Tokens that are not what was asked for (RFC 9449 §5), and resources that would like them differently (§7.2).

use crate::server::{Hostile, says};
use crate::victim::{
    CLIENT_SECRET, CODE, REFRESH, TOKEN, api, begin, client, get, layered, post, session, tokens, transport,
};
use keybound_client::api::{Api, ApiSettings};
use keybound_client::error::ClientError;
use keybound_dpop::secret::Secret;
use keybound_oauth::token::TokenType;
use serde_json::json;

fn tokens_of(token_type: &serde_json::Value) -> String {
    json!({ "access_token": "new", "token_type": token_type, "refresh_token": "next" }).to_string()
}

#[tokio::test]
async fn cl_tok_01_atk_120_a_bearer_token_is_thrown_away_by_every_grant() {
    for named in [
        json!("Bearer"),
        json!("bearer"),
        json!("BEARER"),
        json!("mac"),
        json!("N_A"),
        json!(null),
        json!(["DPoP"]),
    ] {
        let body = tokens_of(&named);
        let hostile = Hostile::start(move |_, _| says(200, &[], &body)).await;
        let client = client(&hostile.origin);
        let (login, sent) = begin(&client).await;
        let answer = format!("code={CODE}&state={}&iss={}", sent.state.expect("a state"), hostile.origin);
        let refused = [
            client.client_credentials(None, Vec::new()).await,
            client.refresh(&tokens()).await,
            client.finish_login(login, &Secret::new(answer)).await,
        ];
        for one in refused {
            assert!(matches!(one, Err(ClientError::Token(_))), "{named}: {one:?}");
        }
        assert_eq!(hostile.asked().len(), 3, "{named}");
    }
}

/// A refresh that brings a bearer token leaves the session as it was, and the call is not made with it.
#[tokio::test]
async fn cl_tok_01_atk_120_a_session_is_not_downgraded_by_its_refresh() {
    let bearer = tokens_of(&json!("Bearer"));
    let hostile = Hostile::start(move |asked, _| match asked.target() {
        "/token" => says(200, &[], &bearer),
        _ => says(401, &[("WWW-Authenticate", r#"DPoP error="invalid_token""#)], ""),
    })
    .await;
    let client = client(&hostile.origin);
    let session = session(client.prover(), &hostile.origin, &[&hostile.origin]);
    let settings = ApiSettings { renewal: Some(client.clone()), ..ApiSettings::default() };
    let api = Api::new(transport(), client.prover().clone(), session.clone(), settings).expect("an API");
    let refused = api.send(get(&hostile.origin)).await;
    assert!(matches!(refused, Err(ClientError::Token(_))), "{refused:?}");
    assert_eq!(*api.session(), session);
    assert_eq!(hostile.at("/orders").len(), 1);
}

#[tokio::test]
async fn cl_tok_01_atk_120_the_case_of_the_type_says_nothing() {
    for named in ["dPoP", "dpop", "DPOP"] {
        let body = tokens_of(&json!(named));
        let hostile = Hostile::start(move |_, _| says(200, &[], &body)).await;
        let tokens = client(&hostile.origin).client_credentials(None, Vec::new()).await.expect("tokens");
        assert_eq!(tokens.token_type, TokenType::Dpop, "{named}");
    }
}

#[tokio::test]
async fn cl_tok_02_cl_tok_03_atk_121_a_bound_token_is_never_tried_as_bearer() {
    for bait in [
        "Bearer",
        r#"Bearer error="invalid_token""#,
        r#"Bearer error="use_dpop_nonce""#,
        r#"Bearer realm="api", error="invalid_request", error_description="DPoP is not supported, use Bearer""#,
        r#"Basic realm="api", Bearer"#,
        r#"DPoP error="invalid_dpop_proof", Bearer"#,
    ] {
        for (status, nonce) in [(401, true), (401, false), (400, false), (403, false)] {
            let hostile = Hostile::start(move |asked, _| {
                if asked.target() == "/token" {
                    return says(200, &[], r#"{"access_token":"renewed","token_type":"DPoP"}"#);
                }
                let more: &[_] = if nonce { &[("DPoP-Nonce", "n")] } else { &[] };
                says(status, &[&[("WWW-Authenticate", bait)], more].concat(), "")
            })
            .await;
            let client = client(&hostile.origin);
            let session = session(client.prover(), &hostile.origin, &[&hostile.origin]);
            let renewal = Some(client.clone());
            let renewing = ApiSettings { renewal, ..ApiSettings::default() };
            let api = Api::new(transport(), client.prover().clone(), session, renewing).expect("an API");
            for request in [get(&hostile.origin), post(&hostile.origin)] {
                let answer = api.send(request).await.expect("an answer");
                assert_eq!(answer.status(), status, "{bait}");
            }
            let calls = hostile.at("/orders");
            for call in &calls {
                let [credentials] = call.header("authorization")[..] else { panic!("{call:?}") };
                assert!(credentials.starts_with("DPoP "), "{bait}: {call:?}");
                assert_eq!(call.header("dpop").len(), 1, "{bait}: {call:?}");
                assert!(!call.target().contains("access_token"), "{bait}: {call:?}");
            }
            // At the most once more each, with the token that a refresh brought.
            assert!(calls.len() <= 4 && hostile.at("/token").len() <= 2, "{bait}: {calls:?}");
        }
    }
}

/// Without anybody to renew the token, the bait is the caller's to see.
#[tokio::test]
async fn cl_tok_03_atk_121_the_bait_is_handed_back() {
    let bait = |_: &crate::server::Asked, _: usize| says(401, &[("WWW-Authenticate", "Bearer")], "");
    let hostile = Hostile::start(bait).await;
    let answer = api(&hostile, ApiSettings::default()).send(get(&hostile.origin)).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), hostile.asked().len()), (401, 1));
    assert_eq!(hostile.asked()[0].header("authorization"), [format!("DPoP {TOKEN}")]);
    hostile.assert_knows_none_of(&[CLIENT_SECRET, REFRESH]);
}

#[tokio::test]
async fn cl_tok_02_cl_tok_03_atk_121_the_middleware_does_not_take_the_bait() {
    for bait in ["Bearer", r#"Bearer error="invalid_token""#, r#"DPoP error="invalid_token", Bearer"#] {
        let hostile = Hostile::start(move |_, _| says(401, &[("WWW-Authenticate", bait)], "")).await;
        for request in [get(&hostile.origin), post(&hostile.origin)] {
            let answer = layered(&hostile, request).await.expect("an answer");
            assert_eq!(answer.status(), 401, "{bait}");
        }
        assert_eq!(hostile.asked().len(), 2, "{bait}");
        for asked in hostile.asked() {
            assert_eq!(asked.header("authorization"), [format!("DPoP {TOKEN}")], "{bait}");
        }
    }
}
