//! The connections to the servers: kept, within limits, and over TLS that is verified.

use super::body::Upload;
use crate::middleware::ReplayBody;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

/// Until there is a connection, TLS included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next request; less than common servers keep theirs.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// An HTTP/2 connection whose peer does not answer a ping is given up.
const PING: Duration = Duration::from_secs(20);
/// Bytes of an answer that are under way over HTTP/2, and so held here where a caller does not read: of one, and of all
/// on a connection.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// Bytes of an answer's head, at the most.
const MAX_HEAD_BYTES: u32 = 256 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A client for one set of protocols.
pub(super) type Connections = Client<Connector, ReplayBody<Upload>>;

/// The clients for requests, and for those that become something else, which HTTP/1.1 alone can do.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    pub(super) requests: Connections,
    pub(super) upgrades: Connections,
}

/// Servers cannot be connected to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// A file cannot be read.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds no certificate.
    #[error("{}: there is no certificate in PEM in it", .0.display())]
    Empty(PathBuf),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

impl Ways {
    /// Trusts the system's authorities, and those in that file too.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, RootsError> {
        let roots = roots(ca_file)?;
        if roots.is_empty() {
            tracing::warn!(target: "agent", "the system has no trusted certificate authorities; name some with --ca-file");
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let any =
            HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http().enable_all_versions();
        let one = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        Ok(Self { requests: client(any.wrap_connector(tcp())), upgrades: client(one.wrap_connector(tcp())) })
    }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, RootsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let unreadable = |source| RootsError::Unreadable { path: path.to_owned(), source };
        let pem = std::fs::read(path).map_err(unreadable)?;
        match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
            Ok(given) if !given.is_empty() => roots.add_parsable_certificates(given),
            _ => return Err(RootsError::Empty(path.to_owned())),
        };
    }
    Ok(roots)
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    tcp
}

fn client(connector: HttpsConnector<HttpConnector>) -> Connections {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .http1_max_buf_size(MAX_HEAD_BYTES as usize)
        .http2_max_header_list_size(MAX_HEAD_BYTES)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
        .build(Connector(connector))
}

/// A connector whose connections are there in time.
#[derive(Clone, Debug)]
pub(super) struct Connector(HttpsConnector<HttpConnector>);

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(connected) => connected,
                Err(late) => Err(late.into()),
            }
        })
    }
}
