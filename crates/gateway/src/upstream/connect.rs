//! How an upstream is connected to: in the clear or over TLS, HTTP/1.1 or HTTP/2, within a time.

use super::Connections;
use crate::secret_file::{self, ALL_BUT_READERS};
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

/// Less than the idle time of common servers, so that connections are not taken up as they close.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// An HTTP/2 connection whose peer does not answer a ping is given up.
const PING: Duration = Duration::from_secs(20);
/// Bytes of an answer's head, at the most.
pub(crate) const MAX_HEAD_BYTES: u32 = 64 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// How to connect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    /// HTTP/2 only, also without TLS ("prior knowledge", RFC 9113 §3.3). Else HTTP/1.1, or what TLS agrees on.
    pub(crate) http2: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) security: Security,
}

/// Whom we trust over TLS, and how we show who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Security {
    /// The authorities, PEM; those of the system where there is none.
    pub(crate) ca: Option<PathBuf>,
    /// The certificate chain and the key, PEM.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

/// Why an upstream cannot be connected to in this way. The text names the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("{}: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: there is no {what} in PEM in it", .path.display())]
    Empty { path: PathBuf, what: &'static str },
    #[error("the system has no trusted certificate authorities: name some in `ca_file`")]
    NoRoots,
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

impl Default for Link {
    fn default() -> Self {
        Self { http2: false, connect_timeout: Duration::from_secs(5), security: Security::default() }
    }
}

/// The client for requests, and the one for tunnels.
pub(super) fn clients(link: &Link, secured: bool) -> Result<(Connections, Option<Connections>), LinkError> {
    let tls = if secured { link.security.config()? } else { unused()? };
    let any = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
    let requests = if link.http2 {
        client(any.enable_http2().wrap_connector(tcp()), link)
    } else if secured {
        client(any.enable_all_versions().wrap_connector(tcp()), link)
    } else {
        client(any.enable_http1().wrap_connector(tcp()), link)
    };
    let tunnels = if secured {
        let only = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let link = Link { http2: false, ..link.clone() };
        Some(client(only.wrap_connector(tcp()), &link))
    } else {
        (!link.http2).then(|| requests.clone())
    };
    Ok((requests, tunnels))
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    tcp
}

fn client(connector: HttpsConnector<HttpConnector>, link: &Link) -> Connections {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .set_host(false)
        .http2_only(link.http2)
        .http2_max_header_list_size(MAX_HEAD_BYTES)
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
        .build(Connector { inner: connector, timeout: link.connect_timeout })
}

impl Security {
    fn config(&self) -> Result<ClientConfig, LinkError> {
        let wanting = versions()?.with_root_certificates(self.roots()?);
        Ok(match &self.client {
            None => wanting.with_no_client_auth(),
            Some((chain, key)) => wanting.with_client_auth_cert(certificates(chain)?, private_key(key)?)?,
        })
    }

    fn roots(&self) -> Result<RootCertStore, LinkError> {
        let mut roots = RootCertStore::empty();
        let given = match &self.ca {
            Some(file) => certificates(file)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        roots.add_parsable_certificates(given);
        if roots.is_empty() { Err(LinkError::NoRoots) } else { Ok(roots) }
    }
}

/// For a connector that will never be asked for TLS.
fn unused() -> Result<ClientConfig, LinkError> {
    Ok(versions()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn versions() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, LinkError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13, &TLS12])?)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LinkError> {
    let pem = read(path)?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(LinkError::Empty { path: path.to_owned(), what: "certificate" }),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, LinkError> {
    let unreadable = |source| LinkError::Unreadable { path: path.to_owned(), source };
    let pem = secret_file::read(path, ALL_BUT_READERS).map_err(unreadable)?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| LinkError::Empty { path: path.to_owned(), what: "private key" })
}

fn read(path: &Path) -> Result<Vec<u8>, LinkError> {
    std::fs::read(path).map_err(|source| LinkError::Unreadable { path: path.to_owned(), source })
}

/// A connector whose connections are there in time, TLS included.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    inner: HttpsConnector<HttpConnector>,
    timeout: Duration,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let timeout = self.timeout;
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                Ok(connected) => connected,
                Err(late) => Err(late.into()),
            }
        })
    }
}
