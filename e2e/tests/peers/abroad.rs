//! Our client library at issuers and APIs of other people.

use crate::peer::{KEY_ID, PATIENCE, Peer, REDIRECT_URI, SECRET, Stage};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client::Client;
use keybound_client::client_auth::{ClientAuth, Identity};
use keybound_client::discover::choose_algorithm;
use keybound_client::error::ClientError;
use keybound_client::middleware::{DpopClient, DpopLayer};
use keybound_client::prover::Prover;
use keybound_client::session::Origins;
use keybound_client::shared_session::{SharedSession, Upkeep};
use keybound_client::tokens::Tokens;
use keybound_client::transport::Transport;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::SystemClock;
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::identifier::{ClientId, Issuer, ResourceId};
use keybound_oauth::scope::Scope;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::{Layer, ServiceExt};

/// What the guarded API is called at the issuers.
pub(crate) const AUDIENCE: &str = "https://api.example/";

/// An issuer, with somebody who signs in there.
pub(crate) struct Abroad {
    pub(crate) issuer: String,
    stage: Stage,
    key: Arc<SigningKey>,
}

impl Abroad {
    /// Starts one of that script, with this said to it besides.
    pub(crate) async fn start(script: &'static str, more: Value) -> Self {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let mut jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).expect("JSON");
        (jwk["kid"], jwk["alg"]) = (KEY_ID.into(), "ES256".into());
        let mut setting = json!({ "redirect_uri": REDIRECT_URI, "client_secret": SECRET, "client_key": jwk });
        for (name, value) in more.as_object().expect("an object") {
            setting[name] = value.clone();
        }
        let mut stage = Peer::Node(script).stage("issue", &setting);
        let said = tokio::time::timeout(PATIENCE, stage.next()).await.expect("it starts in time");
        let issuer = said["issuer"].as_str().unwrap_or_else(|| panic!("no issuer: {said}")).to_owned();
        Self { issuer, stage, key: Arc::new(key) }
    }

    /// How often the issuer asked for a nonce until now.
    pub(crate) async fn challenges(&mut self) -> u64 {
        self.stage.say("challenges").await;
        let said = tokio::time::timeout(PATIENCE, self.stage.next()).await.expect("it answers in time");
        said["challenges"].as_u64().unwrap_or_else(|| panic!("no number: {said}"))
    }

    /// Sends the browser there, where its user signs in and allows. Gives where it came back to.
    pub(crate) async fn visit(&mut self, url: &str) -> String {
        self.stage.say(url).await;
        let said = tokio::time::timeout(PATIENCE, self.stage.next()).await.expect("it ends in time");
        said["came_back"].as_str().unwrap_or_else(|| panic!("not back from {url}: {said}")).to_owned()
    }

    /// The query of the URL that it came back to.
    pub(crate) async fn answer(&mut self, url: &str) -> Secret {
        let came_back = self.visit(url).await;
        let query = came_back.strip_prefix(REDIRECT_URI).and_then(|rest| rest.strip_prefix('?'));
        Secret::new(query.unwrap_or_else(|| panic!("no answer: {came_back}")))
    }

    /// Authentication with the key of which the issuer knows.
    pub(crate) fn key_auth(&self) -> ClientAuth {
        let signer = Arc::<SigningKey>::clone(&self.key);
        ClientAuth::PrivateKeyJwt { signer, kid: Some(KEY_ID.to_owned()) }
    }

    /// The client of that name, with a key of its own for proofs.
    pub(crate) async fn client(&self, client_id: &str) -> Client {
        let auth = match client_id {
            "secret" => ClientAuth::SecretBasic(Secret::new(SECRET)),
            "post" => ClientAuth::SecretPost(Secret::new(SECRET)),
            "key" => self.key_auth(),
            _ => ClientAuth::None,
        };
        at(&self.issuer, client_id, auth).await
    }
}

/// A client at that issuer, of which it knows what its metadata says.
pub(crate) async fn at(issuer: &str, client_id: &str, auth: ClientAuth) -> Client {
    let transport = transport();
    let issuer = Issuer::parse(issuer).expect("an issuer");
    let server = transport.discover(&issuer).await.expect("metadata");
    let key = SigningKey::generate(choose_algorithm(&server, None).expect("an algorithm")).expect("a key");
    let prover = Prover::new(Arc::new(key), Arc::default(), Arc::new(SystemClock::start()));
    Client::new(
        transport,
        server,
        Identity { client_id: ClientId::parse(client_id).expect("a client"), auth },
        prover,
    )
}

pub(crate) fn transport() -> Transport {
    Transport::over(Fetcher::for_operator(&Settings::default()).expect("a fetcher"))
}

pub(crate) fn scope(text: &str) -> Option<Scope> {
    Some(Scope::parse(text).expect("a scope"))
}

/// The guarded API, as what is asked for.
pub(crate) fn resource() -> Vec<ResourceId> {
    vec![ResourceId::parse(AUDIENCE).expect("a resource")]
}

/// The same API behind two guards.
pub(crate) struct Guards {
    _stage: Stage,
    doors: [(&'static str, String); 2],
}

impl Guards {
    /// Guards that take tokens of that issuer for that audience.
    pub(crate) async fn start(issuer: &str, audience: &str) -> Self {
        let setting = json!({ "issuer": issuer, "audience": audience });
        let mut stage = Peer::Node("guarded_api.mjs").stage("guard", &setting);
        let said = tokio::time::timeout(PATIENCE, stage.next()).await.expect("it starts in time");
        let door = |name: &str| said[name].as_str().unwrap_or_else(|| panic!("no door: {said}")).to_owned();
        let doors = [("express", door("express")), ("oauth4webapi", door("validator"))];
        Self { _stage: stage, doors }
    }

    /// Where they are.
    pub(crate) fn urls(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.doors.iter().map(|(name, door)| (*name, format!("{door}/orders?page=1")))
    }

    /// Both serve these tokens by the key that they are bound to, each method, one call after another; and by no other
    /// key, and not as a bearer token.
    pub(crate) async fn assert_serve(&self, client: &Client, tokens: &Tokens) {
        let thief = crate::abroad::at(
            client.server().issuer.as_str(),
            client.identity().client_id.as_str(),
            ClientAuth::None,
        );
        let thief = thief.await;
        for (name, url) in self.urls() {
            let session =
                client.session("default", tokens.clone(), Origins::of([url.as_str()]).expect("origins"));
            let api = api(client, session);
            for method in ["GET", "POST", "PUT"] {
                let request =
                    Request::builder().method(method).uri(&url).body(Bytes::new()).expect("a request");
                let answer = api.send(request).await.expect("an answer");
                let body: Value =
                    serde_json::from_slice(answer.body()).unwrap_or_else(|_| panic!("{answer:?}"));
                let client_id = client.identity().client_id.as_str();
                assert_eq!(
                    (answer.status().as_u16(), body),
                    (200, json!({ "by": name, "client": client_id }))
                );
            }
            let answer = layered(client, tokens, &url).await;
            let body: Value = serde_json::from_slice(&answer).unwrap_or_else(|_| panic!("{answer:?}"));
            assert_eq!(body["by"], name);
            assert_eq!(through_reqwest(client, tokens, &url).await["by"], name);
            let stolen =
                thief.session("default", tokens.clone(), Origins::of([url.as_str()]).expect("origins"));
            let refused = send(&crate::abroad::api(&thief, stolen), &url).await.expect("an answer");
            assert!(matches!(refused.status().as_u16(), 400 | 401), "{name}: {refused:?}");
            let bearer = format!("Bearer {}", tokens.access_token.reveal());
            let request =
                Request::get(&url).header("authorization", bearer).body(Bytes::new()).expect("a request");
            let refused = transport().fetcher().send(request).await.expect("an answer");
            assert!(matches!(refused.status().as_u16(), 400 | 401), "{name}: {refused:?}");
        }
    }
}

/// Calls with a session that nobody renews.
pub(crate) fn api(client: &Client, session: keybound_client::session::Session) -> Api {
    Api::new(transport(), client.prover().clone(), session, ApiSettings::default()).expect("an API")
}

pub(crate) async fn send(api: &Api, url: &str) -> Result<Response<Bytes>, ClientError> {
    api.send(Request::get(url).body(Bytes::new()).expect("a request")).await
}

/// The error code that the token endpoint answered with.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> String {
    match result {
        Err(ClientError::Token(keybound_client::token_endpoint::TokenError::Refused { body, .. })) => {
            body.error
        }
        other => panic!("no refusal: {other:?}"),
    }
}

/// The body of the answer to a request that goes through the tower layer, over a client that is not ours.
async fn layered(client: &Client, tokens: &Tokens, url: &str) -> Bytes {
    let session = client.session("default", tokens.clone(), Origins::of([url]).expect("origins"));
    let session = SharedSession::new(client.prover().clone(), session, Upkeep::default()).expect("a session");
    let http = legacy::Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let request = Request::post(url).body(Full::new(Bytes::from_static(b"{}"))).expect("a request");
    let answer = DpopLayer::new(session).layer(http).oneshot(request).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{answer:?}");
    answer.into_body().collect().await.expect("a body").to_bytes()
}

/// The answer to a request of `reqwest`.
#[expect(clippy::disallowed_methods, reason = "the builder is what a caller of DpopClient brings")]
async fn through_reqwest(client: &Client, tokens: &Tokens, url: &str) -> Value {
    let session = client.session("default", tokens.clone(), Origins::of([url]).expect("origins"));
    let session = SharedSession::new(client.prover().clone(), session, Upkeep::default()).expect("a session");
    let client = DpopClient::build(reqwest::Client::builder(), session).expect("a client");
    let request = client.http().put(url).body("{}").build().expect("a request");
    let answer = client.execute(request).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{answer:?}");
    serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
}
