//! UserInfo as JSON and signed, and the way out: logout.

use crate::mock::{CHALLENGE, Mock, Seen, client, client_at, reply};
use axum::body::Body;
use http::Response;
use keybound_client::client::Client;
use keybound_client::client_auth::ClientAuth;
use keybound_client::endpoint_error::EndpointError;
use keybound_client::error::ClientError;
use keybound_client::flow::logout::LogoutAsk;
use keybound_client::tokens::Tokens;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::secret::Secret;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::end_session::EndSessionRequest;
use keybound_oauth::form::Form;
use keybound_oauth::token::TokenType;
use keybound_oauth::userinfo::UserinfoError;
use serde_json::{Map, Value, json};

fn held(subject: Option<&str>) -> Tokens {
    Tokens {
        access_token: Secret::new("token-1"),
        token_type: TokenType::Dpop,
        refresh_token: None,
        scope: None,
        authorization_details: AuthorizationDetails::default(),
        expires_at: None,
        id_token: Some(Secret::new("i.d.t")),
        subject: subject.map(str::to_owned),
    }
}

async fn told(mock: &Mock) -> Result<Map<String, Value>, ClientError> {
    client(&mock.origin, ClientAuth::None).userinfo(&held(Some("ada"))).await
}

async fn json(body: &'static str) -> Result<Map<String, Value>, ClientError> {
    told(&Mock::start(move |_, _| reply(200, &[("Content-Type", "application/json")], body)).await).await
}

#[tokio::test]
async fn cl_flw_07_fapi_cl_02_userinfo_is_asked_with_token_and_proof_and_must_be_about_the_same_user() {
    let mock = Mock::start(|_, before| match before {
        0 => reply(401, &[("DPoP-Nonce", "n"), CHALLENGE], ""),
        _ => reply(200, &[("Content-Type", "application/json")], r#"{"sub":"ada","email":"ada@example"}"#),
    })
    .await;
    assert_eq!(told(&mock).await.expect("claims")["email"], "ada@example");
    let seen: &Seen = &mock.seen()[1];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/userinfo"));
    assert_eq!((seen.authorization(), seen.nonce().as_deref()), (Some("DPoP token-1"), Some("n")));
    assert!(seen.proof()["ath"].is_string() && seen.body.is_empty());
    for (body, error) in [
        (r#"{"sub":"eve"}"#, UserinfoError::OtherUser),
        (r#"{"sub":"Ada"}"#, UserinfoError::OtherUser),
        (r#"{"email":"ada@example"}"#, UserinfoError::Malformed),
        (r#"{"sub":"ada","sub":"ada"}"#, UserinfoError::Malformed),
        ("<html>", UserinfoError::Malformed),
    ] {
        let refused = json(body).await;
        assert!(
            matches!(&refused, Err(ClientError::Userinfo(told)) if *told == error),
            "{body}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn cl_flw_07_without_an_id_token_nothing_is_asked() {
    let mock = Mock::start(|_, _| reply(200, &[], r#"{"sub":"ada"}"#)).await;
    let refused = client(&mock.origin, ClientAuth::None).userinfo(&held(None)).await;
    assert!(matches!(refused, Err(ClientError::NoSubject)), "{refused:?}");
    assert!(mock.seen().is_empty());
}

#[tokio::test]
async fn userinfo_that_refuses_is_told() {
    let challenge = ("WWW-Authenticate", r#"DPoP error="invalid_token""#);
    let mock = Mock::start(move |_, _| reply(401, &[challenge], "")).await;
    let refused = told(&mock).await;
    assert!(matches!(refused, Err(ClientError::Endpoint(EndpointError::TokenRefused { .. }))), "{refused:?}");
}

/// Signs its answer under a key, and publishes another one if it is told to.
async fn signing(claims: Value, is_known: bool) -> Result<Map<String, Value>, ClientError> {
    told(&signer(claims, is_known).await).await
}

async fn signer(claims: Value, is_known: bool) -> Mock {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let other = SigningKey::generate(Algorithm::Es256).expect("a key");
    let published = if is_known { key.public_jwk() } else { other.public_jwk() };
    let named = NamedKey { kid: Some("k".to_owned()), algorithm: None, key: published.clone() };
    let keys = KeySet::of(vec![named]).to_json();
    Mock::start(move |seen, _| match seen.target.as_str() {
        "/jwks" => reply(200, &[], &keys),
        _ => signed(&key, &claims, seen),
    })
    .await
}

fn signed(key: &SigningKey, claims: &Value, seen: &Seen) -> Response<Body> {
    let host = seen.headers["Host"].to_str().expect("ASCII");
    let claims = claims.to_string().replace("ISSUER", &format!("http://{host}"));
    let jwt = jws::sign(key, "JWT", Some("k"), claims.as_bytes()).expect("signed");
    reply(200, &[("Content-Type", "Application/JWT; charset=utf-8")], &jwt)
}

#[tokio::test]
async fn cl_flw_07_signed_userinfo_is_verified_and_is_for_us_about_the_same_user() {
    let good = json!({ "iss": "ISSUER", "aud": "app", "sub": "ada", "name": "Ada" });
    let claims = signing(good.clone(), true).await.expect("claims");
    assert_eq!(Value::Object(claims), json!({ "sub": "ada", "name": "Ada" }));
    assert!(matches!(signing(good.clone(), false).await, Err(ClientError::IdToken(_))), "another key");
    let mock = signer(good.clone(), true).await;
    let listed = json!({ "userinfo_signing_alg_values_supported": ["PS256"] });
    let client = client_at(&mock.origin, listed, ClientAuth::None);
    let refused = client.userinfo(&held(Some("ada"))).await;
    assert!(matches!(refused, Err(ClientError::IdToken(_))), "another algorithm: {refused:?}");
    for (name, value) in [("iss", "https://evil.example"), ("aud", "other"), ("sub", "eve")] {
        let mut bad = good.clone();
        bad[name] = value.into();
        let refused = signing(bad, true).await;
        assert!(matches!(refused, Err(ClientError::Userinfo(_))), "{name}: {refused:?}");
    }
}

#[test]
fn cl_tok_09_the_url_of_a_logout_holds_no_token_and_the_form_does() {
    let client: Client = client("https://id.example", ClientAuth::None);
    let ask = LogoutAsk {
        logout_hint: Some("ada".to_owned()),
        post_logout_redirect_uri: Some("https://app.example/bye".to_owned()),
        state: Some("s &".to_owned()),
    };
    let url = client.logout_url(&ask).expect("a URL");
    let (endpoint, query) = url.split_once('?').expect("a query");
    assert_eq!(endpoint, "https://id.example/logout");
    let read = |text: &str| EndSessionRequest::read(&Form::parse_query(text).expect("a form"));
    let expected = EndSessionRequest {
        id_token_hint: None,
        logout_hint: ask.logout_hint.clone(),
        client_id: Some("app".to_owned()),
        post_logout_redirect_uri: ask.post_logout_redirect_uri.clone(),
        state: ask.state.clone(),
        ui_locales: None,
    };
    assert_eq!(read(query), expected);
    assert!(query.starts_with("from=app&"), "what is in the endpoint stays: {query}");
    let id_token = Secret::new("i.d.t");
    let form = client.logout_form(&ask, &id_token).expect("a form");
    assert_eq!(form.action, "https://id.example/logout?from=app");
    assert_eq!(read(form.body.reveal()), EndSessionRequest { id_token_hint: Some(id_token), ..expected });
}
