//! Our client at the authorization server of the AT Protocol, `@atproto/oauth-provider`: requests are pushed, proofs have
//! nonces at both kinds of server, and clients are known by the URL of their metadata.

use crate::abroad::{Abroad, api, at, refusal, scope, send};
use crate::peer::REDIRECT_URI;
use keybound_client::client::Client;
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::flow::authorization_code::{LoginAsk, When};
use keybound_client::session::Origins;
use keybound_client::tokens::Tokens;
use keybound_dpop::secret::Secret;
use keybound_oauth::token::TokenType;
use serde_json::{Value, json};

/// A client that is known by the URL of its metadata, one that authenticates with a key besides, and one that runs on
/// this machine and is known by nothing.
const CLIENTS: [&str; 3] = [
    "https://app.example.com/native.json",
    "https://app.example.com/web.json",
    "http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&scope=atproto",
];

fn redirect_uri(client_id: &str) -> &'static str {
    if client_id == CLIENTS[1] { "https://app.example.com/callback" } else { REDIRECT_URI }
}

async fn start() -> Abroad {
    Abroad::start("atproto_issuer.mjs", json!({})).await
}

async fn client(abroad: &Abroad, client_id: &str) -> Client {
    let auth = if client_id == CLIENTS[1] { abroad.key_auth() } else { ClientAuth::None };
    at(&abroad.issuer, client_id, auth).await
}

fn ask() -> LoginAsk {
    LoginAsk { scope: scope("atproto"), ..LoginAsk::default() }
}

async fn sign_in(abroad: &mut Abroad, client: &Client) -> Tokens {
    let redirect_uri = redirect_uri(client.identity().client_id.as_str());
    let login = client.begin_login(ask(), redirect_uri).await.expect("begun");
    assert!(login.url().contains("request_uri=") && !login.url().contains("scope="), "{}", login.url());
    let came_back = abroad.visit(login.url()).await;
    let (before, query) = came_back.split_once('?').unwrap_or_else(|| panic!("no answer: {came_back}"));
    assert_eq!(before, redirect_uri);
    client.finish_login(login, &Secret::new(query)).await.expect("tokens")
}

async fn call(abroad: &Abroad, client: &Client, tokens: &Tokens) -> (u16, Value) {
    let url = format!("{}/xrpc/orders?page=1", abroad.issuer);
    let session = client.session("default", tokens.clone(), Origins::of([url.as_str()]).expect("origins"));
    let answer = send(&api(client, session), &url).await.expect("an answer");
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
}

#[tokio::test]
async fn cl_flw_05_cl_non_01_cl_tok_05_signing_in_refreshing_and_calling_at_atproto() {
    let mut abroad = start().await;
    for client_id in CLIENTS {
        let client = client(&abroad, client_id).await;
        let tokens = sign_in(&mut abroad, &client).await;
        assert_eq!(tokens.token_type, TokenType::Dpop, "{client_id}");
        let (status, body) = call(&abroad, &client, &tokens).await;
        assert_eq!((status, &body["client"]), (200, &json!(client_id)), "{body}");
        let renewed = client.refresh(&tokens).await.expect("tokens");
        assert_ne!(renewed.refresh_token, tokens.refresh_token);
        assert_eq!(call(&abroad, &client, &renewed).await.0, 200, "{client_id}");
        client.revoke_all(&renewed).await.expect("given back");
        assert_eq!(refusal(client.refresh(&renewed).await), "invalid_grant", "{client_id}");
    }
}

/// A refresh token that was used before ends the login.
#[tokio::test]
async fn cl_tok_05_fapi_cl_04_refresh_tokens_rotate_at_atproto() {
    let mut abroad = start().await;
    let client = client(&abroad, CLIENTS[0]).await;
    let tokens = sign_in(&mut abroad, &client).await;
    let renewed = client.refresh(&tokens).await.expect("tokens");
    let again = client.refresh(&renewed).await.expect("tokens");
    assert_eq!(refusal(client.refresh(&tokens).await), "invalid_grant");
    assert_eq!(refusal(client.refresh(&again).await), "invalid_grant");
}

/// Tokens are good with the key of the login, and with no other.
#[tokio::test]
async fn cl_key_03_tokens_are_bound_at_atproto() {
    let mut abroad = start().await;
    let (client, thief) = (client(&abroad, CLIENTS[0]).await, client(&abroad, CLIENTS[0]).await);
    let tokens = sign_in(&mut abroad, &client).await;
    assert_eq!(call(&abroad, &client, &tokens).await.0, 200);
    let (status, _) = call(&abroad, &thief, &tokens).await;
    assert!(matches!(status, 400 | 401), "{status}");
    assert!(matches!(thief.refresh(&tokens).await, Err(ClientError::Token(_))));
}

/// What the server requires is not left out because a caller would rather not: there is no login.
#[tokio::test]
async fn cl_flw_05_a_request_that_must_be_pushed_is_not_sent_plainly_to_atproto() {
    let abroad = start().await;
    let client = client(&abroad, CLIENTS[0]).await;
    let plain = LoginAsk { pushed: When::Never, ..ask() };
    assert!(client.begin_login(plain, REDIRECT_URI).await.is_err());
}
