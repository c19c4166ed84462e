//! An answer's body on its way to the caller.

use crate::timer::Timer;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// UNAUTHENTICATED, of the status codes of gRPC.
const GRPC_UNAUTHENTICATED: HeaderValue = HeaderValue::from_static("16");

/// The body of an upstream's answer. A pause that is too long breaks it off; a stream of events ends with its token.
pub struct AnswerBody {
    inner: Incoming,
    idle: Duration,
    timer: Timer,
    ending: Option<Ending>,
    ended: bool,
}

/// When a stream is over though its upstream goes on.
pub(crate) struct Ending {
    pub(crate) at: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(crate) manner: Manner,
}

/// How a stream without end of its own is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Events: nothing more comes.
    Events,
    /// gRPC: a status in the trailers.
    Grpc,
}

/// Nothing came for too long.
#[derive(Debug, thiserror::Error)]
#[error("the upstream paused for too long")]
struct Stalled;

impl Manner {
    /// Of an answer that may go on for as long as it likes. A download has an end of its own.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let begins =
            |with: &str| kind.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        match kind.len() {
            17 if begins("text/event-stream") => Some(Self::Events),
            16 if begins("application/grpc") => Some(Self::Grpc),
            _ if begins("application/grpc+") => Some(Self::Grpc),
            _ => None,
        }
    }

    fn last_frame(self) -> Option<Frame<Bytes>> {
        match self {
            Self::Events => None,
            Self::Grpc => {
                let mut trailers = HeaderMap::with_capacity(2);
                trailers.insert(HeaderName::from_static("grpc-status"), GRPC_UNAUTHENTICATED);
                let why = HeaderValue::from_static("the access token has expired");
                trailers.insert(HeaderName::from_static("grpc-message"), why);
                Some(Frame::trailers(trailers))
            }
        }
    }
}

impl AnswerBody {
    pub(super) fn new(inner: Incoming, idle: Duration, ending: Option<Ending>) -> Self {
        Self { inner, idle, timer: Timer::default(), ending, ended: false }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        if let Some(ending) = &mut this.ending
            && ending.at.as_mut().poll(cx).is_ready()
        {
            this.ended = true;
            return Poll::Ready(ending.manner.last_frame().map(Ok));
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.timer.rest();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        match this.timer.waiting(cx, this.idle) {
            Poll::Ready(()) => {
                this.ended = true;
                tracing::warn!("an answer of an upstream was broken off: it paused for too long");
                Poll::Ready(Some(Err(Box::new(Stalled))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerBody")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_from_downloads_by_their_type() {
        let of = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            Manner::of(&headers)
        };
        for events in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "text/event-stream ;a=b"] {
            assert_eq!(of(events), Some(Manner::Events), "{events}");
        }
        for grpc in ["application/grpc", "application/grpc+proto", "application/GRPC;x=y"] {
            assert_eq!(of(grpc), Some(Manner::Grpc), "{grpc}");
        }
        for other in ["text/event-streams", "application/grpc-web", "application/json", "text/html"] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(Manner::of(&HeaderMap::new()), None);
    }
}
