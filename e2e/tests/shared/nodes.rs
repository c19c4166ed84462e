//! Gateways over one log, and a client that calls them.

use axum::Router;
use axum::routing::any;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::Nonce;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::time::Clock;
use keybound_dpop::token_hash::TokenHash;
use keybound_e2e::clock::AheadClock;
use keybound_gateway::config::KeysFrom;
use keybound_gateway::{Config, GatewayService};
use parking_lot::Mutex;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const API: &str = "https://api.example";

/// So long that a busy machine is no log that is away.
pub(crate) const PATIENT: &str = "timeout_ms = 5000";

/// An issuer's key, a client's key and token, and an upstream.
pub(crate) struct World {
    issuer_key: SigningKey,
    client_key: SigningKey,
    pub(crate) token: String,
    upstream: SocketAddr,
    folder: TempDir,
    pub(crate) clock: Arc<AheadClock>,
    http: Client,
    nonce: Mutex<Option<Nonce>>,
}

/// A gateway that ends with this.
pub(crate) struct Node {
    pub(crate) gateway: GatewayService,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    pub(crate) async fn new() -> Arc<Self> {
        let [issuer_key, client_key] = [0, 1].map(|_| SigningKey::generate(Algorithm::Es256).expect("a key"));
        let clock = Arc::new(AheadClock::start());
        let folder = tempfile::tempdir().expect("a folder");
        let now = clock.unix().as_secs();
        let claims = json!({
            "iss": "https://issuer.example", "sub": "alice", "aud": format!("{API}/"), "client_id": "app", "jti": "t1",
            "scope": "read", "iat": now, "exp": now + 3600,
            "cnf": { "jkt": client_key.public_jwk().thumbprint().to_string() },
        });
        let token = jws::sign(&issuer_key, "at+jwt", Some("k1"), claims.to_string().as_bytes());
        let upstream = serve(Router::new().fallback(any(|| async { "orders" }))).await.0;
        let (http, nonce) = (http(), Mutex::default());
        let token = token.expect("signed");
        let world = Self { issuer_key, client_key, token, upstream, folder, clock, http, nonce };
        world.secret("nonce.secret", &"0123456789abcdef".repeat(4));
        Arc::new(world)
    }

    /// A file for its owner alone.
    pub(crate) fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("permissions");
        path
    }

    /// Starts a gateway; `replay` is what its table of that name says, `more` is the top of the file.
    pub(crate) async fn node(&self, more: &str, replay: &str) -> Node {
        let toml = format!(
            "public_url = \"{API}\"\nissuer = \"https://issuer.example\"\nupstream = \"http://{}\"\n{more}\n\
             [nonce]\nsecret_file = \"nonce.secret\"\n[replay]\nnodes = 2\n{replay}\n",
            self.upstream
        );
        let file = self.path("gateway.toml");
        std::fs::write(&file, toml).expect("written");
        let mut config = Config::read(&file).expect("a configuration");
        let key = self.issuer_key.public_jwk().clone();
        let key = NamedKey { kid: Some("k1".to_owned()), algorithm: Some(Algorithm::Es256), key };
        config.issuers[0].keys = KeysFrom::Fixed(KeySet::of(vec![key]));
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let gateway = keybound_gateway::service(&config, clock).expect("a gateway");
        let (address, task) = serve(Router::new().fallback_service(gateway.clone())).await;
        Node { gateway, address, task }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A proof for a path, with the nonce that came last.
    pub(crate) fn proof(&self, path: &str) -> String {
        let (htu, entropy) = (format!("{API}{path}"), random().expect("entropy"));
        let (nonce, token) = (self.nonce.lock().clone(), Some(TokenHash::of(&self.token)));
        let iat = self.clock.unix();
        let new = NewProof { method: "GET", htu: &htu, token, nonce: nonce.as_ref(), entropy, iat };
        new.sign(&self.client_key).expect("signed")
    }

    pub(crate) async fn send(&self, node: &Node, path: &str, proof: &str) -> Answer {
        let url = format!("http://{}{path}", node.address);
        let request = self.http.get(url).header("authorization", format!("DPoP {}", self.token));
        let response = request.header("dpop", proof).send().await.expect("an answer");
        self.take_nonce(&response);
        Answer::of(response).await
    }

    /// Sends as a client does: with a new proof after a challenge.
    pub(crate) async fn call(&self, node: &Node, path: &str) -> Answer {
        let answer = self.send(node, path, &self.proof(path)).await;
        if answer.error() != Some("use_dpop_nonce") {
            return answer;
        }
        self.send(node, path, &self.proof(path)).await
    }

    fn take_nonce(&self, response: &Response) {
        let nonce = response.headers().get("dpop-nonce").and_then(|nonce| Nonce::parse(nonce.to_str().ok()?));
        if nonce.is_some() {
            *self.nonce.lock() = nonce;
        }
    }
}

/// What a gateway answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: bool,
    body: Option<Value>,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let retry_after = response.headers().contains_key("retry-after");
        let body = response.bytes().await.expect("a body");
        Self { status, retry_after, body: serde_json::from_slice(&body).ok() }
    }

    pub(crate) fn error(&self) -> Option<&str> {
        self.body.as_ref()?.get("error")?.as_str()
    }

    #[track_caller]
    pub(crate) fn is_let_through(&self) {
        assert_eq!(self.status, 200, "{self:?}");
    }

    #[track_caller]
    pub(crate) fn is_a_replay(&self) {
        assert_eq!((self.status, self.error()), (401, Some("invalid_dpop_proof")), "{self:?}");
        let text = self.body.as_ref().and_then(|body| body["error_description"].as_str()).expect("a text");
        assert!(text.starts_with("DPOP-JTI-04"), "{text}");
    }

    #[track_caller]
    pub(crate) fn is_unavailable(&self) {
        assert_eq!((self.status, self.retry_after), (503, true), "{self:?}");
    }
}

/// So many at a time.
const CALLERS: usize = 32;

/// Sends each of so many proofs to both gateways at once: one lets it through, the other calls it a replay.
pub(crate) async fn each_counts_once(world: &Arc<World>, nodes: [Node; 2], proofs: usize) -> [Node; 2] {
    world.call(&nodes[0], "/").await.is_let_through();
    let (left, nodes) = (Arc::new(AtomicUsize::new(proofs)), Arc::new(nodes));
    let callers: Vec<JoinHandle<()>> = (0..CALLERS)
        .map(|_| {
            let (world, nodes, left) = (Arc::clone(world), Arc::clone(&nodes), Arc::clone(&left));
            tokio::spawn(async move {
                let one_less = |left: usize| left.checked_sub(1);
                while left.fetch_update(Relaxed, Relaxed, one_less).is_ok() {
                    let proof = world.proof("/");
                    let [one, other] = &*nodes;
                    let both = tokio::join!(world.send(one, "/", &proof), world.send(other, "/", &proof));
                    let (first, second) = if both.0.status == 200 { both } else { (both.1, both.0) };
                    first.is_let_through();
                    second.is_a_replay();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("each proof counts once");
    }
    Arc::into_inner(nodes).expect("no caller is left")
}

/// While the log does not answer: 503 within a bounded time, and at once as soon as that is known.
pub(crate) async fn is_refused_in_time(world: &World, node: &Node) {
    let first = async {
        for _ in 0..3 {
            world.call(node, "/").await.is_unavailable();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), first).await.expect("each within its time");
    let many = async {
        for _ in 0..200 {
            world.call(node, "/").await.is_unavailable();
        }
    };
    // Were each to wait for the log, it would be 50 s.
    tokio::time::timeout(Duration::from_secs(25), many).await.expect("without waiting");
}

#[expect(clippy::disallowed_methods, reason = "a caller who sends what a test wants, to this machine alone")]
fn http() -> Client {
    Client::builder().no_proxy().build().expect("a client")
}

async fn serve(router: Router) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
    (address, task)
}
