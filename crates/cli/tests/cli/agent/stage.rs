//! A provider, a gateway over TLS and an API behind it, a login, and an agent in front of all: each as a process.

use crate::common::{Service, World, free_address};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use http::header::{CONNECTION, LOCATION, UPGRADE};
use http::{HeaderValue, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Everything but the agent.
pub(crate) struct Stage {
    pub(crate) world: World,
    /// The host and port of the API, as its callers know it.
    pub(crate) api: String,
    /// What the API itself was asked: a request line and fields each.
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
    /// The API's own address, behind the gateway.
    pub(crate) upstream: String,
    _provider: Service,
    pub(crate) gateway: Service,
}

/// An agent that runs, and what it told at its start.
pub(crate) struct Agent {
    pub(crate) service: Service,
    pub(crate) listen: String,
    pub(crate) token: String,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let world = World::new();
        certificate(&world);
        let (issuer, api) = (free_address(), free_address());
        let api = format!("localhost:{}", api.port());
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let upstream = upstream(Arc::clone(&heads), api.clone());
        world.write(
            "keybound.toml",
            &format!("issuer = \"http://{issuer}\"\n[[resource]]\nidentifier = \"https://{api}\"\nscopes = [\"read\"]\n"),
        );
        let added = [
            "client",
            "add",
            "--id",
            "svc",
            "--grant",
            "client_credentials",
            "--auth",
            "client_secret_basic",
        ];
        let added = world.ok(&[&added[..], &["--scope", "read", "--json"]].concat(), "");
        let added: serde_json::Value = serde_json::from_str(&added).expect("JSON");
        world.write("secret", added["client_secret"].as_str().expect("a secret"));
        let provider = world.start(&["serve", "--listen", &issuer.to_string()]);
        world.write(
            "gateway.toml",
            &format!(
                "public_url = \"https://{api}\"\nlisten = \"127.0.0.1:{port}\"\nissuer = \"http://{issuer}\"\n\
                 upstream = \"http://{upstream}\"\nadmin = \"127.0.0.1:0\"\n\
                 [tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
                 [[route]]\npath = \"/\"\nscopes = [\"read\"]\nupgrade = [\"websocket\"]\n\
                 [[route]]\npath = \"/forbidden\"\nscopes = [\"none\"]\n",
                port = api.split_once(':').expect("a port").1
            ),
        );
        let gateway = world.start(&["gateway"]);
        let upstream = upstream.to_string();
        let stage = Self { world, api, heads, upstream, _provider: provider, gateway };
        stage.login("default", &issuer.to_string());
        stage
    }

    fn login(&self, profile: &str, issuer: &str) {
        let (issuer, resource) = (format!("http://{issuer}"), format!("https://{}", self.api));
        let client = ["login", "--client-id", "svc", "--client-credentials", "--secret-file", "secret"];
        let rest = ["--scope", "read", "--issuer", &issuer, "--resource", &resource, "--profile", profile];
        self.world.ok(&[&client[..], &rest].concat(), "");
    }

    /// Starts an agent on any port.
    pub(crate) fn agent(&self, args: &[&str]) -> Agent {
        let all = [&["agent", "--ca-file", "ca.pem", "--listen", "127.0.0.1:0"], args].concat();
        let mut service = self.world.start(&all);
        let listen = service.told("listen").to_owned();
        let mut told = String::new();
        while !told.contains("TOKEN=") {
            told.push_str(&service.line());
        }
        let token = told.split("KEYBOUND_AGENT_TOKEN=").nth(1).expect("a token").trim().to_owned();
        for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
            assert_eq!(service.line(), format!("export {name}=http://keybound:{token}@{listen}\n"));
        }
        Agent { service, listen, token }
    }

    /// What the tokens are that nobody may see.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let session =
            std::fs::read_to_string(self.world.path("home/sessions/default.session")).expect("a session");
        let session: serde_json::Value = serde_json::from_str(&session).expect("JSON");
        vec![session["access_token"].as_str().expect("a token").to_owned()]
    }

    /// The bytes that a command printed.
    pub(crate) fn tool(&self, program: &str, args: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.world.path(".")).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(env.iter().copied());
        command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    /// What curl printed, with the status in a line of its own at the end.
    pub(crate) fn curl(&self, args: &[&str], env: &[(&str, &str)]) -> String {
        let common = ["--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"];
        let output = self.tool("curl", &[&common[..], args].concat(), env);
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }
}

impl Agent {
    pub(crate) fn proxy(&self) -> String {
        format!("http://keybound:{}@{}", self.token, self.listen)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }
}

/// An authority and a server's certificate of it.
fn certificate(world: &World) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    world.write("ca.pem", &params.self_signed(&key).expect("signed").pem());
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    world.write("server.pem", &params.signed_by(&key, &issuer).expect("signed").pem());
    let path = world.write("server.key", &key.serialize_pem());
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).expect("private");
}

/// An API that says what it was asked.
fn upstream(heads: Arc<Mutex<Vec<String>>>, api: String) -> std::net::SocketAddr {
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            told.send(listener.local_addr().expect("an address")).expect("told");
            let again = format!("https://{api}/again?x=1");
            let router = Router::new()
                .route("/go", any(move || std::future::ready(redirect(&again))))
                .route("/sink", any(sink))
                .route("/flood", any(flood))
                .route("/events", any(events))
                .route("/mcp", any(mcp))
                .route("/socket", any(socket))
                .fallback(move |request: Request| echo(Arc::clone(&heads), request));
            axum::serve(listener, router).await.expect("served");
        });
    });
    address.recv().expect("an address")
}

async fn echo(heads: Arc<Mutex<Vec<String>>>, request: Request) -> String {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let mut text = format!("{} {}\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    }
    heads.lock().expect("a lock").push(text.clone());
    format!("{text}\n{}", String::from_utf8_lossy(&body))
}

fn redirect(to: &str) -> Response {
    let location = HeaderValue::try_from(to).expect("a URL");
    let response = Response::builder().status(StatusCode::SEE_OTHER).header(LOCATION, location);
    response.body(Body::empty()).expect("a response")
}

/// Says how much it was sent.
async fn sink(request: Request) -> String {
    use http_body_util::BodyExt;
    let (mut body, mut bytes) = (request.into_body(), 0);
    while let Some(frame) = body.frame().await {
        bytes += frame.expect("a frame").data_ref().map_or(0, Bytes::len);
    }
    bytes.to_string()
}

/// A hundred times a million bytes.
async fn flood() -> Body {
    let pieces = (0..100).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 1_000_000])));
    Body::from_stream(futures_util::stream::iter(pieces))
}

/// One event now, and the next never.
async fn events() -> Response {
    use futures_util::StreamExt;
    let one =
        futures_util::stream::once(std::future::ready(Ok::<_, std::io::Error>(Bytes::from("data: one\n\n"))));
    let body = Body::from_stream(one.chain(futures_util::stream::pending()));
    Response::builder().header("Content-Type", "text/event-stream").body(body).expect("a response")
}

/// As an MCP server answers over streamable HTTP: with events.
async fn mcp(request: Request) -> Response {
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.expect("a body");
    let asked: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let result = serde_json::json!({
        "jsonrpc": "2.0", "id": asked["id"], "result": {
            "protocolVersion": asked["params"]["protocolVersion"], "capabilities": {},
            "serverInfo": { "name": "orders", "version": "1" },
        },
    });
    let response = Response::builder().header("Content-Type", "text/event-stream");
    let response = response.header("Mcp-Session-Id", "s1");
    response.body(Body::from(format!("event: message\ndata: {result}\n\n"))).expect("a response")
}

/// Sends back what it is sent.
async fn socket(mut request: Request) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.expect("upgraded"));
        let mut buffer = [0; 64];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            stream.write_all(&buffer[..count]).await.expect("sent");
        }
    });
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let response = response.header(CONNECTION, "upgrade").header(UPGRADE, "websocket");
    response.body(Body::empty()).expect("a response")
}
