//! Two processes with one session, and processes that die while they renew.

use crate::common::World;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use keybound_client::keystore::KeyStore;
use keybound_client::session::{Origins, Session};
use keybound_client::session_store::SessionStore;
use keybound_client::tokens::Tokens;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::Signer as _;
use keybound_dpop::secret::Secret;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::token::TokenType;
use serde_json::json;
use std::process::Child;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// A server that rotates refresh tokens and takes each once, and a resource that takes the newest access token.
struct Server {
    url: String,
    known: Arc<Known>,
    _runtime: tokio::runtime::Runtime,
}

struct Known {
    url: String,
    /// How many times tokens were renewed.
    renewed: Mutex<usize>,
    /// What was refused at the token endpoint.
    refused: Mutex<usize>,
    /// How many asked the resource with the first token.
    stale: watch::Sender<usize>,
    /// The first renewal waits until so many did.
    wait_for: usize,
}

impl Server {
    fn start(wait_for: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let door = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a listener");
        let url = format!("http://{}", door.local_addr().expect("an address"));
        let (renewed, refused) = (Mutex::default(), Mutex::default());
        let stale = watch::Sender::new(0);
        let known = Arc::new(Known { url: url.clone(), renewed, refused, stale, wait_for });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/token", post(token))
            .route("/orders", get(orders))
            .with_state(Arc::clone(&known));
        runtime.spawn(async move { axum::serve(door, router).await });
        Self { url, known, _runtime: runtime }
    }

    /// A world in which there was a login, some time ago.
    fn world(&self) -> World {
        let world = World::new();
        let keys = KeyStore::open(world.path("home/keys")).expect("a store");
        let key = keys.create("k", Algorithm::Es256).expect("a key");
        let session = Session {
            issuer: Issuer::parse(&self.url).expect("an issuer"),
            client_id: ClientId::parse("cli").expect("a client"),
            key: "k".to_owned(),
            jkt: key.public_jwk().thumbprint(),
            tokens: Tokens {
                access_token: Secret::new("access-0"),
                token_type: TokenType::Dpop,
                refresh_token: Some(Secret::new("refresh-0")),
                scope: None,
                expires_at: None,
                id_token: None,
                subject: None,
                authorization_details: Default::default(),
            },
            origins: Origins::of([self.url.as_str()]).expect("an origin"),
        };
        sessions(&world).save("default", &session).expect("saved");
        world
    }

    fn request(&self, world: &World) -> Child {
        world.command(&["request", "--silent", &format!("{}/orders", self.url)]).spawn().expect("started")
    }
}

fn sessions(world: &World) -> SessionStore {
    SessionStore::open(world.path("home/sessions")).expect("a store")
}

async fn metadata(State(known): State<Arc<Known>>) -> impl IntoResponse {
    let url = &known.url;
    answer(&json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["code"], "dpop_signing_alg_values_supported": ["ES256"],
    }))
}

fn answer(json: &serde_json::Value) -> ([(&'static str, &'static str); 1], String) {
    ([("content-type", "application/json")], json.to_string())
}

async fn token(State(known): State<Arc<Known>>, form: String) -> impl IntoResponse {
    let mut stale = known.stale.subscribe();
    stale.wait_for(|count| *count >= known.wait_for).await.expect("they came");
    let mut renewed = known.renewed.lock().expect("no panic");
    let expected = format!("refresh-{renewed}");
    if !url::form_urlencoded::parse(form.as_bytes())
        .any(|pair| pair == ("refresh_token".into(), expected.as_str().into()))
    {
        *known.refused.lock().expect("no panic") += 1;
        return (StatusCode::BAD_REQUEST, answer(&json!({ "error": "invalid_grant" })));
    }
    *renewed += 1;
    let tokens = json!({ "access_token": format!("access-{renewed}"), "token_type": "DPoP",
                         "refresh_token": format!("refresh-{renewed}"), "expires_in": 3600 });
    (StatusCode::OK, answer(&tokens))
}

async fn orders(State(known): State<Arc<Known>>, headers: HeaderMap) -> impl IntoResponse {
    let newest = format!("DPoP access-{}", known.renewed.lock().expect("no panic"));
    let is_newest = headers.get("authorization").is_some_and(|shown| shown.as_bytes() == newest.as_bytes());
    if is_newest && newest != "DPoP access-0" {
        return (StatusCode::OK, [("www-authenticate", "")], "here");
    }
    known.stale.send_modify(|count| *count += 1);
    (StatusCode::UNAUTHORIZED, [("www-authenticate", "DPoP error=\"invalid_token\", algs=\"ES256\"")], "")
}

#[test]
fn cl_tok_06_cl_tok_05_two_processes_renew_a_session_once() {
    const PROCESSES: usize = 4;
    let server = Server::start(PROCESSES);
    let world = server.world();
    let children: Vec<Child> = (0..PROCESSES).map(|_| server.request(&world)).collect();
    for child in children {
        let ended = child.wait_with_output().expect("ended");
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!((ended.status.code(), ended.stdout.as_slice()), (Some(0), &b"here"[..]), "{told}");
    }
    assert_eq!(*server.known.renewed.lock().expect("no panic"), 1);
    assert_eq!(*server.known.refused.lock().expect("no panic"), 0);
    let kept = sessions(&world).load("default").expect("kept").tokens;
    assert_eq!(kept.access_token, Secret::new("access-1"));
    assert_eq!(kept.refresh_token, Some(Secret::new("refresh-1")));
}

#[test]
fn cl_tok_05_a_process_that_dies_while_it_renews_leaves_a_whole_session() {
    let server = Server::start(0);
    for round in 0..12 {
        let world = server.world();
        *server.known.renewed.lock().expect("no panic") = 0;
        let seen = *server.known.stale.borrow();
        let mut child = server.request(&world);
        // Somewhere between the refusal of the old token and the end, later each time.
        while *server.known.stale.borrow() == seen {
            std::thread::yield_now();
        }
        for _ in 0..round * 200 {
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        let store = sessions(&world);
        let kept = store.load("default").expect("a whole session").tokens;
        let (access, refresh) = (kept.access_token, kept.refresh_token.expect("a refresh token"));
        let number = access.reveal().strip_prefix("access-").expect("a token").to_owned();
        assert_eq!(refresh.reveal(), format!("refresh-{number}"), "of one answer");
        assert_eq!(store.names().expect("names"), ["default"]);
        // The lock went with the process: the next one is not held up.
        drop(store.lock("default").expect("locked"));
    }
}

#[test]
fn cl_key_10_cl_tok_05_a_login_that_ends_is_not_written_again_by_who_renews_it() {
    let server = Server::start(0);
    for args in [&["logout", "--offline"][..], &["sessions", "delete", "default"]] {
        let world = server.world();
        let store = sessions(&world);
        // A process renews.
        let lock = store.lock("default").expect("locked");
        let mut renewed = store.load("default").expect("a session");
        let mut child = world.command(args).spawn().expect("started");
        let waits = format!(" {} ", child.id());
        let is_waiting = || {
            let locks = std::fs::read_to_string("/proc/locks").expect("the locks of the system");
            locks.lines().any(|line| line.contains("->") && line.contains(&waits))
        };
        while child.try_wait().expect("known").is_none() && !is_waiting() {
            std::thread::yield_now();
        }
        renewed.tokens.access_token = Secret::new("access-1");
        store.save("default", &renewed).expect("saved");
        drop(lock);
        assert!(child.wait().expect("ended").success());
        assert!(store.names().expect("names").is_empty(), "{args:?}");
    }
}
