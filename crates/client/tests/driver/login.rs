//! A whole login: browser, loopback redirect, code, tokens, ID token.

use crate::mock::{Mock, START, USE_NONCE, client, client_at, reply};
use bytes::Bytes;
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::flow::authorization_code::{LoginAsk, RedirectRefused};
use keybound_client::id_token::IdTokenRefused;
use keybound_client::loopback::Loopback;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization::AuthorizationRequest;
use keybound_oauth::form::Form;
use keybound_oauth::id_token::NewIdToken;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::pkce::CodeVerifier;
use keybound_oauth::scope::Scope;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// What a provider remembers of the authorization request.
type Remembered = Arc<Mutex<Option<AuthorizationRequest>>>;

fn ask() -> LoginAsk {
    LoginAsk { scope: Scope::parse("openid read").ok(), ..LoginAsk::default() }
}

fn sent_request(url: &str) -> AuthorizationRequest {
    let query = url.split_once('?').expect("a query").1;
    AuthorizationRequest::parse(&Form::parse_query(query).expect("a form")).expect("a request")
}

/// A provider that asks for a nonce, checks the verifier, and issues an ID token with that `nonce` or the one sent.
async fn provider(remembered: Remembered, other_nonce: Option<&'static str>) -> Mock {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let named = NamedKey { kid: Some("k".to_owned()), algorithm: None, key: key.public_jwk().clone() };
    let keys = KeySet::of(vec![named]).to_json();
    Mock::start(move |seen, _| {
        let origin = format!("http://{}", seen.headers.get("Host").expect("a host").to_str().expect("ASCII"));
        if seen.target == "/jwks" {
            return reply(200, &[], &keys);
        }
        if seen.nonce().is_none() {
            return reply(400, &[("DPoP-Nonce", "n")], USE_NONCE);
        }
        let request = remembered.lock().clone().expect("an authorization request");
        let form = seen.form();
        let verifier =
            CodeVerifier::parse(form.get("code_verifier").expect("a verifier")).expect("a verifier");
        let is_right = form.get("code") == Some("c0de")
            && form.get("redirect_uri") == request.redirect_uri.as_deref()
            && request.code_challenge.expect("a challenge").accepts(&verifier);
        if !is_right {
            return reply(400, &[], r#"{"error":"invalid_grant"}"#);
        }
        let id_token = NewIdToken {
            iss: &Issuer::parse(&origin).expect("an issuer"),
            sub: "ada",
            aud: &ClientId::parse("app").expect("a client"),
            exp: UnixTime::from_secs(START + 300),
            iat: UnixTime::from_secs(START),
            nonce: other_nonce.or(request.nonce.as_deref()),
            auth_time: None,
            acr: None,
            amr: &[],
            claims: None,
            sid: None,
            access_token: Some(&Secret::new("token")),
        };
        let id_token = id_token.sign(&key, Some("k")).expect("signed");
        let tokens =
            serde_json::json!({"access_token": "token", "token_type": "DPoP", "id_token": id_token.reveal()});
        reply(200, &[], &tokens.to_string())
    })
    .await
}

/// What a browser does with the redirect: goes there, and on to where it is sent.
async fn browse(url: String) {
    let fetcher =
        keybound_fetch::Fetcher::for_operator(&keybound_fetch::Settings::default()).expect("a fetcher");
    let first = fetcher.send(crate::mock::get(url.clone())).await.expect("an answer");
    let location = first.headers().get("Location").expect("a location").to_str().expect("ASCII").to_owned();
    let next = url::Url::parse(&url).expect("a URL").join(&location).expect("a URL");
    let last: http::Response<Bytes> = fetcher.send(crate::mock::get(next.to_string())).await.expect("a page");
    assert_eq!(last.status(), 200);
    assert!(!next.as_str().contains("code"));
}

#[tokio::test]
async fn cl_flw_10_a_login_over_loopback_survives_a_nonce_challenge_with_the_same_code() {
    let remembered = Remembered::default();
    let mock = provider(Arc::clone(&remembered), None).await;
    let client = client(&mock.origin, ClientAuth::None);
    let mut loopback = Loopback::listen("/callback").await.expect("a listener");
    let login = client.begin_login(ask(), loopback.redirect_uri()).await.expect("begun");
    let request = sent_request(login.url());
    assert_eq!(request.dpop_jkt, Some(client.prover().jkt()));
    let state = request.state.clone().expect("a state");
    *remembered.lock() = Some(request);
    let redirect = format!("{}?code=c0de&state={state}&iss={}", loopback.redirect_uri(), mock.origin);
    let browser = tokio::spawn(browse(redirect));
    let query = loopback.response(Duration::from_secs(10)).await.expect("a response");
    browser.await.expect("the browser is done");
    let tokens = client.finish_login(login, &query).await.expect("tokens");
    assert_eq!((tokens.subject.as_deref(), tokens.expires_at), (Some("ada"), None));
    let codes: Vec<_> = mock
        .seen()
        .iter()
        .filter(|seen| seen.target == "/token")
        .map(|seen| seen.form().get("code").map(str::to_owned))
        .collect();
    assert_eq!(codes, [Some("c0de".to_owned()), Some("c0de".to_owned())]);
}

#[tokio::test]
async fn cl_flw_02_03_04_bcp_inj_05_a_wrong_answer_makes_no_token_call() {
    let mock = Mock::start(|_, _| reply(500, &[], "")).await;
    let client = client(&mock.origin, ClientAuth::None);
    let iss = &mock.origin;
    for answer in [
        format!("code=c&iss={iss}"),
        format!("code=c&state=other&iss={iss}"),
        "code=c&state=STATE".to_owned(),
        "code=c&state=STATE&iss=https://evil.example".to_owned(),
        "error=access_denied&state=STATE&iss=https://evil.example".to_owned(),
        format!("error=access_denied&state=STATE&iss={iss}"),
    ] {
        let login = client.begin_login(ask(), "http://127.0.0.1:1/cb").await.expect("begun");
        let state = sent_request(login.url()).state.expect("a state");
        let query = Secret::new(answer.replace("STATE", &state));
        let refused = client.finish_login(login, &query).await;
        assert!(matches!(refused, Err(ClientError::Redirect(_))), "{answer}: {refused:?}");
        let is_denial = matches!(refused, Err(ClientError::Redirect(RedirectRefused::Denied(_))));
        assert_eq!(is_denial, answer.starts_with("error") && answer.ends_with(iss.as_str()), "{answer}");
    }
    assert!(mock.seen().is_empty());
}

#[tokio::test]
async fn cl_flw_06_bcp_inj_08_an_id_token_for_another_login_is_refused() {
    let remembered = Remembered::default();
    let mock = provider(Arc::clone(&remembered), Some("another")).await;
    let client = client(&mock.origin, ClientAuth::None);
    let login = client.begin_login(ask(), "http://127.0.0.1:1/cb").await.expect("begun");
    let request = sent_request(login.url());
    let query = format!("code=c0de&state={}&iss={}", request.state.clone().expect("a state"), mock.origin);
    *remembered.lock() = Some(request);
    let refused = client.finish_login(login, &Secret::new(query)).await;
    assert!(matches!(refused, Err(ClientError::IdToken(IdTokenRefused::Claim(_)))), "{refused:?}");
}

#[tokio::test]
async fn bcp_inj_08_where_the_nonce_is_the_defence_there_are_no_tokens_without_an_id_token() {
    let granted = r#"{"access_token":"a","token_type":"DPoP","scope":"read"}"#;
    for (methods, is_taken) in [(serde_json::json!(["plain"]), false), (serde_json::json!(["S256"]), true)] {
        let mock = Mock::start(|_, _| reply(200, &[], granted)).await;
        let methods = serde_json::json!({ "code_challenge_methods_supported": methods });
        let client = client_at(&mock.origin, methods, ClientAuth::None);
        let login = client.begin_login(ask(), "http://127.0.0.1:1/cb").await.expect("begun");
        let state = sent_request(login.url()).state.expect("a state");
        let query = Secret::new(format!("code=c&state={state}&iss={}", mock.origin));
        assert_eq!(client.finish_login(login, &query).await.is_ok(), is_taken);
    }
}

#[tokio::test]
async fn cl_non_11_the_nonce_of_a_login_and_those_of_proofs_do_not_meet() {
    let remembered = Remembered::default();
    let mock = provider(Arc::clone(&remembered), None).await;
    let client = client(&mock.origin, ClientAuth::None);
    for _ in 0..2 {
        let login = client.begin_login(ask(), "http://127.0.0.1:1/cb").await.expect("begun");
        let request = sent_request(login.url());
        let of_login = request.nonce.clone().expect("a nonce");
        let query =
            format!("code=c0de&state={}&iss={}", request.state.clone().expect("a state"), mock.origin);
        *remembered.lock() = Some(request);
        client.finish_login(login, &Secret::new(query)).await.expect("tokens");
        let last = mock.seen().into_iter().rfind(|seen| seen.target == "/token");
        assert_eq!(last.expect("a token request").nonce().as_deref(), Some("n"));
        assert_ne!(of_login, "n");
    }
}

#[tokio::test]
async fn cl_flw_06_an_id_token_that_nobody_asked_for_is_dropped_unread() {
    let unasked = r#"{"access_token":"a","token_type":"DPoP","id_token":"a.b.c"}"#;
    let mock = Mock::start(|_, _| reply(200, &[], unasked)).await;
    let client = client(&mock.origin, ClientAuth::None);
    let login = client.begin_login(LoginAsk::default(), "http://127.0.0.1:1/cb").await.expect("begun");
    let state = sent_request(login.url()).state.expect("a state");
    let query = Secret::new(format!("code=c&state={state}&iss={}", mock.origin));
    let tokens = client.finish_login(login, &query).await.expect("tokens");
    assert_eq!((tokens.id_token, tokens.subject), (None, None));
    assert_eq!(mock.seen().len(), 1);
}

#[tokio::test]
async fn cl_flw_06_openid_without_an_id_token_is_refused() {
    let mock = Mock::start(|_, _| reply(200, &[], r#"{"access_token":"a","token_type":"DPoP"}"#)).await;
    let client = client(&mock.origin, ClientAuth::None);
    let login = client.begin_login(ask(), "http://127.0.0.1:1/cb").await.expect("begun");
    let state = sent_request(login.url()).state.expect("a state");
    let query = Secret::new(format!("code=c&state={state}&iss={}", mock.origin));
    let refused = client.finish_login(login, &query).await;
    assert!(matches!(refused, Err(ClientError::IdToken(IdTokenRefused::Missing))), "{refused:?}");
}
