//! Everybody who takes part: an issuer, the decision point, the API, the proxy in front of it, and a caller with a key.

use crate::caller;
use crate::proxy::{Neighbours, Proxy, Running, front};
use axum::extract::Request as AxumRequest;
use axum::response::IntoResponse;
use axum::routing::any;
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::Full;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::time::Clock;
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::servers::{Record, serve};
use keybound_e2e::{Answer, Forge, TurnedClock};
use keybound_gateway::{Config, DecisionService};
use keybound_serve::{Options, Server, bind};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

pub(crate) struct Stage {
    /// The origin of the API as callers know it.
    pub(crate) origin: String,
    /// What the API was asked.
    pub(crate) at_api: Record,
    /// Where the decision point is.
    pub(crate) decision: SocketAddr,
    pub(crate) clock: Arc<TurnedClock>,
    /// The caller's key.
    pub(crate) key: SigningKey,
    issuer: String,
    issuer_key: SigningKey,
    certificate: String,
    proxy: Running,
    _nobody: Option<TcpSocket>,
}

/// One request, good until a test says otherwise.
pub(crate) struct Call<'s> {
    stage: &'s Stage,
    method: &'static str,
    target: String,
    fields: Vec<(String, String)>,
    body: Bytes,
    version: Version,
}

impl Stage {
    /// With what we ship.
    pub(crate) async fn behind(proxy: Proxy) -> Self {
        Self::with(proxy, |text| text).await
    }

    /// With what we ship, and a change to the gateway's file.
    pub(crate) async fn with(proxy: Proxy, change: impl FnOnce(String) -> String) -> Self {
        Self::asking(proxy, None, change, |text| text).await
    }

    /// With what we ship, and a change to the proxy's file.
    pub(crate) async fn with_proxy(proxy: Proxy, change: impl FnOnce(String) -> String) -> Self {
        Self::asking(proxy, None, |text| text, change).await
    }

    /// The same, but nobody listens where the proxy asks.
    pub(crate) async fn without_decision(proxy: Proxy) -> Self {
        // Bound, so that nobody else takes the port.
        let nobody = TcpSocket::new_v4().expect("a socket");
        nobody.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let there = nobody.local_addr().expect("an address");
        Self { _nobody: Some(nobody), ..Self::asking(proxy, Some(there), |text| text, |text| text).await }
    }

    /// The same, but who listens where the proxy asks says this, whatever it is asked, and hangs up.
    pub(crate) async fn with_words(proxy: Proxy, words: Vec<u8>) -> Self {
        let door = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let there = door.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = door.accept().await {
                let mut some = [0; 65536];
                let asked = stream.read(&mut some).await;
                // Who does not wait for the end has heard enough.
                let _ = asked.and(stream.write_all(&words).await);
            }
        });
        Self::asking(proxy, Some(there), |text| text, |text| text).await
    }

    /// The same, but who listens where the proxy asks says nothing.
    pub(crate) async fn with_silence(proxy: Proxy) -> Self {
        let door = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let there = door.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok(taken) = door.accept().await {
                held.push(taken);
            }
        });
        Self::asking(proxy, Some(there), |text| text, |text| text).await
    }

    async fn asking(
        proxy: Proxy,
        instead: Option<SocketAddr>,
        change: impl FnOnce(String) -> String,
        change_proxy: impl FnOnce(String) -> String,
    ) -> Self {
        let issuer_key = new_key();
        let (issuer, _) = serve("issuer", any(issuer_of(&issuer_key))).await;
        let (api, at_api) = serve("api", any(api)).await;
        let door = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port");
        let decision = door.local_addr().expect("an address");
        let public = front().await;
        let origin = format!("https://api.example:{}", public.port());
        let shipped = fs::read_to_string(proxy.folder().join("gateway.toml")).expect("what we ship");
        let text = shipped
            .replace("https://api.example", &origin)
            .replace("https://id.example", &issuer)
            .replace("127.0.0.1:9000", &decision.to_string());
        let config = Config::parse(&change(text)).expect("a configuration");
        let clock = Arc::new(TurnedClock::default());
        let gateway = keybound_gateway::service(&config, Arc::clone(&clock) as Arc<dyn Clock>);
        let asked = config.decision.as_ref().expect("a decision point");
        let service = DecisionService::new(&gateway.expect("a gateway"), asked);
        let server = Server::new(door, service, Options::new("decision")).expect("a server");
        tokio::spawn(server.run(std::future::pending()));
        let made = rcgen::generate_simple_self_signed(vec!["api.example".to_owned()]).expect("a certificate");
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let api = api.strip_prefix("http://").expect("an origin").parse().expect("an address");
        let asked = instead.unwrap_or(decision);
        let neighbours = Neighbours { public, decision: asked, api, certificate: certificate.clone(), key };
        let proxy = proxy.start(&neighbours, change_proxy).await;
        let key = new_key();
        Self { origin, at_api, decision, clock, key, issuer, issuer_key, certificate, proxy, _nobody: None }
    }

    /// A question as a proxy asks it, from that address of this machine, for GET /orders; what came back, as text.
    pub(crate) async fn ask_directly(&self, proxy: Proxy, from: &str, token: &str, proof: &str) -> String {
        let host = self.origin.strip_prefix("https://").expect("an origin");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(format!("{from}:0").parse().expect("an address")).expect("bound");
        let mut stream = socket.connect(self.decision).await.expect("connected");
        let (path, start) = match proxy {
            Proxy::Nginx | Proxy::Haproxy => ("/check", "X-Original"),
            Proxy::Caddy => ("/check", "X-Forwarded"),
            Proxy::EnvoyGrpc | Proxy::EnvoyHttp => ("/check/orders", "X-Unused"),
        };
        let question = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n{start}-Method: GET\r\n{start}-Uri: /orders\r\n\
             {start}-Host: {host}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(question.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    /// A token of the caller.
    pub(crate) fn token(&self, scope: &str) -> String {
        self.token_with(scope, |_| ())
    }

    /// A token that is not as it should be.
    pub(crate) fn token_with(&self, scope: &str, change: impl FnOnce(&mut Value)) -> String {
        let now = self.clock.unix().as_secs();
        let mut claims = json!({
            "iss": self.issuer, "sub": "alice d'or", "aud": self.origin, "client_id": "app", "scope": scope,
            "iat": now, "exp": now + 3600, "jti": "t", "cnf": { "jkt": jkt(&self.key) },
        });
        change(&mut claims);
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k1" });
        Forge { header, claims }.sign(&self.issuer_key)
    }

    /// A proof for a request to that target.
    pub(crate) fn proof(&self, method: &str, target: &str, token: &str) -> Forge {
        let path = target.split('?').next().unwrap_or_default();
        Forge::new(&self.key, method, &format!("{}{path}", self.origin), self.clock.unix()).token(token)
    }

    /// A nonce of the decision point, through the proxy.
    pub(crate) async fn nonce(&self) -> String {
        let token = self.token("");
        let proof = self.proof("GET", "/", &token).sign(&self.key);
        let answer = self.call("GET", "/").credentials(&token, &proof).send().await;
        assert_eq!(answer.status, 401, "{answer:?} {}", self.complaints());
        answer.nonce()
    }

    /// A request without credentials.
    pub(crate) fn call(&self, method: &'static str, target: &str) -> Call<'_> {
        let (target, version) = (target.to_owned(), Version::HTTP_11);
        Call { stage: self, method, target, fields: Vec::new(), body: Bytes::new(), version }
    }

    /// A good request.
    pub(crate) async fn good(&self, method: &'static str, target: &str, scope: &str) -> Call<'_> {
        let nonce = self.nonce().await;
        let token = self.token(scope);
        let proof = self.proof(method, target, &token).nonce(&nonce).sign(&self.key);
        self.call(method, target).credentials(&token, &proof)
    }

    /// What the proxy complained of.
    pub(crate) fn complaints(&self) -> String {
        self.proxy.complaints()
    }
}

impl Call<'_> {
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn credentials(self, token: &str, proof: &str) -> Self {
        self.field("Authorization", &format!("DPoP {token}")).field("DPoP", proof)
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = Bytes::copy_from_slice(body.as_bytes());
        self
    }

    pub(crate) fn by_http2(mut self) -> Self {
        self.version = Version::HTTP_2;
        self
    }

    /// Sends it to the proxy.
    pub(crate) async fn send(self) -> Answer {
        let host = self.stage.origin.strip_prefix("https://").expect("an origin");
        let uri = format!("{}{}", self.stage.origin, self.target);
        let mut request = Request::builder().method(self.method).uri(uri).version(self.version);
        let says_host = self.fields.iter().any(|(name, _)| name == "Host");
        if self.version == Version::HTTP_11 && !says_host {
            request = request.header("Host", host);
        }
        for (name, value) in &self.fields {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body)).expect("a request");
        caller::send(self.stage.proxy.address, &self.stage.certificate, request).await
    }
}

/// Metadata and keys of an issuer.
fn issuer_of(
    key: &SigningKey,
) -> impl Fn(AxumRequest) -> std::future::Ready<String> + Clone + Send + 'static {
    assert_eq!(key.algorithm(), Algorithm::Es256);
    let mut jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).expect("JSON");
    (jwk["kid"], jwk["alg"], jwk["use"]) = ("k1".into(), "ES256".into(), "sig".into());
    let keys = json!({ "keys": [jwk] });
    move |request: AxumRequest| {
        let host = request.headers()["host"].to_str().expect("a host");
        let url = format!("http://{host}");
        let metadata = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        let answer = if request.uri().path() == "/keys" { &keys } else { &metadata };
        std::future::ready(answer.to_string())
    }
}

/// An API that says more than it should.
async fn api() -> impl IntoResponse {
    [("DPoP-Nonce", "of-the-api"), ("X-Api", "it")]
}
