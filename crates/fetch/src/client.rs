//! The client itself. One for URLs that an operator wrote, one for URLs that others chose; both ask for https, follow
//! no redirect, keep no cookie, use no proxy that was not named, and stop at a time and a size.

use crate::body::{Body, Progress};
use crate::error::{FetchError, classify, innermost};
use crate::proxy::Proxy;
use crate::resolve::Author;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use keybound_dpop::secret::Secret;
use keybound_oauth::identifier::is_protected;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tracing::field::Empty;
use tracing::{Instrument, trace_span};
use url::{Host, Url};

/// How we name ourselves to servers.
pub const USER_AGENT: &str = concat!("keybound/", env!("CARGO_PKG_VERSION"));

/// Certificates of authorities to trust besides the system's.
#[derive(Clone, Debug, Default)]
pub struct Roots(Vec<reqwest::Certificate>);

impl Roots {
    /// Reads certificates in PEM; there must be one at least.
    ///
    /// # Errors
    /// [`FetchError::Setup`]
    pub fn from_pem(pem: &[u8]) -> Result<Self, FetchError> {
        match reqwest::Certificate::from_pem_bundle(pem) {
            Ok(certificates) if !certificates.is_empty() => Ok(Self(certificates)),
            _ => Err(FetchError::Setup("there is no certificate in PEM among the trusted roots".to_owned())),
        }
    }

    /// Reads a file of certificates in PEM. To be called before anything is served.
    ///
    /// # Errors
    /// [`FetchError::Setup`]
    pub fn from_pem_file(path: &Path) -> Result<Self, FetchError> {
        let pem = std::fs::read(path)
            .map_err(|error| FetchError::Setup(format!("cannot read {}: {error}", path.display())))?;
        Self::from_pem(&pem).map_err(|error| FetchError::Setup(format!("{}: {error}", path.display())))
    }
}

/// A certificate of ours with its private key, by which servers know us (RFC 8705).
#[derive(Clone)]
pub struct ClientCertificate(reqwest::Identity);

impl ClientCertificate {
    /// Reads a certificate, with those between it and its root, and its private key, all in PEM.
    ///
    /// # Errors
    /// [`FetchError::Setup`]
    pub fn from_pem(pem: &[u8]) -> Result<Self, FetchError> {
        let unfit = "the client certificate needs a certificate and its private key, both in PEM";
        let identity = reqwest::Identity::from_pem(pem).map_err(|_| FetchError::Setup(unfit.to_owned()))?;
        // Whether the key is the certificate's shows when a client is made of them.
        let made = builder(&Settings::default(), Author::Operator)?
            .tls_certs_only(std::iter::empty())
            .identity(identity.clone())
            .build();
        match made {
            Ok(_) => Ok(Self(identity)),
            Err(error) => Err(FetchError::Setup(format!("{unfit}: {}", innermost(&error)))),
        }
    }

    /// Reads a file of them. To be called before anything is served.
    ///
    /// # Errors
    /// [`FetchError::Setup`]
    pub fn from_pem_file(path: &Path) -> Result<Self, FetchError> {
        let pem = std::fs::read_to_string(path)
            .map_err(|error| FetchError::Setup(format!("cannot read {}: {error}", path.display())))?;
        let pem = Secret::new(pem);
        Self::from_pem(pem.reveal().as_bytes())
            .map_err(|error| FetchError::Setup(format!("{}: {error}", path.display())))
    }
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientCertificate([redacted])")
    }
}

/// The bounds of a client.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Authorities to trust besides the system's.
    pub roots: Roots,
    /// What is shown to servers that ask who we are; never where strangers chose the URL.
    pub certificate: Option<ClientCertificate>,
    /// Until there is a connection; 5 s.
    pub connect_timeout: Duration,
    /// Until the whole answer is there; 10 s. For a stream: between one part of it and the next.
    pub timeout: Duration,
    /// Bytes in the body of an answer, at the most; 64 KiB.
    pub max_body_bytes: usize,
    /// A proxy for the URLs that an operator wrote; none. For those that others chose there never is one: where they lead is
    /// ours to see.
    pub proxy: Option<Proxy>,
    /// Whether URLs that others chose may lead to this machine: for development only (OPS-SSRF-02).
    pub strangers_may_name_loopback: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            roots: Roots::default(),
            certificate: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            max_body_bytes: 64 * 1024,
            proxy: None,
            strangers_may_name_loopback: false,
        }
    }
}

/// The client. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Fetcher {
    http: reqwest::Client,
    author: Author,
    timeout: Duration,
    max_body_bytes: usize,
}

/// A document that was there: the answer had status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// All header lines.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Fetcher {
    /// For URLs that an operator wrote: any address will do.
    ///
    /// # Errors
    /// [`FetchError::Setup`]
    pub fn for_operator(settings: &Settings) -> Result<Self, FetchError> {
        Self::new(settings, Author::Operator)
    }

    /// For URLs that others chose: https to public addresses only (RFC 6890).
    ///
    /// # Errors
    /// [`FetchError::Setup`]
    pub fn for_strangers(settings: &Settings) -> Result<Self, FetchError> {
        let nearby = settings.strangers_may_name_loopback;
        Self::new(settings, if nearby { Author::StrangersNearby } else { Author::Strangers })
    }

    /// Whether it is one for URLs that others chose.
    #[must_use]
    pub fn is_for_strangers(&self) -> bool {
        self.author != Author::Operator
    }

    fn new(settings: &Settings, author: Author) -> Result<Self, FetchError> {
        let roots = || settings.roots.0.iter().cloned();
        let http = builder(settings, author)?.tls_certs_merge(roots()).build();
        let http = match http {
            Ok(http) => Ok(http),
            Err(error) => {
                // A machine without a store of trusted roots: those that we were given are all there is.
                tracing::warn!(%error, given = roots().len(), "the system's trusted roots cannot be used");
                builder(settings, author)?.tls_certs_only(roots()).build()
            }
        };
        let http = http.map_err(|error| FetchError::Setup(error.to_string()))?;
        Ok(Self { http, author, timeout: settings.timeout, max_body_bytes: settings.max_body_bytes })
    }

    /// Gets a document. Any status but 200 is an error.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn get(&self, url: &Url) -> Result<Fetched, FetchError> {
        self.get_capped(url, self.max_body_bytes).await
    }

    /// As [`Fetcher::get`], with another bound for the document.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn get_capped(&self, url: &Url, max_body_bytes: usize) -> Result<Fetched, FetchError> {
        let mut request = reqwest::Request::new(http::Method::GET, url.clone());
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
        // Only of interest where traces are collected.
        let span = trace_span!(
            target: "traces", "fetch", otel.kind = "client", http.request.method = "GET",
            server.address = host_of(url), url.path = url.path(), http.response.status_code = Empty
        );
        let response = self.exchange(request, max_body_bytes).instrument(span.clone()).await?;
        span.record("http.response.status_code", response.status().as_u16());
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { host: host_of(url), status: response.status().as_u16() });
        }
        let (parts, body) = response.into_parts();
        Ok(Fetched { headers: parts.headers, body })
    }

    /// Sends a request and reads the answer, whatever its status. All header lines are kept.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, FetchError> {
        self.send_capped(request, self.max_body_bytes).await
    }

    /// As [`Fetcher::send`], with another bound for the body of the answer.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn send_capped(
        &self,
        request: http::Request<impl Into<Body>>,
        max_body_bytes: usize,
    ) -> Result<http::Response<Bytes>, FetchError> {
        self.exchange(convert(request)?, max_body_bytes).await
    }

    /// Sends a request and returns as soon as the answer begins. Neither body has a bound in size, nor in time as long as
    /// it keeps moving.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn send_streaming(
        &self,
        request: http::Request<impl Into<Body>>,
    ) -> Result<Streaming, FetchError> {
        let (parts, body) = request.into_parts();
        let (body, progress) = body.into().watched();
        let request = convert(http::Request::from_parts(parts, body))?;
        let host = host_of(request.url());
        let response = self.while_it_moves(&host, &progress, self.begin(request)).await?;
        Ok(Streaming { host, response, timeout: self.timeout })
    }

    async fn exchange(
        &self,
        request: reqwest::Request,
        max_body_bytes: usize,
    ) -> Result<http::Response<Bytes>, FetchError> {
        let host = host_of(request.url());
        let whole = async {
            let response = self.begin(request).await?;
            read_whole(response, &host, max_body_bytes).await
        };
        self.within_time(&host, whole).await
    }

    async fn begin(&self, request: reqwest::Request) -> Result<reqwest::Response, FetchError> {
        self.check_url(request.url())?;
        let host = host_of(request.url());
        self.http.execute(request).await.map_err(|error| classify(&host, &error))
    }

    async fn within_time<T>(
        &self,
        host: &str,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let late = |_| Err(FetchError::Timeout { host: host.to_owned() });
        tokio::time::timeout(self.timeout, work).await.unwrap_or_else(late)
    }

    /// As [`Self::within_time`], but the time begins anew whenever a part of the body has gone out.
    async fn while_it_moves<T>(
        &self,
        host: &str,
        progress: &Progress,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let mut work = std::pin::pin!(work);
        loop {
            let before = progress.parts();
            match tokio::time::timeout(self.timeout, work.as_mut()).await {
                Ok(done) => return done,
                Err(_) if progress.parts() != before => {}
                Err(_) => return Err(FetchError::Timeout { host: host.to_owned() }),
            }
        }
    }

    /// Addresses written as such never reach the resolver, so they are judged here.
    fn check_url(&self, url: &Url) -> Result<(), FetchError> {
        let refuse = |reason| Err(FetchError::Url { url: without_query(url), reason });
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it holds a user name or password");
        }
        if !is_protected(url) {
            return refuse("it is neither https nor http on a loopback host");
        }
        if self.author == Author::Strangers && url.scheme() != "https" {
            return refuse("it is not https");
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        match self.author.objection(address) {
            Some(range) => Err(FetchError::Address { host: host_of(url), range }),
            None => Ok(()),
        }
    }
}

/// An answer whose body is still coming.
#[derive(Debug)]
pub struct Streaming {
    host: String,
    response: reqwest::Response,
    timeout: Duration,
}

impl Streaming {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The version of HTTP.
    #[must_use]
    pub fn version(&self) -> http::Version {
        self.response.version()
    }

    /// All header lines.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The next part of the body; `None` at its end.
    ///
    /// # Errors
    /// [`FetchError`] where the body breaks off or stalls.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        match tokio::time::timeout(self.timeout, self.response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| classify(&self.host, &error)),
            Err(_) => Err(FetchError::Timeout { host: self.host.clone() }),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place where outbound requests are made")]
fn builder(settings: &Settings, author: Author) -> Result<reqwest::ClientBuilder, FetchError> {
    let builder = reqwest::Client::builder();
    let shown = settings.certificate.as_ref().filter(|_| author == Author::Operator);
    let builder = match shown {
        Some(ClientCertificate(identity)) => builder.identity(identity.clone()),
        None => builder,
    };
    let builder = builder
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(settings.connect_timeout)
        .dns_resolver(Arc::new(author));
    match settings.proxy.as_ref().filter(|_| author == Author::Operator) {
        Some(proxy) => Ok(builder.proxy(proxy.setting()?)),
        None => Ok(builder),
    }
}

fn convert(request: http::Request<impl Into<Body>>) -> Result<reqwest::Request, FetchError> {
    let uri = request.uri().clone();
    reqwest::Request::try_from(request.map(|body| body.into().0)).map_err(|_| {
        // What cannot be read as a URL may hold a password all the same.
        let url = [uri.host().unwrap_or_default(), uri.path()].concat();
        FetchError::Url { url, reason: "it is not an absolute URL" }
    })
}

async fn read_whole(
    mut response: reqwest::Response,
    host: &str,
    limit: usize,
) -> Result<http::Response<Bytes>, FetchError> {
    let too_large = || FetchError::TooLarge { host: host.to_owned(), limit };
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if announced > limit {
        return Err(too_large());
    }
    let mut body = BytesMut::with_capacity(announced);
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(host, &error))? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    let mut whole = http::Response::new(body.freeze());
    *whole.status_mut() = response.status();
    *whole.version_mut() = response.version();
    std::mem::swap(whole.headers_mut(), response.headers_mut());
    Ok(whole)
}

pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The URL as it may stand in a log.
pub(crate) fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

#[cfg(test)]
mod tests;
