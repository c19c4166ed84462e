use super::*;
use crate::error::Culprit;
use crate::testing::{Server, answer};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

fn operator() -> Fetcher {
    Fetcher::for_operator(&Settings::default()).expect("a client")
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

fn request(url: &Url) -> http::request::Builder {
    http::Request::builder().uri(url.as_str())
}

#[tokio::test]
async fn a_document_is_got() {
    let server = Server::start(|_| answer("200 OK", "cache-control: max-age=60\r\n", "{}")).await;
    let fetched = operator().get(&server.url).await.expect("fetched");
    assert_eq!(
        (&fetched.body[..], &fetched.headers[header::CACHE_CONTROL]),
        (&b"{}"[..], &"max-age=60".parse().expect("a value"))
    );
    let seen = server.requests().concat().to_lowercase();
    assert!(seen.contains(&format!("user-agent: {USER_AGENT}\r\n")) && !seen.contains("cookie"), "{seen}");
}

#[tokio::test]
async fn cl_red_04_redirects_are_not_followed() {
    let server = Server::start(|_| answer("307 Temporary Redirect", "location: /elsewhere\r\n", "")).await;
    let error = operator().get(&server.url).await.expect_err("refused");
    assert!(matches!(error, FetchError::Status { status: 307, .. }), "{error}");
    assert!(error.advice().contains("redirects are not followed"));
    let post = request(&server.url).method("POST").body(Bytes::from_static(b"a=b")).expect("a request");
    let response = operator().send(post).await.expect("answered");
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert!(server.requests().iter().all(|request| !request.contains("/elsewhere")));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn all_header_lines_are_kept_both_ways() {
    let lines = "dpop-nonce: one\r\ndpop-nonce: two\r\nset-cookie: a=b\r\n";
    let server = Server::start(move |_| answer("401 Unauthorized", lines, "no")).await;
    let client = operator();
    for _ in 0..2 {
        let sent = request(&server.url).header("dpop", "p1").header("dpop", "p2").body(Bytes::new());
        let response = client.send(sent.expect("a request")).await.expect("answered");
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let nonces: Vec<_> = response.headers().get_all("dpop-nonce").iter().collect();
        assert_eq!(nonces, ["one", "two"]);
        assert_eq!(&response.body()[..], b"no");
    }
    for seen in server.requests() {
        assert!(seen.contains("dpop: p1\r\ndpop: p2\r\n") && !seen.contains("a=b"), "{seen}");
    }
}

#[tokio::test]
async fn ops_ssrf_01_bodies_are_bounded_announced_or_not() {
    let body = "x".repeat(1000);
    let announced = answer("200 OK", "", &body);
    let unannounced = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}").into_bytes();
    for bytes in [announced, unannounced] {
        let server = Server::start(move |_| bytes.clone()).await;
        let sent = || request(&server.url).body(Bytes::new()).expect("a request");
        let client = operator();
        assert_eq!(client.send_capped(sent(), 1000).await.expect("answered").body().len(), 1000);
        let error = client.send_capped(sent(), 999).await.expect_err("refused");
        assert!(matches!(error, FetchError::TooLarge { limit: 999, .. }), "{error}");
        let mut streaming = client.send_streaming(sent()).await.expect("answered");
        let mut read = 0;
        while let Some(chunk) = streaming.chunk().await.expect("a part") {
            read += chunk.len();
        }
        assert_eq!((streaming.status(), read), (StatusCode::OK, 1000));
    }
}

#[tokio::test]
async fn ops_ssrf_01_a_server_that_says_nothing_is_given_up() {
    let server = Server::start(|_| Vec::new()).await;
    let settings = Settings { timeout: Duration::from_millis(50), ..Settings::default() };
    let client = Fetcher::for_operator(&settings).expect("a client");
    let error = client.get(&server.url).await.expect_err("late");
    assert_eq!(error.culprit(), Culprit::Network);
    assert!(matches!(error, FetchError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn nobody_there_is_a_matter_of_the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let error = operator().get(&url(&format!("http://{address}/"))).await.expect_err("refused");
    assert!(matches!(&error, FetchError::Connect { host, .. } if *host == address.to_string()), "{error}");
}

#[tokio::test]
async fn cl_red_06_https_or_loopback_and_no_credentials() {
    for bad in [
        "http://id.example/",
        "ftp://id.example/",
        "file:///etc/passwd",
        "http://127.0.0.1.evil.example/",
        "https://user@id.example/",
        "https://user:password@id.example/?code=secret",
    ] {
        let error = operator().get(&url(bad)).await.expect_err(bad);
        assert_eq!(error.culprit(), Culprit::Configuration, "{bad}");
        assert!(matches!(error, FetchError::Url { .. }), "{bad}");
        assert!(!error.to_string().contains("password@") && !error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn ops_ssrf_01_strangers_reach_public_addresses_only() {
    let strangers = Fetcher::for_strangers(&Settings::default()).expect("a client");
    let server = Server::start(|_| answer("200 OK", "", "{}")).await;
    let port = server.url.port().expect("a port");
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "a.localhost",
        "localhost.",
        "10.0.0.1",
        "169.254.169.254",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "[::]",
    ] {
        let error = strangers.get(&url(&format!("https://{host}:{port}/"))).await.expect_err(host);
        assert!(matches!(error, FetchError::Address { .. }), "{host}: {error}");
    }
    let error = strangers.get(&server.url).await.expect_err("http");
    assert!(matches!(error, FetchError::Url { .. }), "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn ops_ssrf_02_loopback_for_strangers_is_a_setting() {
    let settings = Settings { strangers_may_name_loopback: true, ..Settings::default() };
    let strangers = Fetcher::for_strangers(&settings).expect("a client");
    let server = Server::start(|_| answer("200 OK", "", "{}")).await;
    assert!(strangers.get(&server.url).await.is_ok());
    let error = strangers.get(&url("https://10.0.0.1/")).await.expect_err("private");
    assert!(matches!(error, FetchError::Address { range: "private use", .. }), "{error}");
}

#[tokio::test]
async fn cl_red_07_fapi_net_05_certificates_are_verified() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let port = serve_tls(&made).await;
    let at = |host: &str| url(&format!("https://{host}:{port}/"));
    let error = operator().get(&at("localhost")).await.expect_err("not trusted");
    assert!(matches!(error, FetchError::Tls { .. }), "{error}");
    let roots = Roots::from_pem(made.cert.pem().as_bytes()).expect("roots");
    let trusting = Fetcher::for_operator(&Settings { roots, ..Settings::default() }).expect("a client");
    assert_eq!(&trusting.get(&at("localhost")).await.expect("fetched").body[..], b"{}");
    let error = trusting.get(&at("127.0.0.1")).await.expect_err("another name");
    assert!(matches!(error, FetchError::Tls { .. }), "{error}");
    for bad in ["", "no certificate"] {
        assert!(Roots::from_pem(bad.as_bytes()).is_err());
    }
}

fn self_signed(name: &str) -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate")
}

fn shown(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> ClientCertificate {
    let pem = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
    ClientCertificate::from_pem(pem.as_bytes()).expect("a certificate with its key")
}

#[tokio::test]
async fn fapi_cl_05_a_certificate_is_shown_to_servers_that_ask_for_it() {
    let (server, ours) = (self_signed("localhost"), self_signed("client"));
    let mut known = rustls::RootCertStore::empty();
    known.add(ours.cert.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(known), provider);
    let port = serve_tls_asking(&server, verifier.build().expect("a verifier")).await;
    let roots = Roots::from_pem(server.cert.pem().as_bytes()).expect("roots");
    let at = url(&format!("https://localhost:{port}/"));
    let with = |certificate| Settings { roots: roots.clone(), certificate, ..Settings::default() };
    let known = Fetcher::for_operator(&with(Some(shown(&ours)))).expect("a client");
    assert_eq!(&known.get(&at).await.expect("fetched").body[..], b"{}");
    for stranger in [None, Some(shown(&self_signed("client")))] {
        assert!(Fetcher::for_operator(&with(stranger)).expect("a client").get(&at).await.is_err());
    }
    let nearby = Settings { strangers_may_name_loopback: true, ..with(Some(shown(&ours))) };
    let told = Fetcher::for_strangers(&nearby).expect("a client").get(&at).await;
    assert!(told.is_err(), "who writes URLs is not to learn who we are");
}

#[test]
fn a_certificate_needs_its_own_key_and_is_not_shown() {
    let (one, other) = (self_signed("client"), self_signed("client"));
    let pem = |made: &rcgen::CertifiedKey<rcgen::KeyPair>, key: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        format!("{}{}", made.cert.pem(), key.signing_key.serialize_pem())
    };
    for bad in [String::new(), one.cert.pem(), one.signing_key.serialize_pem(), pem(&one, &other)] {
        let error = ClientCertificate::from_pem(bad.as_bytes()).expect_err("refused");
        assert!(error.to_string().contains("both in PEM"), "{error}");
        assert!(!error.to_string().contains("BEGIN"), "{error}");
    }
    assert_eq!(format!("{:?}", shown(&one)), "ClientCertificate([redacted])");
}

async fn serve_tls(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> u16 {
    serve_tls_asking(made, rustls::server::WebPkiClientVerifier::no_client_auth()).await
}

async fn serve_tls_asking(
    made: &rcgen::CertifiedKey<rcgen::KeyPair>,
    verifier: Arc<dyn rustls::server::danger::ClientCertVerifier>,
) -> u16 {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.write_all(&answer("200 OK", "", "{}")).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    port
}

/// A name server whose answer changes: at first this machine, then what is in its network.
#[derive(Default)]
struct Rebinding(AtomicUsize);

impl Resolve for Rebinding {
    fn resolve(&self, _: Name) -> Resolving {
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        let answer: &[[u8; 4]] = match asked {
            0 => &[[127, 0, 0, 1]],
            1 => &[[169, 254, 169, 254]],
            _ => &[[127, 0, 0, 1], [10, 0, 0, 1]],
        };
        let addresses = answer.iter().map(|address| SocketAddr::from((*address, 0))).collect();
        let judged = Author::StrangersNearby.judge(addresses);
        Box::pin(async move { Ok(Box::new(judged?.into_iter()) as Addrs) })
    }
}

#[tokio::test]
async fn ops_ssrf_01_atk_128_a_name_that_is_bound_anew_leads_nowhere_else() {
    let server = Server::start(|_| answer("200 OK", "", "{}")).await;
    let (names, author) = (Arc::new(Rebinding::default()), Author::StrangersNearby);
    let settings = Settings::default();
    let http = builder(&settings, author).expect("a builder").dns_resolver(Arc::clone(&names));
    let http = http.tls_certs_only(std::iter::empty()).build().expect("a client");
    let (timeout, max_body_bytes) = (settings.timeout, settings.max_body_bytes);
    let fetcher = Fetcher { http, author, timeout, max_body_bytes };
    let url = url(&format!("http://app.localhost:{}/", server.url.port().expect("a port")));
    fetcher.get(&url).await.expect("fetched");
    for _ in 0..2 {
        let refused = fetcher.get(&url).await.expect_err("refused");
        assert!(matches!(refused, FetchError::Address { .. }), "{refused:?}");
    }
    // What was judged is what was connected to: no connection asked twice.
    assert_eq!((names.0.load(Ordering::SeqCst), server.requests().len()), (3, 1));
}
