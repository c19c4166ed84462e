//! Refresh for less, another key, exchange and revocation, as odd servers answer them.

use crate::mock::{Mock, Seen, TOKENS, USE_NONCE, client, prover, reply};
use axum::body::Body;
use http::Response;
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::flow::ask::TokenAsk;
use keybound_client::flow::refresh::RotateKeyError;
use keybound_client::flow::token_exchange::{ExchangeAsk, Exchanged};
use keybound_client::token_endpoint::{TokenError, Wanted};
use keybound_client::tokens::Tokens;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::json::Object;
use keybound_dpop::jose::jwk::PublicJwk;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::secret::Secret;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::identifier::ResourceId;
use keybound_oauth::scope::Scope;
use keybound_oauth::token::TokenType;
use keybound_oauth::token_exchange::TypedToken;
use serde_json::json;

const BEARER: &str = r#"{"access_token":"b","token_type":"Bearer","refresh_token":"r"}"#;

fn secret() -> ClientAuth {
    ClientAuth::SecretBasic(Secret::new("s"))
}

fn held() -> Tokens {
    Tokens {
        access_token: Secret::new("token-1"),
        token_type: TokenType::Dpop,
        refresh_token: Some(Secret::new("refresh-1")),
        scope: Scope::parse("read write").ok(),
        authorization_details: AuthorizationDetails::default(),
        expires_at: None,
        id_token: None,
        subject: None,
    }
}

fn ask() -> TokenAsk {
    TokenAsk {
        scope: Scope::parse("read").ok(),
        resources: vec![ResourceId::parse("https://api.example/").expect("a resource")],
        authorization_details: AuthorizationDetails::parse(r#"[{"type":"pay"}]"#).expect("details"),
    }
}

/// The thumbprint of the proof's key.
fn jkt(seen: &Seen) -> Thumbprint {
    let proof = seen.headers.get("DPoP").expect("a proof").to_str().expect("ASCII");
    let header = base64url::decode(proof.split('.').next().expect("a header")).expect("base64url");
    let header = Object::parse(&header).expect("JSON");
    PublicJwk::parse(header.object("jwk").expect("an object").expect("a key")).expect("a key").thumbprint()
}

async fn always(status: u16, body: &'static str) -> Mock {
    Mock::start(move |_, _| reply(status, &[], body)).await
}

#[tokio::test]
async fn cl_tok_05_fapi_cl_04_a_refresh_for_less_leaves_the_rest_with_the_refresh_token() {
    let mock = always(200, TOKENS).await;
    let client = client(&mock.origin, ClientAuth::None);
    let narrow = client.refresh_for(&held(), &ask()).await.expect("tokens");
    assert_eq!(narrow.scope, Scope::parse("read").ok());
    assert_eq!(narrow.authorization_details, ask().authorization_details);
    let form = mock.seen()[0].form();
    assert_eq!((form.get("scope"), form.get("resource")), (Some("read"), Some("https://api.example/")));
    assert_eq!(form.get("authorization_details"), Some(r#"[{"type":"pay"}]"#));
    // The one to keep has the whole scope and the newest refresh token.
    let kept = held().with_refresh_token_of(&narrow);
    assert_eq!((kept.scope, kept.access_token), (held().scope, held().access_token));
    assert_eq!(kept.refresh_token, Some(Secret::new("refresh-2")));
    let whole = client.refresh(&held()).await.expect("tokens");
    assert_eq!(whole.scope, held().scope);
    assert_eq!(mock.seen()[1].form().get("scope"), None, "asked for nothing, all stays as it was");
}

#[tokio::test]
async fn cl_key_09_a_client_that_authenticates_goes_on_under_another_key() {
    let mock = Mock::start(|_, before| match before {
        0 => reply(400, &[("DPoP-Nonce", "n")], USE_NONCE),
        _ => reply(200, &[], TOKENS),
    })
    .await;
    let old = client(&mock.origin, secret());
    let (new, tokens) = old.rotate_key(&held(), prover()).await.expect("rotated");
    assert_ne!(new.prover().jkt(), old.prover().jkt());
    assert_eq!(tokens.refresh_token, Some(Secret::new("refresh-2")));
    let origins = keybound_client::session::Origins::default();
    assert_eq!(new.session("new", tokens, origins).jkt, new.prover().jkt());
    for seen in mock.seen() {
        assert_eq!(jkt(&seen), new.prover().jkt());
        assert_eq!(seen.form().get("refresh_token"), Some("refresh-1"));
    }
}

#[tokio::test]
async fn cl_key_09_a_public_client_is_told_to_log_in_and_nothing_is_sent() {
    let mock = always(200, TOKENS).await;
    let refused = client(&mock.origin, ClientAuth::None).rotate_key(&held(), prover()).await;
    let error = refused.expect_err("refused");
    assert!(matches!(error, ClientError::RotateKey(RotateKeyError::PublicClient)), "{error:?}");
    assert!(error.to_string().contains("log in again with the new key"));
    assert!(mock.seen().is_empty());
    let binds_all = always(400, r#"{"error":"invalid_grant"}"#).await;
    let refused = client(&binds_all.origin, secret()).rotate_key(&held(), prover()).await;
    let error = refused.expect_err("refused");
    assert!(matches!(error, ClientError::RotateKey(RotateKeyError::Refused(_))), "{error:?}");
    assert!(error.to_string().contains("the old key is as good as before"), "{error}");
}

#[tokio::test]
async fn cl_tok_01_atk_120_a_login_that_is_bound_is_not_downgraded_by_a_refresh() {
    let mock = always(200, BEARER).await;
    for wanted in [Wanted::Bound, Wanted::RefreshBound, Wanted::BearerToo] {
        let client = client(&mock.origin, ClientAuth::None).expecting(wanted);
        let refused = client.refresh(&held()).await;
        let expected = match wanted {
            Wanted::Bound => matches!(refused, Err(ClientError::Token(TokenError::NotBound))),
            _ => matches!(refused, Err(ClientError::Token(TokenError::Downgraded))),
        };
        assert!(expected, "{wanted:?}: {refused:?}");
    }
}

#[tokio::test]
async fn cl_tok_01_a_server_may_bind_the_refresh_token_alone_where_the_client_was_told() {
    let mock = Mock::start(|_, before| match before {
        0 => reply(200, &[], BEARER),
        _ => reply(200, &[], r#"{"access_token":"b2","token_type":"bEARER"}"#),
    })
    .await;
    let client = client(&mock.origin, secret()).expecting(Wanted::RefreshBound);
    let first = client.client_credentials(None, Vec::new()).await.expect("tokens");
    let second = client.refresh(&first).await.expect("tokens");
    assert_eq!((first.token_type, second.token_type), (TokenType::Bearer, TokenType::Bearer));
    assert_eq!(second.refresh_token, Some(Secret::new("r")));
    assert_eq!(jkt(&mock.seen()[0]), jkt(&mock.seen()[1]), "the refresh has a proof under the same key");
    let unbound = client.client_credentials(None, Vec::new()).await;
    assert!(matches!(unbound, Err(ClientError::Token(TokenError::NotBound))), "nothing would be bound");
}

#[tokio::test]
async fn cl_tok_01_atk_120_odd_case_is_the_same_and_errors_under_success_are_errors() {
    let mock = always(201, r#"{"access_token":"a","token_type":"dpOP"}"#).await;
    let tokens = client(&mock.origin, secret()).client_credentials(None, Vec::new()).await.expect("tokens");
    assert_eq!(tokens.token_type, TokenType::Dpop);
    let mock = always(200, r#"{"error":"invalid_scope","error_description":"no"}"#).await;
    let refused = client(&mock.origin, secret()).client_credentials(None, Vec::new()).await;
    assert!(matches!(refused, Err(ClientError::Token(TokenError::Refused { .. }))), "{refused:?}");
}

#[tokio::test]
async fn client_credentials_ask_for_details_and_keep_what_was_granted() {
    let mock = always(
        200,
        r#"{"access_token":"a","token_type":"DPoP","authorization_details":[{"type":"pay","limit":7}]}"#,
    )
    .await;
    let tokens = client(&mock.origin, secret()).client_credentials_for(&ask()).await.expect("tokens");
    assert_eq!(tokens.authorization_details.to_json(), json!([{ "type": "pay", "limit": 7 }]));
    let form = mock.seen()[0].form();
    assert_eq!(form.get("authorization_details"), Some(r#"[{"type":"pay"}]"#));
}

#[tokio::test]
async fn exchange_sends_both_tokens_with_their_types_and_reads_what_was_issued() {
    let mock = Mock::start(|_, before| exchanged(before)).await;
    let client = client(&mock.origin, secret());
    let exchange = ExchangeAsk {
        requested_token_type: Some("urn:ietf:params:oauth:token-type:access_token".to_owned()),
        audiences: vec!["next".to_owned()],
        ask: ask(),
        ..ExchangeAsk::access_token(Secret::new("subject"))
    }
    .by(TypedToken {
        token: Secret::new("actor"),
        token_type: "urn:ietf:params:oauth:token-type:jwt".to_owned(),
    });
    let Exchanged::Access { tokens, issued_token_type } =
        client.exchange_token(exchange.clone()).await.expect("exchanged")
    else {
        panic!("an access token")
    };
    assert_eq!((tokens.access_token, tokens.token_type), (Secret::new("new"), TokenType::Dpop));
    assert_eq!(issued_token_type.as_deref(), Some("urn:ietf:params:oauth:token-type:access_token"));
    let form = mock.seen()[0].form();
    for (name, value) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "subject"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("actor_token", "actor"),
        ("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("audience", "next"),
        ("scope", "read"),
        ("resource", "https://api.example/"),
    ] {
        assert_eq!(form.get(name), Some(value), "{name}");
    }
    let bearer = client.exchange_token(exchange.clone()).await;
    assert!(matches!(bearer, Err(ClientError::Token(TokenError::NotBound))), "{bearer:?}");
    let other = client.exchange_token(exchange).await.expect("exchanged");
    let told = other.clone().access().expect_err("no access token").to_string();
    assert!(matches!(other, Exchanged::Other { token, .. } if token == Secret::new("an assertion")));
    assert!(told.contains("access_token"), "{told}");
}

fn exchanged(before: usize) -> Response<Body> {
    let (token, token_type, issued) = match before {
        0 => ("new", "DPoP", "access_token"),
        1 => ("new", "Bearer", "access_token"),
        _ => ("an assertion", "n_a", "jwt"),
    };
    let issued = format!("urn:ietf:params:oauth:token-type:{issued}");
    let body = json!({ "access_token": token, "token_type": token_type, "issued_token_type": issued });
    reply(200, &[], &body.to_string())
}

#[tokio::test]
async fn revocation_gives_both_tokens_back_and_survives_a_nonce_challenge() {
    let mock = Mock::start(|_, before| match before {
        0 => reply(400, &[("DPoP-Nonce", "n")], USE_NONCE),
        _ => reply(200, &[], ""),
    })
    .await;
    client(&mock.origin, secret()).revoke_all(&held()).await.expect("revoked");
    let sent: Vec<_> = mock
        .seen()
        .iter()
        .map(|seen| {
            let form = seen.form();
            assert_eq!((seen.target.as_str(), seen.authorization()), ("/revoke", Some("Basic YXBwOnM=")));
            (form.get("token").map(str::to_owned), form.get("token_type_hint").map(str::to_owned))
        })
        .collect();
    let pair = |token: &str, hint: &str| (Some(token.to_owned()), Some(hint.to_owned()));
    let refresh = pair("refresh-1", "refresh_token");
    assert_eq!(sent, [refresh.clone(), refresh, pair("token-1", "access_token")]);
}

#[tokio::test]
async fn revocation_that_fails_is_told_and_the_other_token_is_given_back_all_the_same() {
    let mock = Mock::start(|_, before| match before {
        0 => reply(503, &[], r#"{"error":"temporarily_unavailable"}"#),
        _ => reply(200, &[], ""),
    })
    .await;
    let told = client(&mock.origin, secret()).revoke_all(&held()).await.expect_err("told").to_string();
    assert!(told.contains("revocation_endpoint") && told.contains("try again later"), "{told}");
    assert_eq!(mock.seen().len(), 2);
}
