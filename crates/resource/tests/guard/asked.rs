//! An issuer that is asked about tokens, on a loopback socket.

use crate::world::{ISSUER, World, dpop};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use http::{HeaderMap, Request, Response};
use keybound_dpop::secret::Secret;
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::identifier::{ClientId, Endpoint, Issuer};
use keybound_resource::{
    Access, GuardConfig, Introspection, IntrospectionAuth, IntrospectionConfig, IntrospectionEndpoint,
    Introspector, Rejection,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub(crate) const OPAQUE: &str = "0pa-que_t0ken.~";

/// One question, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) headers: HeaderMap,
    pub(crate) form: String,
}

/// The issuer. It says what a test has it say, and ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Issuing {
    pub(crate) url: String,
    state: Arc<Saying>,
}

struct Saying {
    answer: Mutex<(u16, String, String)>,
    asked: Mutex<Vec<Asked>>,
    /// One permit for each answer that may go out.
    gate: Semaphore,
}

impl Issuing {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Saying {
            answer: Mutex::new((200, "application/json".to_owned(), "{\"active\":false}".to_owned())),
            asked: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    pub(crate) fn says(&self, answer: &Value) {
        self.answers(200, "application/json", &answer.to_string());
    }

    /// `location` is always `/elsewhere`, which only redirects name.
    pub(crate) fn answers(&self, status: u16, media_type: &str, body: &str) {
        *self.state.answer.lock() = (status, media_type.to_owned(), body.to_owned());
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().clone()
    }

    /// Waits until so many questions have come.
    pub(crate) async fn was_asked(&self, times: usize) {
        while self.state.asked.lock().len() < times {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn holds_back(&self) {
        self.state.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn lets_go(&self) {
        self.state.gate.add_permits(1000);
    }

    pub(crate) fn config(&self) -> IntrospectionConfig {
        let url = Endpoint::parse(&format!("{}/introspect", self.url)).expect("a URL");
        config(IntrospectionEndpoint::Url(url))
    }

    /// A World whose issuer is asked about opaque tokens; nonces off.
    pub(crate) fn world(&self, change: impl FnOnce(&mut IntrospectionConfig)) -> World {
        self.world_with(Introspection::Opaque, change, |_| {})
    }

    pub(crate) fn world_with(
        &self,
        of: fn(Introspector) -> Introspection,
        change: impl FnOnce(&mut IntrospectionConfig),
        guard: impl FnOnce(&mut GuardConfig),
    ) -> World {
        let mut config = self.config();
        change(&mut config);
        World::with(|all| {
            all.nonce = None;
            all.issuers[0].introspection = of(introspector(config, all));
            guard(all);
        })
    }
}

pub(crate) fn config(endpoint: IntrospectionEndpoint) -> IntrospectionConfig {
    let issuer = Issuer::parse(ISSUER).expect("an issuer");
    let client_id = ClientId::parse("api").expect("a client");
    let auth = IntrospectionAuth::SecretBasic(Secret::new("s3cret:%"));
    IntrospectionConfig::new(issuer, endpoint, client_id, auth)
}

pub(crate) fn introspector(config: IntrospectionConfig, guard: &GuardConfig) -> Introspector {
    let fetcher = Fetcher::for_operator(&Settings::default()).expect("a client");
    Introspector::new(config, fetcher, Arc::clone(&guard.clock))
}

async fn answer(State(state): State<Arc<Saying>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let form = to_bytes(body, 100_000).await.expect("a body");
    let form = String::from_utf8(form.to_vec()).expect("a form");
    state.asked.lock().push(Asked { headers: head.headers, form });
    state.gate.acquire().await.expect("open").forget();
    let (status, media_type, body) = state.answer.lock().clone();
    let response = Response::builder().status(status).header("content-type", media_type);
    response.header("location", "/elsewhere").body(Body::from(body)).expect("an answer")
}

impl World {
    /// A good answer about a bound token.
    pub(crate) fn active(&self) -> Value {
        let mut answer = self.claims();
        answer["active"] = json!(true);
        answer["token_type"] = json!("DPoP");
        answer
    }

    pub(crate) async fn show(&self, token: &str) -> Result<Access, Rejection> {
        self.check(dpop(token, &self.proof(token))).await
    }

    /// Status and row of a refusal.
    pub(crate) async fn row(&self, token: &str) -> (u16, &'static str) {
        let rejection = self.show(token).await.expect_err("must be refused");
        (rejection.status().as_u16(), rejection.reason().row())
    }
}
