//! Our client at an authorization server of somebody else, `oidc-provider`, in each way to get tokens that both know.

use crate::abroad::{AUDIENCE, Abroad, Guards, api, refusal, resource, scope, send};
use keybound_client::client::Client;
use keybound_client::flow::ask::TokenAsk;
use keybound_client::flow::authorization_code::{LoginAsk, When};
use keybound_client::session::Origins;
use keybound_client::tokens::Tokens;
use keybound_oauth::form::Form;
use keybound_oauth::response_mode::ResponseMode;
use keybound_oauth::token::TokenType;
use serde_json::{Value, json};

async fn start(more: Value) -> Abroad {
    Abroad::start("oidc_issuer.mjs", more).await
}

fn openid() -> LoginAsk {
    LoginAsk { scope: scope("openid email"), ..LoginAsk::default() }
}

async fn sign_in(abroad: &mut Abroad, client: &Client, ask: LoginAsk) -> Tokens {
    let login = client.begin_login(ask, crate::peer::REDIRECT_URI).await.expect("begun");
    let answer = abroad.answer(login.url()).await;
    client.finish_login(login, &answer).await.expect("tokens")
}

/// The names of the parameters that go through the browser.
async fn sent(client: &Client, ask: LoginAsk) -> (String, Vec<String>) {
    let login = client.begin_login(ask, crate::peer::REDIRECT_URI).await.expect("begun");
    let query = login.url().split_once('?').expect("a query").1.to_owned();
    let names = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.into_owned());
    (query.clone(), names.collect())
}

/// A login is good for UserInfo and for refreshes, each of which brings a new refresh token and ends the old one; and
/// given back it is good for nothing.
async fn assert_signs_in(abroad: &mut Abroad, client_id: &str) {
    let client = abroad.client(client_id).await;
    let tokens = sign_in(abroad, &client, openid()).await;
    assert_eq!(tokens.token_type, TokenType::Dpop, "{client_id}");
    assert_eq!(tokens.subject.as_deref(), Some("alice"), "{client_id}");
    let claims = client.userinfo(&tokens).await.expect("claims");
    assert_eq!(claims["email"], "alice@example.org", "{client_id}");
    let (mut current, mut spent) = (tokens, Vec::new());
    for _ in 0..3 {
        let renewed = client.refresh(&current).await.expect("tokens");
        assert_ne!(renewed.refresh_token, current.refresh_token, "{client_id}");
        assert_ne!(renewed.access_token, current.access_token, "{client_id}");
        assert_eq!(renewed.token_type, TokenType::Dpop, "{client_id}");
        client.userinfo(&renewed).await.expect("claims");
        spent.push(std::mem::replace(&mut current, renewed));
    }
    client.revoke_all(&current).await.expect("given back");
    assert_eq!(refusal(client.refresh(&current).await), "invalid_grant", "{client_id}");
    let error = client.userinfo(&current).await.expect_err("no claims");
    assert!(error.to_string().contains("401"), "{client_id}: {error}");
    for old in spent {
        assert_eq!(refusal(client.refresh(&old).await), "invalid_grant", "{client_id}");
    }
}

#[tokio::test]
async fn cl_non_01_cl_flw_06_fapi_cl_04_signing_in_with_nonces() {
    let mut abroad = start(json!({ "nonces": true })).await;
    for client_id in ["public", "secret", "post", "key"] {
        assert_signs_in(&mut abroad, client_id).await;
    }
    // Each of the four clients is asked once at the token endpoint and once at UserInfo: then it knows a nonce of each.
    assert_eq!(abroad.challenges().await, 8);
}

#[tokio::test]
async fn cl_non_08_cl_tok_05_signing_in_without_nonces() {
    let mut abroad = start(json!({ "nonces": false })).await;
    for client_id in ["public", "secret", "post", "key"] {
        assert_signs_in(&mut abroad, client_id).await;
    }
    assert_eq!(abroad.challenges().await, 0);
}

/// Another key cannot refresh what a public client holds.
#[tokio::test]
async fn cl_key_03_a_refresh_token_of_a_public_client_is_bound_abroad_too() {
    let mut abroad = start(json!({ "nonces": true })).await;
    let client = abroad.client("public").await;
    let tokens = sign_in(&mut abroad, &client, openid()).await;
    let thief = abroad.client("public").await;
    assert_eq!(refusal(thief.refresh(&tokens).await), "invalid_grant");
}

#[tokio::test]
async fn cl_flw_05_fapi_cl_01_a_request_that_must_be_pushed() {
    for nonces in [true, false] {
        let mut abroad = start(json!({ "nonces": nonces, "require_pushed": true })).await;
        for client_id in ["public", "secret", "key"] {
            let client = abroad.client(client_id).await;
            let (query, names) = sent(&client, openid()).await;
            assert_eq!(names, ["client_id", "request_uri"], "{query}");
            let tokens = sign_in(&mut abroad, &client, openid()).await;
            assert_eq!(tokens.subject.as_deref(), Some("alice"));
        }
        // Plainly it would have been refused.
        let plain = LoginAsk { pushed: When::Never, ..openid() };
        let client = abroad.client("public").await;
        assert!(client.begin_login(plain, crate::peer::REDIRECT_URI).await.is_err());
    }
}

/// JARM, plain and with a signed request, in the query and (for a client that says so) pushed.
#[tokio::test]
async fn cl_flw_08_signed_answers_and_signed_requests() {
    let mut abroad = start(json!({ "nonces": true })).await;
    let client = abroad.client("key").await;
    for signed in [When::Never, When::Always] {
        for pushed in [When::Never, When::Always] {
            let ask = LoginAsk { response: ResponseMode::QueryJwt, signed, pushed, ..openid() };
            let login = client.begin_login(ask, crate::peer::REDIRECT_URI).await.expect("begun");
            let answer = abroad.answer(login.url()).await;
            let form = Form::parse_query(answer.reveal()).expect("a form");
            assert!(
                form.secret("response").is_some() && form.secret("code").is_none(),
                "{signed:?} {pushed:?}"
            );
            let tokens = client.finish_login(login, &answer).await.expect("tokens");
            assert_eq!(tokens.subject.as_deref(), Some("alice"));
            // The next answer is another login's.
            let ask = LoginAsk { response: ResponseMode::QueryJwt, signed, pushed, ..openid() };
            let other = client.begin_login(ask, crate::peer::REDIRECT_URI).await.expect("begun");
            assert!(client.finish_login(other, &answer).await.is_err());
        }
    }
}

#[tokio::test]
async fn cl_flw_11_a_login_on_another_device() {
    for nonces in [true, false] {
        let mut abroad = start(json!({ "nonces": nonces })).await;
        for client_id in ["public", "key"] {
            let client = abroad.client(client_id).await;
            let pending = client.begin_device(TokenAsk::scope(scope("openid email"))).await.expect("begun");
            let page = pending.verification_uri_complete().expect("a page").to_owned();
            let done = abroad.visit(&page).await;
            assert!(done.contains("Success") || done.contains("success"), "{done}");
            let tokens = client.finish_device(pending, tokio::time::sleep).await.expect("tokens");
            assert_eq!(tokens.subject.as_deref(), Some("alice"), "{client_id}");
            assert_eq!(client.userinfo(&tokens).await.expect("claims")["email"], "alice@example.org");
        }
    }
}

/// For itself, with each way to show who it is; and the guards of others serve it.
#[tokio::test]
async fn fapi_cl_01_fapi_cl_03_client_credentials_and_guards_of_others() {
    let abroad = start(json!({ "nonces": true })).await;
    let guards = Guards::start(&abroad.issuer, AUDIENCE).await;
    for client_id in ["secret", "post", "key"] {
        let client = abroad.client(client_id).await;
        let tokens = client.client_credentials(scope("read"), resource()).await.expect("tokens");
        assert_eq!(tokens.token_type, TokenType::Dpop);
        guards.assert_serve(&client, &tokens).await;
    }
}

/// A user's tokens for an API, before and after a refresh.
#[tokio::test]
async fn cl_tok_02_cl_prf_04_the_users_tokens_and_guards_of_others() {
    let mut abroad = start(json!({ "nonces": true })).await;
    let guards = Guards::start(&abroad.issuer, AUDIENCE).await;
    let client = abroad.client("public").await;
    let ask = LoginAsk { scope: scope("openid read"), resources: resource(), ..LoginAsk::default() };
    let tokens = sign_in(&mut abroad, &client, ask).await;
    guards.assert_serve(&client, &tokens).await;
    let renewed = client.refresh(&tokens).await.expect("tokens");
    guards.assert_serve(&client, &renewed).await;
    // A token that was not for the API is refused there, and no way around is tried.
    let other = sign_in(&mut abroad, &client, openid()).await;
    for (name, url) in guards.urls() {
        let session = client.session("default", other.clone(), Origins::of([url.as_str()]).expect("origins"));
        let refused = send(&api(&client, session), &url).await.expect("an answer");
        assert!(matches!(refused.status().as_u16(), 400 | 401), "{name}: {refused:?}");
    }
}
