//! One request and its answer: checked, marked with its peer, called, timed, counted.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tower_service::Service;
use tracing::Instrument;

use crate::alarm::Stopwatch;
use crate::body::{IncomingBody, OutgoingBody, Source};
use crate::connection::{Link, Shell};
use crate::request_line;
use crate::span;
use crate::trace::Asked;

/// A tower service that a [`Server`](crate::Server) can run: it answers every request, and is cloned for each.
pub trait Handler<B>:
    Service<Request<IncomingBody>, Response = Response<B>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + 'static
{
}

impl<S, B> Handler<B> for S where
    S: Service<Request<IncomingBody>, Response = Response<B>, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + 'static
{
}

/// A response body that a [`Server`](crate::Server) can send.
pub trait ResponseBody:
    http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static
{
}

impl<B> ResponseBody for B where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static
{
}

/// What a request needs: the service, and where it came in.
#[derive(Clone)]
pub(crate) struct Exchange<S> {
    pub(crate) shell: Arc<Shell>,
    pub(crate) service: S,
    pub(crate) peer: SocketAddr,
    /// For the log: written once for all requests of a connection.
    pub(crate) peer_text: Arc<str>,
}

/// Answers one request.
pub(crate) async fn run<S, B>(
    exchange: Exchange<S>,
    link: Arc<Link>,
    request: Request<Incoming>,
) -> Result<Response<OutgoingBody<B>>, Infallible>
where
    S: Handler<B>,
    B: ResponseBody,
{
    let time = Stopwatch::start();
    let busy = Link::begin(&link);
    let Exchange { shell, service, peer, peer_text } = exchange;
    let (parts, body) = request.into_parts();
    let asked = Asked::of(&parts);
    let span = span::begin(peer, shell.tls.is_some(), &parts);
    let response = match refusal(&shell, &link, &parts) {
        Some((status, reason)) => own(status, reason, parts.version),
        None => call(&shell, service, peer, &asked, (parts, body)).instrument(span.clone()).await,
    };
    let status = response.status();
    span::end(&span, status);
    if status == StatusCode::SWITCHING_PROTOCOLS || (asked.method == Method::CONNECT && status.is_success()) {
        link.become_tunnel();
    }
    let time = time.elapsed();
    shell.metrics.answered(status, time);
    asked.answered(shell.name, &peer_text, status, time);
    Ok(response.map(|source| OutgoingBody::new(source, busy)))
}

/// Requests for what has no end of its own: another protocol, or a stream of events. Their service is told when the
/// listener stops.
fn may_outlive(parts: &Parts) -> bool {
    let events = |accept: &HeaderValue| accept.as_bytes().starts_with(b"text/event-stream");
    parts.extensions.get::<OnUpgrade>().is_some() || parts.headers.get(ACCEPT).is_some_and(events)
}

/// What no service shall see.
fn refusal(shell: &Shell, link: &Link, parts: &Parts) -> Option<(StatusCode, &'static str)> {
    if link.is_distrusted() {
        return Some((StatusCode::BAD_REQUEST, "the end of a request is ambiguous"));
    }
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > shell.limits.max_target_bytes {
        return Some((StatusCode::URI_TOO_LONG, "the request target is too long"));
    }
    request_line::check(parts).err().map(|reason| (StatusCode::BAD_REQUEST, reason))
}

/// Has the service answer, in time and whatever becomes of it.
async fn call<S, B>(
    shell: &Shell,
    mut service: S,
    peer: SocketAddr,
    asked: &Asked,
    (mut parts, body): (Parts, Incoming),
) -> Response<Source<B>>
where
    S: Handler<B>,
    B: ResponseBody,
{
    let version = parts.version;
    let (body, late) = IncomingBody::new(body, shell.limits.body_pause);
    if may_outlive(&parts) {
        parts.extensions.insert(shell.leaving.clone());
    }
    parts.extensions.insert(peer);
    parts.extensions.insert(if shell.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
    let request = Request::from_parts(parts, body);
    let answer = AssertUnwindSafe(async move {
        let ready: Result<(), Infallible> = poll_fn(|cx| service.poll_ready(cx)).await;
        match ready {
            Ok(()) => service.call(request).await,
            Err(never) => match never {},
        }
    });
    let answer = match within(shell.limits.request_total, answer.catch_unwind()).await {
        Some(answer) => answer,
        None => return own(StatusCode::SERVICE_UNAVAILABLE, "the request took too long", version),
    };
    if late.is_some_and(|late| late.is_set()) {
        return own(StatusCode::REQUEST_TIMEOUT, "the request body came too slowly", version);
    }
    match answer {
        Ok(Ok(response)) => response.map(Source::Theirs),
        Ok(Err(never)) => match never {},
        Err(_) => {
            shell.metrics.panicked();
            asked.panicked(shell.name);
            own(StatusCode::INTERNAL_SERVER_ERROR, "internal error", version)
        }
    }
}

/// The answer, or none when the time is up.
async fn within<F: Future>(limit: Option<std::time::Duration>, answer: F) -> Option<F::Output> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, answer).await.ok(),
        None => Some(answer.await),
    }
}

/// An answer of the shell's own. On HTTP/1 it is the last of its connection, because what follows may be the rest of
/// a request that nobody read.
fn own<B>(status: StatusCode, text: &'static str, version: Version) -> Response<Source<B>> {
    let mut response = Response::new(Source::Ours(Bytes::from_static(text.as_bytes()).into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    if version < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
