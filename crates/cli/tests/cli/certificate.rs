//! A client that authenticates by its certificate (RFC 8705 §2).

use crate::common::World;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// What it was asked, and whether a certificate was shown.
type Asked = Arc<Mutex<Vec<(String, bool)>>>;

/// A server that knows clients by their certificates. It serves as long as the test runs.
fn server(own: &CertifiedKey<KeyPair>, client: &CertifiedKey<KeyPair>) -> (String, Asked) {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut known = RootCertStore::empty();
    known.add(client.cert.der().clone()).expect("a root");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(known), Arc::clone(&provider));
    let verifier = verifier.allow_unauthenticated().build().expect("a verifier");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_client_cert_verifier(verifier);
    let config =
        Arc::new(config.with_single_cert(vec![own.cert.der().clone()], key).expect("a configuration"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let issuer = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
    let asked = Asked::default();
    let (name, log) = (issuer.clone(), Arc::clone(&asked));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut stream = StreamOwned::new(connection, stream.expect("a stream"));
            if let Some(request) = read(&mut stream) {
                let is_known = stream.conn.peer_certificates().is_some();
                let answer = answer(&name, &request, is_known);
                log.lock().expect("no panic").push((request, is_known));
                // Who asked may have gone.
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (issuer, asked)
}

fn read(stream: &mut Tls) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut request, mut length) = (String::new(), 0);
    while !request.ends_with("\r\n\r\n") {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        request.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(request + &String::from_utf8(body).ok()?)
}

fn answer(issuer: &str, request: &str, is_known: bool) -> String {
    let (status, body) = match request.split(' ').nth(1) {
        Some("/mtls/token") if is_known => {
            ("200 OK", json!({ "access_token": "s3cret", "token_type": "DPoP", "expires_in": 60 }))
        }
        Some("/token" | "/mtls/token") => ("401 Unauthorized", json!({ "error": "invalid_client" })),
        _ => (
            "200 OK",
            json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
                "response_types_supported": ["code"], "dpop_signing_alg_values_supported": ["ES256"],
                "token_endpoint_auth_methods_supported": ["tls_client_auth"],
                "mtls_endpoint_aliases": { "token_endpoint": format!("{issuer}/mtls/token") },
            }),
        ),
    };
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn fapi_cl_05_a_client_is_known_by_its_certificate() {
    let made = |name: &str| generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
    let (own, client) = (made("localhost"), made("client"));
    let (issuer, asked) = server(&own, &client);
    let world = World::new();
    world.write("ca.pem", &own.cert.pem());
    world.write("me.pem", &format!("{}{}", client.cert.pem(), client.signing_key.serialize_pem()));
    let add = ["profile", "add", "svc", "--issuer", &issuer, "--client-id", "svc", "--ca-file", "ca.pem"];
    world.ok(&[&add[..], &["--client-certificate", "me.pem"]].concat(), "");
    world.ok(&["token", "client-credentials"], "");
    let (request, is_known) = asked.lock().expect("no panic").pop().expect("a request");
    assert!(is_known && request.contains("client_id=svc") && !request.contains("uthorization:"), "{request}");
    // Without it the server's methods do not fit, which is said before anything is sent to the token endpoint.
    world.write("a.secret", "hunter2");
    let refused = world.run(&["token", "client-credentials", "--secret-file", "a.secret"], "");
    assert!(refused.code == 2 && refused.stderr.contains("tls_client_auth"), "{}", refused.stderr);
    let all = asked.lock().expect("no panic");
    assert!(!all.iter().any(|(request, _)| request.contains("hunter2")), "{all:?}");
    // The certificate of one client is not shown for another one.
    assert!(all.last().is_some_and(|(_, is_known)| !is_known), "{all:?}");
}
