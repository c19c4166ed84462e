//! Provider, gateway and an API on real sockets of this machine, each with a record of what it was asked and what it
//! answered. They run until the runtime of the test ends.

use crate::answer::Answer;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Clock, SystemClock};
use keybound_provider::config::ConfigFile;
use keybound_provider::provider::Provider;
use keybound_provider::registry::{NewUser, add_client, add_user};
use keybound_provider::store::Store;
use keybound_serve::{IncomingBody, Options, Server, bind};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::Service;

/// The public client of these servers, whose redirect URI is `http://127.0.0.1/callback`, on any port (RFC 8252 §7.3).
pub const CLIENT_ID: &str = "app";
/// What pages call it.
pub const CLIENT_NAME: &str = "Photo Printer";
/// The user.
pub const USERNAME: &str = "alice";
/// The user's password.
pub const PASSWORD: &str = "correct horse battery";

/// What may be asked for, and what people read of it.
const RESOURCE: &str = r#"
name = { en = "Photo album", de = "Fotoalbum" }
scopes = ["read", "write"]
scope_texts = { read = { en = "See your photos", de = "Ihre Fotos sehen" } }

[[resource.authorization_details]]
type = "print_job"
description = { en = "Print photos and bill you for them", de = "Fotos drucken und Ihnen berechnen" }
actions = ["print", "ship"]
required = { album = "string", price = "object" }

[resource.authorization_details.labels]
album = { en = "Album", de = "Album" }
price = { en = "Price", de = "Preis" }
"price.amount" = { en = "amount", de = "Betrag" }
"price.currency" = { en = "currency", de = "Währung" }
"actions.print" = { en = "print", de = "drucken" }
"actions.ship" = { en = "send by post", de = "verschicken" }
"#;

/// Bytes of one message, at the most.
const MAX_MESSAGE: usize = 1024 * 1024;

/// A request and what it was answered.
#[derive(Debug)]
pub struct Exchange {
    /// The method.
    pub method: Method,
    /// The request target.
    pub target: Uri,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The request's body.
    pub body: Bytes,
    /// The answer.
    pub answer: Answer,
}

impl Exchange {
    /// All values of a request header.
    pub fn header(&self, name: &str) -> Vec<String> {
        let lines = self.headers.get_all(name).iter();
        lines.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    /// The value of a request header that stands once.
    #[track_caller]
    pub fn one(&self, name: &str) -> String {
        let mut all = self.header(name);
        assert_eq!(all.len(), 1, "`{name}` once: {self:?}");
        all.remove(0)
    }
}

/// What a server was asked and answered so far, in the order of the answers.
#[derive(Clone, Debug, Default)]
pub struct Record(Arc<Mutex<Vec<Arc<Exchange>>>>);

impl Record {
    /// All of it.
    pub fn all(&self) -> Vec<Arc<Exchange>> {
        self.0.lock().clone()
    }

    /// The exchanges at that path.
    pub fn at(&self, path: &str) -> Vec<Arc<Exchange>> {
        self.all().into_iter().filter(|exchange| exchange.target.path() == path).collect()
    }
}

/// The three servers.
pub struct Servers {
    /// The issuer.
    pub issuer: String,
    /// The API as callers know it: the gateway in front of it. Its resource identifier has a `/` at the end.
    pub api: String,
    /// At the provider.
    pub at_provider: Record,
    /// At the gateway.
    pub at_gateway: Record,
    /// At the API itself.
    pub at_api: Record,
    _folder: TempDir,
}

impl Servers {
    /// Starts them, with one client and one user.
    pub async fn start() -> Self {
        Self::with(vec![public_client()]).await
    }

    /// Starts them, with these clients, as metadata, and one user.
    pub async fn with(clients: Vec<Value>) -> Self {
        Self::configured(clients, "").await
    }

    /// The same, with more in the provider's configuration.
    pub async fn configured(clients: Vec<Value>, more: &str) -> Self {
        Self::behind(clients, more, ("", Arc::new(SystemClock::start()))).await
    }

    /// The same, with more in the gateway's configuration, and the gateway's clock.
    pub async fn behind(clients: Vec<Value>, more: &str, (gate_more, clock): (&str, Arc<dyn Clock>)) -> Self {
        let folder = TempDir::new().expect("a folder");
        let (provider_door, gate) = (door().await, Gate::build().await);
        let issuer = origin(&provider_door);
        let provider = provider(&folder, clients, (&issuer, &gate.api), more).await;
        tokio::spawn(keybound_provider::service::maintain(Arc::clone(&provider)));
        let at_provider =
            run("provider", provider_door, keybound_provider::service::service(&provider).into());
        let (api, at_api) = (gate.api.clone(), gate.at_api.clone());
        let at_gateway = gate.open_at(&format!("issuer = \"{issuer}\"\n{gate_more}"), clock);
        Self { issuer, api, at_provider, at_gateway, at_api, _folder: folder }
    }
}

/// An API, and a gateway before it that is still shut: nobody has said yet whose tokens it takes.
pub struct Gate {
    /// The API as callers will know it.
    pub api: String,
    /// At the API itself.
    pub at_api: Record,
    upstream: String,
    door: TcpListener,
}

impl Gate {
    /// Builds it on a port of its own.
    pub async fn build() -> Self {
        let door = door().await;
        let (upstream, at_api) = serve("api", any(|| async { "{\"orders\":[]}" })).await;
        Self { api: origin(&door), at_api, upstream, door }
    }

    /// Opens it, with the rest of its configuration; gives the record of it.
    pub fn open(self, rest: &str) -> Record {
        self.open_at(rest, Arc::new(SystemClock::start()))
    }

    fn open_at(self, rest: &str, clock: Arc<dyn Clock>) -> Record {
        let Self { api, upstream, door, .. } = self;
        let config =
            format!("public_url = \"{api}\"\nupstream = \"{upstream}\"\nscopes = [\"read\"]\n{rest}");
        let config = keybound_gateway::Config::parse(&config).expect("a configuration");
        let gateway = keybound_gateway::service(&config, clock).expect("a gateway");
        run("gateway", door, Router::new().fallback_service(gateway))
    }
}

/// Runs one handler for every path on a port of its own; gives its origin, and the record of it.
pub async fn serve(name: &'static str, handler: axum::routing::MethodRouter) -> (String, Record) {
    let door = door().await;
    let origin = origin(&door);
    (origin, run(name, door, Router::new().fallback_service(handler)))
}

/// The metadata of the client that is there where nothing else is said.
pub fn public_client() -> Value {
    json!({
        "client_id": CLIENT_ID,
        "client_name": CLIENT_NAME,
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "grant_types":
            ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "token_endpoint_auth_method": "none",
    })
}

async fn provider(
    folder: &TempDir,
    clients: Vec<Value>,
    (issuer, api): (&str, &str),
    more: &str,
) -> Arc<Provider> {
    let clock = Arc::new(SystemClock::start());
    let now = clock.unix();
    let store = Store::open(&folder.path().join("store.sqlite")).expect("a store");
    for client in clients {
        add_client(&store, client, now).await.expect("a client");
    }
    let user = NewUser {
        username: USERNAME.to_owned(),
        password: Secret::new(PASSWORD),
        subject: None,
        claims: json!({ "email": "alice@example.org" }).as_object().expect("an object").clone(),
    };
    add_user(&store, user, now).await.expect("a user");
    let text = format!("issuer = \"{issuer}\"\n[[resource]]\nidentifier = \"{api}/\"\n{RESOURCE}\n{more}");
    let config = ConfigFile::parse(&text, "servers.toml").expect("TOML").check().expect("a configuration");
    Provider::open(config, store, clock).await.expect("a provider")
}

/// A free port, kept open.
async fn door() -> TcpListener {
    bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port")
}

fn origin(door: &TcpListener) -> String {
    format!("http://{}", door.local_addr().expect("an address"))
}

/// Runs routes behind a port and keeps a record.
fn run(name: &'static str, door: TcpListener, routes: Router) -> Record {
    let record = Record::default();
    let routes = routes.layer(middleware::from_fn_with_state(record.clone(), keep));
    let server = Server::new(door, Routes(routes), Options::new(name)).expect("a server");
    tokio::spawn(server.run(std::future::pending()));
    record
}

/// Kept before it is passed on: who has the answer can ask for the record.
async fn keep(State(record): State<Record>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MAX_MESSAGE).await.expect("a request body");
    let (method, target, headers) = (head.method.clone(), head.uri.clone(), head.headers.clone());
    let response = next.run(Request::from_parts(head, Body::from(body.clone()))).await;
    let (head, answered) = response.into_parts();
    let answered = to_bytes(answered, MAX_MESSAGE).await.expect("a response body");
    let answer = Answer { status: head.status, headers: head.headers.clone(), body: answered.clone() };
    record.0.lock().push(Arc::new(Exchange { method, target, headers, body, answer }));
    Response::from_parts(head, Body::from(answered))
}

/// A router as a service of the shell.
#[derive(Clone)]
struct Routes(Router);

impl Service<Request<IncomingBody>> for Routes {
    type Response = Response;
    type Error = Infallible;
    type Future = <Router as Service<Request>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: Request<IncomingBody>) -> Self::Future {
        self.0.call(request.map(Body::new))
    }
}
