//! `keybound request` against a resource that asks for a nonce.

use crate::common::World;
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
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

const TOKEN: &str = "s3cret-access-token";
const CHALLENGE: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: DPoP error=\"use_dpop_nonce\"\r\n\
                         DPoP-Nonce: n0nce-1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

pub(crate) fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nX-Kind: test\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// A resource that gives these answers, one a connection, and then tells what it was sent.
fn resource(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    resource_at(|_| answers)
}

/// The same, where the answers hold its URL.
pub(crate) fn resource_at(answers: impl FnOnce(&str) -> Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answers = answers(&url);
    let serving = std::thread::spawn(move || {
        answers
            .into_iter()
            .map(|answer| {
                let (mut stream, _) = listener.accept().expect("a connection");
                let request = read(&mut stream);
                stream.write_all(answer.as_bytes()).expect("answered");
                request
            })
            .collect()
    });
    (url, serving)
}

fn read(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut request, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        request.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    request + &String::from_utf8(body).expect("text")
}

/// A world in which there was a login for that resource.
fn logged_in(url: &str) -> World {
    let world = World::new();
    let key = KeyStore::open(world.path("home/keys"))
        .expect("a store")
        .create("k", Algorithm::Es256)
        .expect("a key");
    let tokens = Tokens {
        access_token: Secret::new(TOKEN),
        token_type: TokenType::Dpop,
        refresh_token: None,
        scope: None,
        authorization_details: AuthorizationDetails::default(),
        expires_at: None,
        id_token: None,
        subject: None,
    };
    let session = Session {
        issuer: Issuer::parse("https://as.example").expect("an issuer"),
        client_id: ClientId::parse("cli").expect("a client"),
        key: "k".to_owned(),
        jkt: key.public_jwk().thumbprint(),
        tokens,
        origins: Origins::of([url]).expect("an origin"),
    };
    let sessions = SessionStore::open(world.path("home/sessions")).expect("a store");
    sessions.save("default", &session).expect("saved");
    world
}

#[test]
fn cl_cli_03_a_nonce_is_put_in_and_the_status_decides_the_exit_code() {
    let (url, serving) = resource(vec![CHALLENGE.to_owned(), answer("200 OK", "hello")]);
    let ended = logged_in(&url).run(&["request", &format!("{url}/orders?page=2")], "");
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, "hello", "200 OK\n"));
    let requests = serving.join().expect("requests");
    assert!(requests.iter().all(|request| request.starts_with("GET /orders?page=2 HTTP/1.1\r\n")));
    let (url, serving) =
        resource(vec![answer("404 Not Found", "nothing"), answer("404 Not Found", "nothing")]);
    let world = logged_in(&url);
    let ended = world.run(&["request", &url], "");
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (22, "nothing", "404 Not Found\n")
    );
    let ended = world.run(&["request", "--fail", "--silent", &url], "");
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (22, "", ""));
    serving.join().expect("requests");
}

#[test]
fn data_and_headers_are_sent_and_the_body_is_written() {
    let (url, serving) = resource(vec![answer("201 Created", "made"), answer("200 OK", "done")]);
    let world = logged_in(&url);
    let args = ["request", &url, "-H", "Content-Type: application/json", "-d", "@-", "-o", "out", "-s"];
    assert_eq!(world.ok(&args, "{\"a\":1}"), "");
    assert_eq!(std::fs::read_to_string(world.path("out")).expect("a file"), "made");
    let shown = world.ok(&["request", "-X", "PUT", "-i", "-d", "a=b", &url], "");
    assert!(shown.starts_with("HTTP/1.1 200 OK\n") && shown.ends_with("\n\ndone"), "{shown}");
    let requests = serving.join().expect("requests");
    assert!(
        requests[0].starts_with("POST / ") && requests[0].ends_with("\r\n\r\n{\"a\":1}"),
        "{}",
        requests[0]
    );
    assert!(requests[0].contains("content-type: application/json\r\n"), "{}", requests[0]);
    assert!(
        requests[1].starts_with("PUT / ") && requests[1].contains("x-www-form-urlencoded"),
        "{}",
        requests[1]
    );
    let own = world.run(&["request", &url, "-H", "Authorization: Bearer x"], "");
    assert_eq!(own.code, 2, "{}", own.stderr);
}

#[test]
fn cl_cli_04_the_trace_shows_proofs_decoded_and_secrets_as_hashes() {
    let (url, serving) = resource(vec![CHALLENGE.to_owned(), answer("200 OK", "hello")]);
    let world = logged_in(&url);
    world.write("headers", "X-Api-Key: hunter2\n");
    let ended = world.run(&["request", "-v", "-H", "@headers", "-H", "X-Kind: open", &url], "");
    let requests = serving.join().expect("requests");
    let proofs: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.lines().find_map(|line| line.strip_prefix("dpop: ")))
        .collect();
    assert_eq!(proofs.len(), 2);
    assert!(requests.iter().all(|request| request.contains(&format!("authorization: DPoP {TOKEN}\r\n"))));
    assert!(requests.iter().all(|request| request.contains("x-api-key: hunter2\r\n")));
    let trace = ended.stderr;
    assert!(trace.contains("> x-api-key: [sha256 ") && trace.contains("> x-kind: open\n"), "{trace}");
    assert!(!trace.contains("hunter2"), "{trace}");
    assert!(!trace.contains(TOKEN) && !proofs.iter().any(|proof| trace.contains(proof)), "{trace}");
    assert_eq!(trace.matches("> authorization: DPoP [sha256 ").count(), 2, "{trace}");
    assert_eq!(trace.matches("\"htm\": \"GET\"").count(), 2, "{trace}");
    assert_eq!(trace.matches("\"nonce\": \"n0nce-1\"").count(), 1, "{trace}");
    assert!(
        trace.contains("< HTTP/1.1 401 Unauthorized\n") && trace.contains("< dpop-nonce: n0nce-1\n"),
        "{trace}"
    );
}

#[test]
fn cl_non_12_a_file_is_sent_again_where_it_is_too_long_to_be_kept() {
    let challenge = CHALLENGE.replace("n0nce-1", "n0nce-2");
    let (url, serving) = resource(vec![answer("204 No Content", ""), challenge, answer("200 OK", "kept")]);
    let world = logged_in(&url);
    let data = "z".repeat(300_000);
    world.write("data", &data);
    let ended = world.run(&["request", "-v", "-T", "data", &url], "");
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "kept"), "{}", ended.stderr);
    let requests = serving.join().expect("requests");
    assert!(requests[0].starts_with("HEAD / ") && requests[0].ends_with("\r\n\r\n"), "{}", requests[0]);
    for request in &requests[1..] {
        assert!(request.starts_with("PUT / ") && request.ends_with(&data));
        assert!(request.to_lowercase().contains("content-length: 300000\r\n"));
    }
    assert_eq!(ended.stderr.matches("\n> PUT ").count(), 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("* asking for a nonce first"), "{}", ended.stderr);
}

#[test]
fn cl_non_12_a_file_that_was_kept_is_sent_again_at_its_length() {
    let (url, serving) = resource(vec![CHALLENGE.to_owned(), answer("200 OK", "kept")]);
    let world = logged_in(&url);
    world.write("data", "small");
    let ended = world.run(&["request", "-T", "data", "--timeout", "5", &url], "");
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "kept"), "{}", ended.stderr);
    for request in serving.join().expect("requests") {
        assert!(request.starts_with("PUT / ") && request.ends_with("\r\n\r\nsmall"), "{request}");
        assert!(request.to_lowercase().contains("content-length: 5\r\n"), "{request}");
    }
}

#[test]
fn cl_red_02_what_came_from_stdin_is_not_sent_on_as_nothing() {
    let moved = answer("307 Temporary Redirect", "").replace("X-Kind: test", "Location: /there");
    let (url, serving) = resource(vec![answer("204 No Content", ""), moved]);
    let ended = logged_in(&url).run(&["request", "-L", "-T", "-", &url], "data");
    assert!(ended.code == 1 && ended.stderr.contains("what came from stdin is gone"), "{}", ended.stderr);
    assert!(ended.stderr.contains("\nnext: "), "{}", ended.stderr);
    serving.join().expect("requests");
}

#[test]
fn cl_cli_03_a_body_that_is_cut_off_is_no_success() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhalf";
    let (url, serving) = resource(vec![cut.to_owned()]);
    let ended = logged_in(&url).run(&["request", "-o", "out", &url], "");
    assert!(ended.code == 7 && !ended.stderr.contains("200 OK"), "{} {}", ended.code, ended.stderr);
    serving.join().expect("requests");
}

#[test]
fn a_resource_that_is_not_there_is_said_with_advice() {
    let url = format!("http://{}", crate::common::free_address());
    let ended = logged_in(&url).run(&["request", &url], "");
    assert!(ended.code == 7 && ended.stderr.contains("\nnext: "), "{}", ended.stderr);
}
