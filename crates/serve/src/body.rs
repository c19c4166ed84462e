//! The two bodies: the request's, which must not dawdle, and the response's, which keeps its connection awake.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::alarm::Alarm;
use crate::connection::Busy;

/// A request body as it comes in. A pause longer than [`Limits::body_pause`](crate::Limits::body_pause) ends it with
/// [`BodyError::TooSlow`]. How long it may be is the service's business.
pub struct IncomingBody {
    inner: Incoming,
    pause: Duration,
    alarm: Alarm,
    late: Option<Late>,
}

/// Why a request body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Nothing came for longer than the limit.
    #[error("the request body came too slowly")]
    TooSlow,
    /// The connection broke, or the body broke the protocol.
    #[error("the request body broke off: {0}")]
    Broken(#[source] hyper::Error),
}

/// Tells the exchange that its body was too slow.
#[derive(Clone, Default)]
pub(crate) struct Late(Arc<AtomicBool>);

impl Late {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl IncomingBody {
    pub(crate) fn new(inner: Incoming, pause: Duration) -> (Self, Option<Late>) {
        let late = (!inner.is_end_stream()).then(Late::default);
        (Self { inner, pause, alarm: Alarm::default(), late: late.clone() }, late)
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.alarm.rest();
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }
        ready!(this.alarm.waiting(cx, this.pause));
        this.alarm.rest();
        if let Some(late) = &this.late {
            late.0.store(true, Relaxed);
        }
        Poll::Ready(Some(Err(BodyError::TooSlow)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl std::fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IncomingBody")
    }
}

/// A response body: the service's or one of ours.
pub(crate) struct OutgoingBody<B> {
    inner: Source<B>,
    busy: Busy,
}

pub(crate) enum Source<B> {
    Ours(Full<Bytes>),
    Theirs(B),
}

impl<B> OutgoingBody<B> {
    /// The connection is busy until this body is dropped.
    pub(crate) fn new(inner: Source<B>, mut busy: Busy) -> Self {
        busy.hand();
        Self { inner, busy }
    }
}

impl<B> Body for OutgoingBody<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        this.busy.take();
        let polled = match &mut this.inner {
            Source::Ours(text) => match Pin::new(text).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            },
            Source::Theirs(body) => Pin::new(body).poll_frame(cx),
        };
        if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            this.busy.hand();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Source::Ours(text) => text.is_end_stream(),
            Source::Theirs(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Source::Ours(text) => text.size_hint(),
            Source::Theirs(body) => body.size_hint(),
        }
    }
}
