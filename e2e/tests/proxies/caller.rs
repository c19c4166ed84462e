//! A caller who sends what it likes, over TLS, by HTTP/1.1 or HTTP/2.

use bytes::Bytes;
use http::{Request, Uri, Version};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keybound_e2e::Answer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Sends one request on a connection of its own. In HTTP/1.1 the target is what the URI's path and query are.
pub(crate) async fn send(to: SocketAddr, certificate: &str, request: Request<Full<Bytes>>) -> Answer {
    let is_http2 = request.version() == Version::HTTP_2;
    let stream = TcpStream::connect(to).await.expect("connected");
    let name = ServerName::try_from("api.example").expect("a name");
    let connector = TlsConnector::from(trusting(certificate, is_http2));
    let stream = TokioIo::new(connector.connect(name, stream).await.expect("a TLS session"));
    if is_http2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        return Answer::read(sender.send_request(request).await.expect("an answer")).await;
    }
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.expect("HTTP/1.1");
    tokio::spawn(connection);
    let (mut parts, body) = request.into_parts();
    parts.uri = Uri::from(parts.uri.path_and_query().expect("a target").clone());
    Answer::read(sender.send_request(Request::from_parts(parts, body)).await.expect("an answer")).await
}

fn trusting(certificate: &str, is_http2: bool) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate"))
        .expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![if is_http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Arc::new(config)
}
