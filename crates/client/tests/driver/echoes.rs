//! A server that repeats what was sent to it in what it says of an error, which is shown and logged.

use crate::mock::{Mock, Seen, client_at, reply, transport};
use axum::body::Body;
use http::Response;
use keybound_client::client::Client;
use keybound_client::client_auth::ClientAuth;
use keybound_client::flow::ask::TokenAsk;
use keybound_client::flow::authorization_code::LoginAsk;
use keybound_client::flow::registration::{InitialAccess, Registration};
use keybound_client::flow::revocation::TokenKind;
use keybound_client::flow::token_exchange::ExchangeAsk;
use keybound_client::tokens::Tokens;
use keybound_dpop::secret::Secret;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::form::Form;
use keybound_oauth::registration::RegistrationRequest;
use keybound_oauth::scope::Scope;
use keybound_oauth::token::TokenType;
use serde_json::json;

/// Says no, and repeats body and credentials.
fn echo(seen: &Seen, _: usize) -> Response<Body> {
    let form = seen.form();
    let told: Vec<_> = form.names().filter_map(|name| form.get(name)).collect();
    let told = told.join(" ");
    let body = json!({ "error": "invalid_grant", "error_description": format!("not good: {told}") });
    reply(400, &[], &body.to_string())
}

async fn client() -> (Mock, Client) {
    let mock = Mock::start(echo).await;
    let endpoint = |path: &str| format!("{}/{path}", mock.origin);
    let besides = json!({
        "revocation_endpoint": endpoint("revoke"),
        "device_authorization_endpoint": endpoint("device"),
    });
    let auth = ClientAuth::SecretPost(Secret::new("hunter2-client"));
    let client = client_at(&mock.origin, besides, auth);
    (mock, client)
}

fn shown<T: std::fmt::Debug, E: std::error::Error>(result: Result<T, E>) -> String {
    let Err(error) = result else { panic!("refused") };
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hunter2") && text.contains("[redacted]"), "{text}");
    text
}

#[tokio::test]
async fn cl_key_02_an_error_does_not_show_what_was_handed_in() {
    let (mock, client) = client().await;
    let secret = |name: &str| Secret::new(format!("hunter2-{name}"));
    let tokens = Tokens {
        access_token: secret("access"),
        token_type: TokenType::Dpop,
        refresh_token: Some(secret("refresh")),
        scope: Scope::parse("read").ok(),
        authorization_details: AuthorizationDetails::default(),
        expires_at: None,
        id_token: None,
        subject: None,
    };
    assert!(shown(client.refresh(&tokens).await).contains("not good"), "the rest of it is shown");
    shown(client.exchange_token(ExchangeAsk::access_token(secret("subject"))).await);
    shown(client.client_credentials(None, Vec::new()).await);
    shown(client.revoke(&tokens.access_token, TokenKind::Access).await);
    shown(client.begin_device(TokenAsk::default()).await);
    let login = client.begin_login(LoginAsk::default(), "http://127.0.0.1:1/cb").await.expect("begun");
    let query = Form::parse_query(login.url().split_once('?').expect("a query").1).expect("a form");
    let state = query.get("state").expect("a state");
    let kept = login.to_json();
    let verifier = kept.split("\"verifier\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let answer = Secret::new(format!("code=hunter2-code&state={state}&iss={}", mock.origin));
    let told = shown(client.finish_login(login, &answer).await);
    assert!(!told.contains(verifier.expect("a verifier")), "{told}");
}

#[tokio::test]
async fn cl_key_02_nor_does_one_of_a_registration() {
    let mock = Mock::start(|seen, _| {
        let body = json!({ "error": "invalid_client_metadata", "error_description": seen.authorization() });
        reply(400, &[], &body.to_string())
    })
    .await;
    let (_, client) = client().await;
    let mut server = client.server().clone();
    let endpoint = format!("{}/register", mock.origin);
    server.endpoints.registration_endpoint = keybound_oauth::identifier::Endpoint::parse(&endpoint).ok();
    let request = RegistrationRequest { metadata: serde_json::Map::new(), ..RegistrationRequest::default() };
    let access = InitialAccess::Bearer(Secret::new("hunter2-initial"));
    shown(transport().register(&server, &request, &access).await);
    let json = json!({
        "client_id": "c1", "registration_access_token": "hunter2-access", "registration_client_uri": endpoint,
    });
    let registration = Registration::parse(json.to_string().as_bytes()).expect("a registration");
    shown(transport().read_registration(&registration).await);
    shown(transport().update_registration(&registration, &request).await);
    shown(transport().delete_registration(&registration).await);
}
