//! The exchange with the upstream: one request, streaming both ways, bounded in time, never repeated once it was sent.

use crate::config::Config;
use crate::headers;
use crate::route::Upstream;
use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response, Uri, Version};
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Less than the idle time of common servers, so that connections are not taken up as they close.
const POOL_IDLE: Duration = Duration::from_secs(4);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// The client for upstreams. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub(crate) struct Forwarder {
    client: Client<HttpConnector, RequestBody>,
    answer_timeout: Duration,
}

/// Why there is no answer of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It cannot be reached, or broke off: 502.
    Broken,
    /// It took too long: 504.
    TooSlow,
}

impl Forwarder {
    pub(crate) fn new(config: &Config) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(config.connect_timeout));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .set_host(false)
            .build(connector);
        Self { client, answer_timeout: config.answer_timeout }
    }

    /// The same, with its connections, and with another patience.
    pub(crate) fn patient(&self, answer_timeout: Duration) -> Self {
        Self { answer_timeout, ..self.clone() }
    }

    /// Sends the request to the upstream, its path and query as they came, and returns as soon as the answer begins.
    pub(crate) async fn send<B>(
        &self,
        request: Request<B>,
        upstream: &Upstream,
    ) -> Result<Response<Incoming>, NoAnswer>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (mut parts, body) = request.into_parts();
        let mut uri = parts.uri.into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(upstream.authority.clone());
        parts.uri = Uri::from_parts(uri).map_err(|_| NoAnswer::Broken)?;
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        let (body, moved) = watched(body);
        let answer = self.client.request(Request::from_parts(parts, body));
        let mut response = self.within_time(answer, &moved).await?;
        headers::for_caller(response.headers_mut());
        // The version is that of each connection, not of the message (RFC 9110 §2.5).
        *response.version_mut() = Version::HTTP_11;
        response.extensions_mut().clear();
        Ok(response)
    }

    /// The time counts from the last piece of the request that moved: an upload may take as long as it takes.
    async fn within_time(
        &self,
        mut answer: ResponseFuture,
        moved: &AtomicU64,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let mut seen = moved.load(Ordering::Relaxed);
        loop {
            match tokio::time::timeout(self.answer_timeout, &mut answer).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => {
                    let error =
                        std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
                    tracing::warn!(error, "the upstream gave no answer");
                    return Err(NoAnswer::Broken);
                }
                Err(_) => {
                    let now = moved.load(Ordering::Relaxed);
                    if now == seen {
                        tracing::warn!("the upstream took too long");
                        return Err(NoAnswer::TooSlow);
                    }
                    seen = now;
                }
            }
        }
    }
}

/// The body, with a count of its pieces, and without what trailers must not say.
fn watched<B>(body: B) -> (RequestBody, Arc<AtomicU64>)
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let moved = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&moved);
    if body.is_end_stream() {
        return (http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync(), moved);
    }
    let body = body.map_err(Into::into).map_frame(move |mut frame| {
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(trailers) = frame.trailers_mut() {
            headers::clean_trailers(trailers);
        }
        frame
    });
    (body.boxed_unsync(), moved)
}
