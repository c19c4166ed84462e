//! An honest client, and what it must not give away.

use crate::server::Hostile;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Collected, Full};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client::Client;
use keybound_client::client_auth::{ClientAuth, Identity};
use keybound_client::flow::authorization_code::{LoginAsk, PendingLogin};
use keybound_client::middleware::{DpopLayer, SendError};
use keybound_client::prover::Prover;
use keybound_client::session::{Origins, Session};
use keybound_client::shared_session::{SharedSession, Upkeep};
use keybound_client::tokens::Tokens;
use keybound_client::transport::Transport;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::SystemClock;
use keybound_e2e::TurnedClock;
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::authorization::AuthorizationRequest;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::form::Form;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::scope::Scope;
use keybound_oauth::token::TokenType;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tower::{Layer, ServiceExt};

/// What the client authenticates with.
pub(crate) const CLIENT_SECRET: &str = "hunter2-of-the-client";
/// A code that a server gave it.
pub(crate) const CODE: &str = "c0de-of-the-user";
/// An access token.
pub(crate) const TOKEN: &str = "access-of-the-user";
/// A refresh token.
pub(crate) const REFRESH: &str = "refresh-of-the-user";
/// What a request has in its body.
pub(crate) const BODY: &str = "letter-of-the-user";

/// All of it.
pub(crate) const SECRETS: [&str; 5] = [CLIENT_SECRET, CODE, TOKEN, REFRESH, BODY];

/// Where the browser brings the answer to.
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:9/cb";

/// For how long the client waits for an answer: longer than a busy machine takes for one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One for all tests: to read the system's trusted roots takes a while, and no connection outlives its answer.
static FETCHER: LazyLock<Fetcher> = LazyLock::new(|| Fetcher::for_operator(&settings()).expect("a fetcher"));

pub(crate) fn transport() -> Transport {
    Transport::over(FETCHER.clone())
}

pub(crate) fn settings() -> Settings {
    Settings { timeout: PATIENCE, connect_timeout: PATIENCE, ..Settings::default() }
}

pub(crate) fn prover() -> Prover {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    Prover::new(Arc::new(key), Arc::default(), Arc::new(TurnedClock::default()))
}

/// One by the system's clock, for servers that look at theirs.
pub(crate) fn running_prover() -> Prover {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    Prover::new(Arc::new(key), Arc::default(), Arc::new(SystemClock::start()))
}

/// What an issuer says of itself.
pub(crate) fn metadata(origin: &str) -> Value {
    json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "jwks_uri": format!("{origin}/jwks"),
        "dpop_signing_alg_values_supported": ["ES256"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

/// A client with a secret at that server.
pub(crate) fn client(origin: &str) -> Client {
    client_of(&metadata(origin), ClientAuth::SecretBasic(Secret::new(CLIENT_SECRET)))
}

/// A client that shows itself so, at the server that says this of itself.
pub(crate) fn client_of(metadata: &Value, auth: ClientAuth) -> Client {
    client_over(transport(), metadata, auth)
}

pub(crate) fn client_over(transport: Transport, metadata: &Value, auth: ClientAuth) -> Client {
    let issuer = Issuer::parse(metadata["issuer"].as_str().expect("an issuer")).expect("an issuer");
    let server = ProviderMetadata::parse(metadata.to_string().as_bytes(), &issuer).expect("metadata");
    let identity = Identity { client_id: ClientId::parse("app").expect("a client"), auth };
    Client::new(transport, server, identity, prover())
}

pub(crate) fn tokens() -> Tokens {
    Tokens {
        access_token: Secret::new(TOKEN),
        token_type: TokenType::Dpop,
        refresh_token: Some(Secret::new(REFRESH)),
        scope: None,
        expires_at: None,
        id_token: None,
        subject: None,
        authorization_details: AuthorizationDetails::default(),
    }
}

pub(crate) fn session(prover: &Prover, issuer: &str, resources: &[&str]) -> Session {
    Session {
        issuer: Issuer::parse(issuer).expect("an issuer"),
        client_id: ClientId::parse("app").expect("a client"),
        key: "default".to_owned(),
        jkt: prover.jkt(),
        tokens: tokens(),
        origins: Origins::of(resources.iter().copied()).expect("origins"),
    }
}

/// Calls to that server with a token of another one.
pub(crate) fn api(resource: &Hostile, settings: ApiSettings) -> Api {
    let prover = prover();
    let session = session(&prover, "https://id.example", &[&resource.origin]);
    Api::new(transport(), prover, session, settings).expect("an API")
}

pub(crate) fn get(origin: &str) -> Request<Bytes> {
    Request::get(format!("{origin}/orders?page=1")).body(Bytes::new()).expect("a request")
}

pub(crate) fn post(origin: &str) -> Request<Bytes> {
    let request = Request::builder().method(Method::POST).uri(format!("{origin}/orders"));
    request.body(Bytes::from_static(BODY.as_bytes())).expect("a request")
}

/// A login that has begun, with what the browser carries to the server.
pub(crate) async fn begin(client: &Client) -> (PendingLogin, AuthorizationRequest) {
    begin_asking(client, LoginAsk { scope: Scope::parse("openid").ok(), ..LoginAsk::default() }).await
}

pub(crate) async fn begin_asking(client: &Client, ask: LoginAsk) -> (PendingLogin, AuthorizationRequest) {
    let login = client.begin_login(ask, REDIRECT_URI).await.expect("begun");
    let query = login.url().split_once('?').expect("a query").1;
    let sent = AuthorizationRequest::parse(&Form::parse_query(query).expect("a form")).expect("a request");
    (login, sent)
}

/// The same, and the user must have signed in no longer ago than that.
pub(crate) async fn begin_recently(
    client: &Client,
    max_age_secs: u64,
) -> (PendingLogin, AuthorizationRequest) {
    let scope = Scope::parse("openid").ok();
    begin_asking(client, LoginAsk { scope, max_age_secs: Some(max_age_secs), ..LoginAsk::default() }).await
}

/// Sends a request with a token for that server through the tower layer, over a client that is not ours.
pub(crate) async fn layered(
    resource: &Hostile,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, SendError<legacy::Error>> {
    let prover = prover();
    let session = session(&prover, "https://id.example", &[&resource.origin]);
    let session = SharedSession::new(prover, session, Upkeep::default()).expect("a session");
    let client = legacy::Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let service = DpopLayer::new(session).layer(client);
    let (head, body) = service.oneshot(request.map(Full::new)).await?.into_parts();
    let body = body.collect().await.map_or_else(|_| Bytes::new(), Collected::to_bytes);
    Ok(Response::from_parts(head, body))
}
