//! The exchange with the upstream: one request, streaming both ways, bounded in time, and sent to one address only. Where
//! a connection cannot be made nothing was sent, and the next address may have it.

mod answer_body;
mod request_body;

pub use answer_body::AnswerBody;
pub(crate) use answer_body::{Ending, Manner};
pub(crate) use request_body::RequestBody;

use crate::headers;
use crate::route::Route;
use crate::upstream::{Address, Connections, Upstream};
use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy::ResponseFuture;
use request_body::{Lender, Progress, Upload};
use std::error::Error;
use std::time::Duration;

type BoxError = Box<dyn Error + Send + Sync>;

/// Why there is no answer of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// None of its addresses can be connected to: 502.
    Away,
    /// It broke off: 502.
    Broken,
    /// It took too long: 504.
    TooSlow,
    /// The request body is longer than the route allows: 413.
    TooLarge,
}

/// How one exchange goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage<'a> {
    pub(crate) route: &'a Route,
    pub(crate) upstream: &'a Upstream,
    pub(crate) connections: &'a Connections,
    /// The monotonic clock.
    pub(crate) now: Duration,
}

/// What of a body can be sent once more.
enum Content {
    Nothing,
    Once(Upload),
    Lent(Lender),
}

/// Sends the request to the upstream of its route, and returns as soon as the answer begins.
pub(crate) async fn send<B>(
    mut parts: Parts,
    body: B,
    passage: Passage<'_>,
) -> Result<Response<Incoming>, NoAnswer>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let upstream = passage.upstream;
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    let (mut content, progress) = if body.is_end_stream() {
        (Content::Nothing, None)
    } else {
        let (upload, progress) = Upload::new(body, passage.route.max_body_bytes);
        let several = upstream.is_several();
        let content = if several { Content::Lent(Lender::new(upload)) } else { Content::Once(upload) };
        (content, Some(progress))
    };
    let mut addresses = upstream.in_turn(passage.now).peekable();
    while let Some(address) = addresses.next() {
        let is_last = addresses.peek().is_none();
        let head = if is_last { std::mem::replace(&mut parts, empty_head()) } else { parts.clone() };
        let body = content.next();
        match attempt(head, body, address, &passage, progress.as_deref()).await {
            Err(NoAnswer::Away) if !is_last && content.is_whole() => address.failed(passage.now),
            Err(NoAnswer::Away) => {
                address.failed(passage.now);
                return Err(NoAnswer::Away);
            }
            outcome => return outcome,
        }
    }
    Err(NoAnswer::Away)
}

impl Content {
    fn next(&mut self) -> RequestBody {
        match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => RequestBody::Empty,
            Self::Once(upload) => RequestBody::Upload(upload),
            Self::Lent(lender) => {
                let body = lender.lend();
                *self = Self::Lent(lender);
                body
            }
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Once(_) => false,
            Self::Lent(lender) => lender.is_whole(),
        }
    }
}

/// What is left of a head that was given away.
fn empty_head() -> Parts {
    Request::new(()).into_parts().0
}

async fn attempt(
    mut head: Parts,
    body: RequestBody,
    address: &Address,
    passage: &Passage<'_>,
    progress: Option<&Progress>,
) -> Result<Response<Incoming>, NoAnswer> {
    let route = passage.route;
    head.uri = address.uri(head.uri, route.stripped()).ok_or(NoAnswer::Broken)?;
    head.headers.insert(HOST, address.host().clone());
    let answer = passage.connections.request(Request::from_parts(head, body));
    let answer = within_time(answer, route.answer_timeout, progress).await;
    let answer = answer.and_then(|response| match headers::is_too_long(response.headers()) {
        true => Err(NoAnswer::Broken),
        false => Ok(response),
    });
    let mut response = answer.inspect_err(|no_answer| {
        tracing::warn!(upstream = address.name(), ?no_answer, "no answer from the upstream");
    })?;
    // The version is that of each connection, not of the message (RFC 9110 §2.5).
    *response.version_mut() = Version::HTTP_11;
    Ok(response)
}

/// The time counts from the last piece of the request that moved: an upload may take as long as it takes.
async fn within_time(
    mut answer: ResponseFuture,
    time: Duration,
    progress: Option<&Progress>,
) -> Result<Response<Incoming>, NoAnswer> {
    let moved = || progress.map_or(0, Progress::pieces);
    let mut seen = moved();
    loop {
        match tokio::time::timeout(time, &mut answer).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(_)) if progress.is_some_and(Progress::is_too_large) => return Err(NoAnswer::TooLarge),
            Ok(Err(error)) => {
                let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                tracing::debug!(cause, "the exchange failed");
                return Err(if error.is_connect() { NoAnswer::Away } else { NoAnswer::Broken });
            }
            Err(_) if moved() == seen => return Err(NoAnswer::TooSlow),
            Err(_) => seen = moved(),
        }
    }
}

/// What of an answer goes on to the caller: its body bounded in time, its fields without those for one hop.
pub(crate) fn to_caller(
    answer: Response<Incoming>,
    idle: Duration,
    ending: Option<Ending>,
) -> Response<AnswerBody> {
    let (mut head, body) = answer.into_parts();
    headers::for_caller(&mut head.headers);
    head.extensions.clear();
    Response::from_parts(head, AnswerBody::new(body, idle, ending))
}
