//! An issuer's key, a client's key, an upstream that remembers what it saw, and a gateway between them.

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::Nonce;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::time::{Clock, Now, SystemClock};
use keybound_dpop::token_hash::TokenHash;
use keybound_gateway::GatewayService;
use keybound_gateway::config::{Config, IssuerAsked, KeysFrom};
use keybound_oauth::access_token::NewAccessToken;
use keybound_oauth::audience::Audience;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::scope::Scope;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

pub(crate) const PUBLIC: &str = "https://api.example";

/// The system's clock, which the test may put forward.
#[derive(Debug)]
pub(crate) struct AheadClock {
    system: SystemClock,
    ahead: AtomicU64,
}

impl AheadClock {
    pub(crate) fn secs(&self) -> u64 {
        self.now().unix.as_secs()
    }

    pub(crate) fn turn(&self, secs: u64) {
        self.ahead.fetch_add(secs, Ordering::SeqCst);
    }
}

impl Clock for AheadClock {
    fn now(&self) -> Now {
        let (now, ahead) = (self.system.now(), self.ahead.load(Ordering::SeqCst));
        Now {
            unix: now.unix.plus_secs(ahead),
            monotonic: now.monotonic + std::time::Duration::from_secs(ahead),
        }
    }
}

/// What an upstream saw of a request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Seen {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().expect("ASCII")).collect()
    }
}

/// An upstream that answers with these fields, and remembers.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    pub(crate) async fn start(status: u16, fields: &[(&'static str, &'static str)]) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (kept, fields) = (Arc::clone(&seen), fields.to_vec());
        let address = serve(move |request: Request<Incoming>| {
            let (kept, fields) = (Arc::clone(&kept), fields.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.expect("a body");
                let trailers = body.trailers().cloned();
                kept.lock().expect("a lock").push(Seen {
                    method: parts.method.to_string(),
                    target: parts.uri.to_string(),
                    headers: parts.headers,
                    body: body.to_bytes(),
                    trailers,
                });
                let mut response = Response::builder().status(status);
                for (name, value) in fields {
                    response = response.header(name, value);
                }
                response.body(Full::new(Bytes::from_static(b"from upstream"))).expect("a response")
            }
        })
        .await;
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("a lock").clone()
    }

    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }
}

/// Serves on a free port of the loopback.
pub(crate) async fn serve<F, Fut, B>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            tokio::spawn(answer_connection(stream, peer, answer.clone()));
        }
    });
    address
}

/// Answers what comes over one connection, HTTP/1.1 or HTTP/2, until it ends.
pub(crate) async fn answer_connection<T, F, Fut, B>(stream: T, peer: SocketAddr, answer: F)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

pub(crate) struct World {
    pub(crate) clock: Arc<AheadClock>,
    pub(crate) address: SocketAddr,
    pub(crate) issuer_key: SigningKey,
    pub(crate) client_key: SigningKey,
    pub(crate) service: GatewayService,
}

impl World {
    /// Nonces off; `more` is the rest of the configuration.
    pub(crate) async fn start(upstream: SocketAddr, more: &str) -> Self {
        Self::start_at(PUBLIC, &format!("upstream = \"http://{upstream}\"\n{more}\n[nonce]\nmode = \"off\""))
            .await
    }

    pub(crate) async fn start_at(public_url: &str, rest: &str) -> Self {
        let issuer_key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let keys = KeysFrom::Fixed(key_set(&issuer_key));
        Self::with_keys(issuer_key, keys, "https://issuer.example", public_url, rest).await
    }

    pub(crate) async fn with_keys(
        issuer_key: SigningKey,
        keys: KeysFrom,
        issuer: &str,
        public_url: &str,
        rest: &str,
    ) -> Self {
        Self::with_issuer(issuer_key, (keys, None), issuer, public_url, rest).await
    }

    pub(crate) async fn with_issuer(
        issuer_key: SigningKey,
        (keys, asked): (KeysFrom, Option<IssuerAsked>),
        issuer: &str,
        public_url: &str,
        rest: &str,
    ) -> Self {
        let mut toml = format!("public_url = {public_url:?}\nissuer = {issuer:?}\n");
        if !rest.starts_with("audience = ") {
            toml += &format!("audience = \"{PUBLIC}/\"\n");
        }
        toml += rest;
        let mut config = Config::parse(&toml).expect("a configuration");
        config.issuers[0].keys = keys;
        config.issuers[0].asked = asked;
        let clock = Arc::new(AheadClock { system: SystemClock::start(), ahead: AtomicU64::new(0) });
        let service =
            keybound_gateway::service(&config, Arc::clone(&clock) as Arc<dyn Clock>).expect("a gateway");
        // Without nonces, nothing is believed that may have been used before the start (OPS-REP-09).
        clock.turn(31);
        let running = service.clone();
        let address = serve(move |request| {
            let answer = running.clone().call(request);
            async move { answer.await.expect("infallible") }
        })
        .await;
        let client_key = SigningKey::generate(Algorithm::Es256).expect("a key");
        Self { clock, address, issuer_key, client_key, service }
    }

    pub(crate) fn client_key_thumbprint(&self) -> String {
        self.client_key.public_jwk().thumbprint().to_string()
    }

    pub(crate) fn token(&self) -> String {
        self.token_of("https://issuer.example", "read", true)
    }

    pub(crate) fn token_of(&self, iss: &str, scope: &str, bound: bool) -> String {
        self.token_with(iss, scope, bound, 600)
    }

    /// A token that expires in so many seconds.
    pub(crate) fn token_for(&self, secs: u64) -> String {
        self.token_with("https://issuer.example", "read", true, secs)
    }

    fn token_with(&self, iss: &str, scope: &str, bound: bool, secs: u64) -> String {
        let now = self.clock.unix();
        let none = AuthorizationDetails::default();
        let token = NewAccessToken {
            authorization_details: &none,
            iss,
            sub: "alice d'or %",
            aud: &Audience::One(format!("{PUBLIC}/")),
            exp: now.plus_secs(secs),
            iat: now,
            jti: "t1",
            client_id: "app",
            scope: &Scope::parse(scope).expect("a scope"),
            jkt: bound.then(|| self.client_key.public_jwk().thumbprint()),
            auth_time: None,
            acr: None,
            act: None,
            may_act: None,
        };
        token.sign(&self.issuer_key, Some("k1")).expect("signed").reveal().to_owned()
    }

    pub(crate) fn proof(&self, method: &str, htu: &str, token: &str, nonce: Option<&str>) -> String {
        let nonce = nonce.map(|nonce| Nonce::parse(nonce).expect("a nonce"));
        let (entropy, iat) = (random().expect("entropy"), self.clock.unix());
        let token = Some(TokenHash::of(token));
        let proof = NewProof { method, htu, token, nonce: nonce.as_ref(), entropy, iat };
        proof.sign(&self.client_key).expect("signed")
    }

    /// The credentials for a request, as two field lines.
    pub(crate) fn credentials(&self, method: &str, path: &str) -> String {
        self.credentials_with(&self.token(), method, path, None)
    }

    pub(crate) fn credentials_with(
        &self,
        token: &str,
        method: &str,
        path: &str,
        nonce: Option<&str>,
    ) -> String {
        let proof = self.proof(method, &format!("{PUBLIC}{path}"), token, nonce);
        format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n")
    }

    /// A GET with good credentials and these lines, each with its line end.
    pub(crate) async fn get(&self, path: &str, lines: &str) -> Heard {
        let credentials = self.credentials("GET", path.split('?').next().unwrap_or_default());
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: api.example\r\n{credentials}{lines}\r\n")).await
    }

    /// Sends these bytes, with `Connection: close` in their head, and reads the answer.
    pub(crate) async fn ask(&self, text: &str) -> Heard {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        let text = text.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
        stream.write_all(text.as_bytes()).await.expect("written");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("read");
        Heard::read(&String::from_utf8_lossy(&bytes))
    }
}

pub(crate) fn key_set(key: &SigningKey) -> KeySet {
    let algorithm = Some(key.algorithm());
    KeySet::of(vec![NamedKey { kid: Some("k1".to_owned()), algorithm, key: key.public_jwk().clone() }])
}

/// An answer as a client hears it.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Heard {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let fields = lines.filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status: status.parse().expect("a status"), fields, body: body.to_owned() }
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}
