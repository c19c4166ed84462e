//! An HTTP proxy between the client and the servers.

use crate::mock::{CHALLENGE, prover, session};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keybound_client::api::{Api, ApiSettings};
use keybound_client::transport::Transport;
use keybound_dpop::jose::base64url;
use keybound_fetch::{Fetcher, Proxy, Roots, Settings};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::{TlsAcceptor, rustls};

type Seen = Arc<Mutex<Vec<String>>>;

/// A proxy that knows one name, `api.example`, and leads to that port for it. Its requests are seen.
async fn proxy(port: u16) -> (u16, Seen) {
    let (listener, seen) = (TcpListener::bind("127.0.0.1:0").await.expect("a socket"), Seen::default());
    let (own, log) = (listener.local_addr().expect("an address").port(), Arc::clone(&seen));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.expect("a head"));
                }
                let head = String::from_utf8(head).expect("text");
                let is_known = head.starts_with("CONNECT api.example:443 ");
                log.lock().push(head);
                if !is_known {
                    let _ = client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
                    return;
                }
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("written");
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (own, seen)
}

/// `https://api.example`, which asks for a nonce and answers with the `htu` of the proof.
async fn server(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> u16 {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = acceptor.accept(stream).await.expect("TLS");
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    port
}

async fn answer(request: http::Request<Incoming>) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let proof = request.headers()["DPoP"].to_str().expect("ASCII");
    let payload = proof.split('.').nth(1).and_then(base64url::decode);
    let claims: serde_json::Value = serde_json::from_slice(&payload.expect("base64url")).expect("JSON");
    let response = http::Response::builder().header("DPoP-Nonce", "n");
    let response = match claims["nonce"].as_str() {
        None => response.status(401).header(CHALLENGE.0, CHALLENGE.1).body(Full::default()),
        Some(_) => response.body(Full::from(claims["htu"].as_str().expect("htu").to_owned())),
    };
    Ok(response.expect("a response"))
}

#[tokio::test]
async fn cl_red_05_behind_a_proxy_htu_is_the_target_and_the_proxy_learns_nothing() {
    let made = rcgen::generate_simple_self_signed(vec!["api.example".to_owned()]).expect("a certificate");
    let (port, seen) = proxy(server(&made).await).await;
    let settings = |proxy: &str| Settings {
        roots: Roots::from_pem(made.cert.pem().as_bytes()).expect("roots"),
        proxy: Some(Proxy::parse(proxy).expect("a proxy")),
        ..Settings::default()
    };
    let fetcher = Fetcher::for_operator(&settings(&format!("http://ada:pw@127.0.0.1:{port}"))).expect("one");
    let prover = prover();
    let session = session(&prover, "https://id.example", "https://api.example");
    let api = Api::new(Transport::over(fetcher), prover, session, ApiSettings::default()).expect("an API");
    let send = |url: &str| api.send(crate::mock::get(url.to_owned()));
    let answer = send("https://api.example/things?page=2").await.expect("an answer");
    assert_eq!(answer.body().as_ref(), b"https://api.example/things");
    for head in &*seen.lock() {
        assert!(head.starts_with("CONNECT api.example:443 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("Basic YWRhOnB3"), "{head}");
        assert!(!head.to_lowercase().contains("dpop") && !head.contains("token-1") && !head.contains("page"));
    }
    assert_eq!(seen.lock().len(), 1, "one connection for both sendings");

    let strangers = Fetcher::for_strangers(&settings(&format!("127.0.0.1:{port}"))).expect("a fetcher");
    let to = url::Url::parse("https://api.example.invalid/").expect("a URL");
    assert!(strangers.get(&to).await.is_err());
    assert_eq!(seen.lock().len(), 1, "no proxy for URLs that others chose");
}
