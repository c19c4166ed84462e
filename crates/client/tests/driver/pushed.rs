//! Logins whose request is pushed.

use crate::mock::{Mock, TOKENS, USE_NONCE, client_at, reply};
use keybound_client::client::Client;
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::flow::authorization_code::fapi::NotFapi;
use keybound_client::flow::authorization_code::{
    Defence, LoginAsk, LoginImpossible, LoginRules, PendingLogin, RequestKey, When,
};
use keybound_client::flow::pushed::PushedError;
use keybound_client::token_endpoint::TokenError;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::jws::UnverifiedJwt;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_oauth::scope::Scope;
use serde_json::{Value, json};
use std::sync::Arc;

const PUSHED: &str = r#"{"request_uri":"urn:ietf:params:oauth:request_uri:r1","expires_in":60}"#;
const URL_END: &str = "/authorize?client_id=app&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Ar1";

fn ask() -> LoginAsk {
    LoginAsk { scope: Scope::parse("read").ok(), ..LoginAsk::default() }
}

fn par(origin: &str) -> Value {
    json!({
        "pushed_authorization_request_endpoint": format!("{origin}/par"),
        "code_challenge_methods_supported": ["S256"],
    })
}

fn key_auth() -> ClientAuth {
    let signer = Arc::new(SigningKey::generate(Algorithm::Es256).expect("a key"));
    ClientAuth::PrivateKeyJwt { signer, kid: None }
}

async fn begin(client: &Client, ask: LoginAsk) -> Result<PendingLogin, ClientError> {
    client.begin_login(ask, "http://127.0.0.1:1/cb").await
}

/// A server that takes what is pushed to it, after a challenge, and gives tokens.
async fn server() -> Mock {
    Mock::start(|seen, _| match (seen.target.as_str(), seen.nonce()) {
        (_, None) => reply(400, &[("DPoP-Nonce", "n")], USE_NONCE),
        ("/par", _) => reply(201, &[], PUSHED),
        _ => reply(200, &[], TOKENS),
    })
    .await
}

fn jti(jwt: Option<&str>) -> String {
    let jwt = UnverifiedJwt::parse(jwt.expect("a JWT")).expect("a JWT");
    jwt.claims().expect("claims").string("jti").expect("a string").expect("jti").to_owned()
}

#[tokio::test]
async fn cl_flw_05_cl_flw_09_a_nonce_challenge_to_a_pushed_request_is_followed() {
    let mock = server().await;
    let mut client = client_at(&mock.origin, par(&mock.origin), key_auth());
    let signer = Arc::new(SigningKey::generate(Algorithm::Es256).expect("a key"));
    let request_key = Some(RequestKey { signer, kid: None });
    client = client.with_login_rules(LoginRules { request_key, ..LoginRules::default() });
    let login = begin(&client, ask()).await.expect("begun");
    assert_eq!(login.url(), format!("{}{URL_END}", mock.origin));
    let seen = mock.seen();
    assert_eq!(seen.iter().map(|seen| seen.target.as_str()).collect::<Vec<_>>(), ["/par", "/par"]);
    let (first, second) = (seen[0].form(), seen[1].form());
    assert_ne!(seen[0].proof()["jti"], seen[1].proof()["jti"]);
    assert_eq!(seen[1].proof()["htu"], format!("{}/par", mock.origin));
    for name in ["client_assertion", "request"] {
        assert_ne!(jti(first.get(name)), jti(second.get(name)), "{name} is made anew");
    }
}

#[tokio::test]
async fn a_pushed_login_ends_with_tokens_in_another_process() {
    let mock = server().await;
    let client = client_at(&mock.origin, par(&mock.origin), ClientAuth::None);
    let login = begin(&client, ask()).await.expect("begun");
    let state = mock.seen()[1].form().get("state").expect("a state").to_owned();
    let kept = login.to_json();
    drop(login);
    let login = PendingLogin::parse(kept.as_bytes()).expect("kept");
    let answer = Secret::new(format!("code=c0de&state={state}&iss={}", mock.origin));
    client.finish_login(login, &answer).await.expect("tokens");
    let seen = mock.seen();
    let redeemed = seen.last().expect("a token request").form();
    assert_eq!((redeemed.get("code"), redeemed.has("code_verifier")), (Some("c0de"), true));
    let login = PendingLogin::parse(kept.as_bytes()).expect("kept");
    let (other, _) = client.under_new_key().expect("a key");
    let refused = other.finish_login(login, &answer).await;
    assert!(matches!(refused, Err(ClientError::Redirect(_))), "{refused:?}");
    assert_eq!(mock.seen().len(), seen.len(), "under another key nothing is sent");
}

#[tokio::test]
async fn what_cannot_be_pushed_or_must_be_is_told_before_anything_is_sent() {
    let mock = server().await;
    let required = json!({ "require_pushed_authorization_requests": true });
    for (metadata, wanted, expected) in [
        (required.clone(), When::Auto, LoginImpossible::CannotPush),
        (required, When::Never, LoginImpossible::MustPush),
        (json!({}), When::Always, LoginImpossible::CannotPush),
    ] {
        let client = client_at(&mock.origin, metadata, ClientAuth::None);
        let refused = begin(&client, LoginAsk { pushed: wanted, ..ask() }).await;
        assert!(matches!(refused, Err(ClientError::Login(error)) if error == expected));
    }
    assert!(mock.seen().is_empty());
}

#[tokio::test]
async fn cl_red_04_a_pushed_request_follows_no_redirect_and_a_refusal_is_told() {
    for (status, headers, body) in [
        (307, &[("Location", "/elsewhere")][..], ""),
        (400, &[], r#"{"error":"invalid_request","error_description":"no such redirect_uri"}"#),
    ] {
        let mock = Mock::start(move |_, _| reply(status, headers, body)).await;
        let client = client_at(&mock.origin, par(&mock.origin), ClientAuth::None);
        match begin(&client, ask()).await.expect_err("refused") {
            ClientError::Pushed(PushedError::Redirected(status)) => assert_eq!(status, 307),
            ClientError::Pushed(error) => assert!(error.to_string().contains("no such redirect_uri")),
            other => panic!("{other:?}"),
        }
        assert_eq!(mock.seen().len(), 1);
    }
}

/// A server that lists its endpoint for pushed requests, and takes them of clients with credentials only.
#[tokio::test]
async fn a_client_without_credentials_that_may_not_push_goes_through_the_browser_where_it_may() {
    let refusal = r#"{"error":"invalid_client","error_description":"no"}"#;
    for (auth, besides, wanted, is_taken) in [
        (ClientAuth::None, json!({}), When::Auto, true),
        (ClientAuth::None, json!({}), When::Always, false),
        (ClientAuth::None, json!({ "require_pushed_authorization_requests": true }), When::Auto, false),
        (ClientAuth::SecretPost(Secret::new("s")), json!({}), When::Auto, false),
    ] {
        let mock = Mock::start(move |_, _| reply(401, &[], refusal)).await;
        let mut metadata = par(&mock.origin);
        metadata.as_object_mut().expect("an object").extend(besides.as_object().expect("an object").clone());
        let client = client_at(&mock.origin, metadata, auth);
        match begin(&client, LoginAsk { pushed: wanted, ..ask() }).await {
            Ok(login) => {
                assert!(is_taken, "{wanted:?}");
                assert!(login.url().contains("&code_challenge=") && login.url_expires_at().is_none());
            }
            Err(error) => {
                assert!(!is_taken && error.to_string().contains("let the login not push"), "{error}");
            }
        }
        assert_eq!(mock.seen().len(), 1);
    }
    let mock = Mock::start(|_, _| reply(400, &[], r#"{"error":"invalid_scope"}"#)).await;
    let client = client_at(&mock.origin, par(&mock.origin), ClientAuth::None);
    assert!(begin(&client, ask()).await.is_err(), "what is asked for is no better in a URL");
}

#[tokio::test]
async fn cl_key_05_a_key_is_relied_on_for_the_one_login_that_it_was_made_for() {
    let mock = server().await;
    let api_only = || LoginAsk { scope: Scope::parse("read").ok(), ..LoginAsk::default() };
    let without_s256 = json!({ "code_challenge_methods_supported": ["plain"] });
    let client = client_at(&mock.origin, without_s256, ClientAuth::None);
    let old = begin(&client, api_only()).await.expect("begun");
    assert_eq!(old.defence(), Defence::StateOnly, "others may have codes for this key");
    let (client, _) = client.under_new_key().expect("a key");
    assert_eq!(begin(&client, api_only()).await.expect("begun").defence(), Defence::Key);
    assert_eq!(begin(&client.clone(), api_only()).await.expect("begun").defence(), Defence::StateOnly);
}

#[tokio::test]
async fn cl_key_04_cl_key_05_a_new_key_for_each_server_and_each_login() {
    let (one, other) = (server().await, server().await);
    let mut seen = Vec::new();
    for mock in [&one, &one, &other] {
        let client = client_at(&mock.origin, par(&mock.origin), ClientAuth::None);
        let (client, key) = client.under_new_key().expect("a key");
        let login = begin(&client, ask()).await.expect("begun");
        let pushed = mock.seen().last().expect("a request").form();
        let jkt = pushed.get("dpop_jkt").expect("dpop_jkt").to_owned();
        assert_eq!(jkt, keybound_dpop::jose::signer::Signer::public_jwk(&*key).thumbprint().to_string());
        let answer = format!("code=c&state={}&iss={}", pushed.get("state").expect("a state"), mock.origin);
        client.finish_login(login, &Secret::new(answer)).await.expect("tokens");
        assert!(!seen.contains(&jkt), "a key came twice");
        seen.push(jkt);
    }
}

#[tokio::test]
async fn fapi_cl_01_fapi_cl_03_under_the_profile_everything_is_strict() {
    let mock = Mock::start(|seen, _| match seen.target.as_str() {
        "/par" => reply(201, &[], PUSHED),
        _ => reply(200, &[], r#"{"access_token":"b","token_type":"Bearer"}"#),
    })
    .await;
    let refused = client_at(&mock.origin, par(&mock.origin), ClientAuth::SecretBasic(Secret::new("s")));
    assert!(matches!(refused.under_fapi2(), Err(NotFapi::ClientAuth)));
    let client = client_at(&mock.origin, par(&mock.origin), key_auth()).under_fapi2().expect("fit");
    let login = begin(&client, ask()).await.expect("begun");
    assert!(login.url().ends_with(URL_END));
    let pushed = mock.seen()[0].form();
    let assertion = UnverifiedJwt::parse(pushed.get("client_assertion").expect("an assertion"));
    let assertion = assertion.expect("a JWT");
    assert_eq!(assertion.claims().expect("claims").string("aud"), Ok(Some(mock.origin.as_str())));
    let state = pushed.get("state").expect("a state");
    let without_iss = Secret::new(format!("code=c&state={state}"));
    assert!(matches!(client.finish_login(login, &without_iss).await, Err(ClientError::Redirect(_))));
    let bearer = client.allowing_bearer().client_credentials(None, Vec::new()).await;
    assert!(matches!(bearer, Err(ClientError::Token(TokenError::NotBound))), "{bearer:?}");
}
