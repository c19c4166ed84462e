//! Logins that change while the agent runs: tokens that are renewed, and ones that are read again.

use crate::common::{World, send};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use keybound_client::keystore::KeyStore;
use keybound_client::session::{Origins, Session};
use keybound_client::session_store::SessionStore;
use keybound_client::tokens::Tokens;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::Signer;
use keybound_dpop::secret::Secret;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::token::TokenType;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use tokio::sync::Semaphore;

const STALE: &str = "stale-access-token";
const FRESH: &str = "fresh-access-token";
const REFRESH: [&str; 2] = ["first-refresh-token", "second-refresh-token"];
const CALLERS: usize = 20;

/// A server that issues tokens, and takes the fresh one only.
fn server(renewals: Arc<AtomicUsize>) -> String {
    let (told, address) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let issuer = format!("http://{}", listener.local_addr().expect("an address"));
            told.send(issuer.clone()).expect("told");
            let metadata = json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "jwks_uri": format!("{issuer}/jwks"),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "dpop_signing_alg_values_supported": ["ES256"],
            });
            let refused = Arc::new(Semaphore::new(0));
            let refusing = Arc::clone(&refused);
            let router = Router::new()
                .route(
                    "/.well-known/openid-configuration",
                    get(move || std::future::ready(json_answer(&metadata))),
                )
                .route("/token", post(move || renew(Arc::clone(&renewals), Arc::clone(&refused))))
                .fallback(move |request| resource(request, Arc::clone(&refusing)));
            axum::serve(listener, router).await.expect("served");
        });
    });
    address.recv().expect("an address")
}

fn json_answer(value: &serde_json::Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

async fn renew(renewals: Arc<AtomicUsize>, refused: Arc<Semaphore>) -> Response {
    renewals.fetch_add(1, SeqCst);
    // Every caller has been refused with the stale token before there is a fresh one.
    let all = u32::try_from(CALLERS).expect("a number");
    drop(refused.acquire_many(all).await.expect("open"));
    json_answer(&json!({
        "access_token": FRESH, "token_type": "DPoP", "expires_in": 3600, "refresh_token": REFRESH[1],
    }))
}

async fn resource(request: Request, refused: Arc<Semaphore>) -> Response {
    let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if token == Some(&format!("DPoP {FRESH}")) && request.headers().contains_key("dpop") {
        return "served".into_response();
    }
    refused.add_permits(1);
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "DPoP error=\"invalid_token\"")]).into_response()
}

fn keep(world: &World, issuer: &str, origins: &[&str]) {
    let keys = KeyStore::open(world.path("home/keys")).expect("a store");
    let jkt = match keys.load("k") {
        Ok(key) => key.public_jwk().thumbprint(),
        Err(_) => keys.create("k", Algorithm::Es256).expect("a key").public_jwk().thumbprint(),
    };
    let sessions = SessionStore::open(world.path("home/sessions")).expect("a store");
    let session = sessions.load("default").unwrap_or_else(|_| Session {
        issuer: Issuer::parse(issuer).expect("an issuer"),
        client_id: ClientId::parse("cli").expect("a client"),
        key: "k".to_owned(),
        jkt,
        tokens: Tokens {
            access_token: Secret::new(STALE),
            token_type: TokenType::Dpop,
            refresh_token: Some(Secret::new(REFRESH[0])),
            scope: None,
            expires_at: None,
            id_token: None,
            authorization_details: AuthorizationDetails::default(),
            subject: None,
        },
        origins: Origins::default(),
    });
    let origins = Origins::of(origins.iter().copied()).expect("origins");
    sessions.save("default", &Session { origins, ..session }).expect("saved");
}

#[test]
fn cl_tok_06_cl_tok_10_callers_at_once_share_one_renewal_and_logins_are_read_again() {
    let (renewals, never) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (issuer, other) = (server(Arc::clone(&renewals)), server(Arc::clone(&never)));
    let world = World::new();
    keep(&world, &issuer, &[&issuer]);
    let args = ["agent", "--listen", "127.0.0.1:0", "--upstream", &issuer, "--keep-token", "--quiet"];
    let mut service = world.start(&args);
    let listen = service.told("listen").to_owned();
    let token = std::fs::read_to_string(world.path("home/agent/default.token")).expect("a token");
    let fields = format!("Authorization: Bearer {token}\r\n");
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (listen, fields) = (listen.clone(), fields.clone());
            thread::spawn(move || send(&listen, "GET /x", &fields, ""))
        })
        .collect();
    for caller in callers {
        let answer = caller.join().expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("served"), "{answer}");
    }
    assert_eq!(renewals.load(SeqCst), 1);
    let sessions = SessionStore::open(world.path("home/sessions")).expect("a store");
    let kept = sessions.load("default").expect("a session").tokens;
    assert_eq!(kept.access_token, Secret::new(FRESH));
    assert_eq!(kept.refresh_token, Some(Secret::new(REFRESH[1])));

    // Another origin, once the agent is told to look.
    let proxied = format!("GET {other}/x");
    let host = other.trim_start_matches("http://").to_owned();
    let basic = data_encoding::BASE64.encode(format!("keybound:{token}").as_bytes());
    let ask = || proxy(&listen, &proxied, &host, &basic);
    assert!(ask().starts_with("HTTP/1.1 403 "));
    keep(&world, &issuer, &[&issuer, &other]);
    let id = i32::try_from(service.id()).ok().and_then(Pid::from_raw).expect("an id");
    kill_process(id, Signal::HUP).expect("signalled");
    let before = service.wait_for_log("the logins were read again");
    assert!(ask().starts_with("HTTP/1.1 200 "));
    assert_eq!(never.load(SeqCst), 0);
    let (code, log) = service.stop();
    assert_eq!(code, 0, "{log}");
    let log = before + &log;
    for secret in [STALE, FRESH, REFRESH[0], REFRESH[1], &token, &basic] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn cl_tok_10_a_new_login_is_taken_up_by_itself_in_open_tunnels_too() {
    let never = Arc::new(AtomicUsize::new(0));
    let issuer = server(Arc::clone(&never));
    let world = World::new();
    keep(&world, &issuer, &[&issuer]);
    let sessions = SessionStore::open(world.path("home/sessions")).expect("a store");
    let mut session = sessions.load("default").expect("a session");
    session.tokens.refresh_token = None;
    sessions.save("default", &session).expect("saved");
    let args = ["agent", "--listen", "127.0.0.1:0", "--upstream", &issuer, "--keep-token", "--quiet"];
    let mut service = world.start(&args);
    let listen = service.told("listen").to_owned();
    let token = std::fs::read_to_string(world.path("home/agent/default.token")).expect("a token");
    let host = issuer.trim_start_matches("http://").to_owned();
    let mut tunnel = BufReader::new(TcpStream::connect(&listen).expect("connected"));
    let fields = format!("Host: {host}\r\nProxy-Authorization: Bearer {token}\r\n\r\n");
    assert_eq!(ask(&mut tunnel, &format!("CONNECT {host} HTTP/1.1\r\n{fields}")), 200);
    let inside = format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert_eq!(ask(&mut tunnel, &inside), 401);

    // Another login, with another key.
    let keys = KeyStore::open(world.path("home/keys")).expect("a store");
    session.jkt = keys.create("other", Algorithm::Es256).expect("a key").public_jwk().thumbprint();
    session.key = "other".to_owned();
    session.tokens.access_token = Secret::new(FRESH);
    sessions.save("default", &session).expect("saved");
    let before = service.wait_for_log("the logins were read again");
    assert_eq!(ask(&mut tunnel, &inside), 200);
    let fields = format!("Authorization: Bearer {token}\r\n");
    assert!(send(&listen, "GET /x", &fields, "").starts_with("HTTP/1.1 200 "));

    // None at all.
    sessions.delete("default").expect("deleted");
    let more = service.wait_for_log("the logins were read again");
    assert!(more.contains("there is no login any more"), "{more}");
    assert_eq!(ask(&mut tunnel, &inside), 421);
    let gone = send(&listen, "GET /x", &fields, "");
    assert!(gone.starts_with("HTTP/1.1 502 ") && gone.contains("keybound login"), "{gone}");

    // And one again.
    sessions.save("default", &session).expect("saved");
    service.wait_for_log("the logins were read again");
    assert!(send(&listen, "GET /x", &fields, "").starts_with("HTTP/1.1 200 "));
    assert!(!before.contains(FRESH) && !before.contains(&token));
    service.stop();
}

/// The status of an answer, which is read to its end.
fn ask(stream: &mut BufReader<TcpStream>, request: &str) -> u16 {
    stream.get_mut().write_all(request.as_bytes()).expect("sent");
    let (mut status, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a line");
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        status = status.or_else(|| line.split(' ').nth(1)?.parse().ok());
        length =
            line.strip_prefix("content-length: ").map_or(length, |value| value.parse().expect("a length"));
    }
    stream.read_exact(&mut vec![0; length]).expect("a body");
    status.expect("a status")
}

/// The whole answer to a request to a proxy.
fn proxy(listen: &str, line: &str, host: &str, basic: &str) -> String {
    let mut stream = TcpStream::connect(listen).expect("connected");
    let fields = format!("Host: {host}\r\nProxy-Authorization: Basic {basic}\r\nConnection: close\r\n");
    stream.write_all(format!("{line} HTTP/1.1\r\n{fields}\r\n").as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
