//! A server that records what it gets and answers as a test says; and a client to call it.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client::Client;
use keybound_client::client_auth::{ClientAuth, Identity};
use keybound_client::prover::Prover;
use keybound_client::session::{Origins, Session};
use keybound_client::tokens::Tokens;
use keybound_client::transport::Transport;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Clock, Now, UnixTime};
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::form::Form;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::token::TokenType;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    /// The claims of the one proof.
    pub(crate) fn proof(&self) -> Value {
        let lines: Vec<_> = self.headers.get_all("DPoP").iter().collect();
        assert_eq!(lines.len(), 1, "exactly one DPoP header");
        let payload = lines[0].to_str().expect("ASCII").split('.').nth(1).expect("a payload");
        serde_json::from_slice(&base64url::decode(payload).expect("base64url")).expect("JSON")
    }

    pub(crate) fn nonce(&self) -> Option<String> {
        self.proof()["nonce"].as_str().map(str::to_owned)
    }

    pub(crate) fn form(&self) -> Form {
        Form::parse(&self.body).expect("a form")
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.headers.get("Authorization").map(|value| value.to_str().expect("ASCII"))
    }
}

/// A server on a port of its own.
pub(crate) struct Mock {
    pub(crate) origin: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Mock {
    /// Answers each request with what the rule makes of it and of how many came before.
    pub(crate) async fn start(rule: impl Fn(&Seen, usize) -> Response<Body> + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, rule) = (Arc::clone(&seen), Arc::new(rule));
        let app = Router::new().fallback(move |request: Request| {
            let (log, rule) = (Arc::clone(&log), Arc::clone(&rule));
            async move {
                let (parts, body) = request.into_parts();
                let target = parts.uri.to_string();
                let body = to_bytes(body, 1 << 23).await.expect("a body");
                let seen = Seen { method: parts.method.to_string(), target, headers: parts.headers, body };
                let before = {
                    let mut log = log.lock();
                    log.push(seen.clone());
                    log.len() - 1
                };
                rule(&seen, before)
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { origin, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }
}

/// A body of that many equal parts, of which nobody is told how many there are.
pub(crate) struct Parts(pub(crate) usize, pub(crate) Bytes);

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
        self.0 = left;
        Poll::Ready(Some(Ok(Frame::data(self.1.clone()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}

/// A clock that goes on by a second whenever it is read.
#[derive(Debug)]
pub(crate) struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Now {
        let secs = self.0.fetch_add(1, Ordering::SeqCst);
        Now { unix: UnixTime::from_secs(secs), monotonic: Duration::from_secs(secs) }
    }
}

pub(crate) const START: u64 = 1_800_000_000;

pub(crate) fn prover() -> Prover {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    Prover::new(Arc::new(key), Arc::default(), Arc::new(Ticking(AtomicU64::new(START))))
}

pub(crate) fn transport() -> Transport {
    Transport::over(Fetcher::for_operator(&Settings::default()).expect("a fetcher"))
}

pub(crate) fn metadata(origin: &str) -> Value {
    json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "jwks_uri": format!("{origin}/jwks"),
        "device_authorization_endpoint": format!("{origin}/device"),
        "revocation_endpoint": format!("{origin}/revoke"),
        "userinfo_endpoint": format!("{origin}/userinfo"),
        "end_session_endpoint": format!("{origin}/logout?from=app"),
        "registration_endpoint": format!("{origin}/register"),
        "dpop_signing_alg_values_supported": ["ES256"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

pub(crate) fn client(origin: &str, auth: ClientAuth) -> Client {
    client_at(origin, json!({}), auth)
}

/// A client at a server that has these in its metadata besides.
pub(crate) fn client_at(origin: &str, besides: Value, auth: ClientAuth) -> Client {
    let issuer = Issuer::parse(origin).expect("an issuer");
    let mut json = metadata(origin);
    let besides: serde_json::Map<String, Value> = serde_json::from_value(besides).expect("an object");
    json.as_object_mut().expect("an object").extend(besides);
    let server = ProviderMetadata::parse(json.to_string().as_bytes(), &issuer).expect("metadata");
    let identity = Identity { client_id: ClientId::parse("app").expect("a client"), auth };
    Client::new(transport(), server, identity, prover())
}

pub(crate) fn session(prover: &Prover, issuer: &str, resource: &str) -> Session {
    Session {
        issuer: Issuer::parse(issuer).expect("an issuer"),
        client_id: ClientId::parse("app").expect("a client"),
        key: "default".to_owned(),
        jkt: prover.jkt(),
        tokens: Tokens {
            access_token: Secret::new("token-1"),
            token_type: TokenType::Dpop,
            refresh_token: Some(Secret::new("refresh-1")),
            scope: None,
            authorization_details: AuthorizationDetails::default(),
            expires_at: None,
            id_token: None,
            subject: None,
        },
        origins: Origins::of([resource]).expect("origins"),
    }
}

/// Calls to that resource with a session that nobody renews.
pub(crate) fn api(origin: &str, settings: ApiSettings) -> Api {
    let prover = prover();
    let session = session(&prover, origin, origin);
    Api::new(transport(), prover, session, settings).expect("an API")
}

pub(crate) fn get(url: String) -> http::Request<Bytes> {
    http::Request::builder().uri(url).body(Bytes::new()).expect("a request")
}

pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, http::HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    builder.body(Body::from(body.to_owned())).expect("a response")
}

pub(crate) const TOKENS: &str =
    r#"{"access_token":"token-2","token_type":"DPoP","expires_in":60,"refresh_token":"refresh-2"}"#;
pub(crate) const USE_NONCE: &str = r#"{"error":"use_dpop_nonce"}"#;
pub(crate) const CHALLENGE: (&str, &str) =
    ("WWW-Authenticate", r#"DPoP error="use_dpop_nonce", algs="ES256""#);
pub(crate) const INVALID_TOKEN: (&str, &str) =
    ("WWW-Authenticate", r#"DPoP error="invalid_token", algs="ES256""#);
