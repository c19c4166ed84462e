//! The body of a request: bytes that are there, or ones that are still to come.

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// The body of a request.
#[derive(Debug)]
pub struct Body(pub(crate) reqwest::Body);

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(bytes.into())
    }
}

impl Body {
    /// A body that is sent as it comes.
    #[must_use]
    pub fn wrap<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Sync + 'static,
    {
        Self(reqwest::Body::wrap(body))
    }

    /// The same body, and a way to see whether it moves.
    pub(crate) fn watched(self) -> (Self, Progress) {
        let progress = Progress::default();
        let watched = Watched { inner: self.0, progress: progress.clone() };
        (Self(reqwest::Body::wrap(watched)), progress)
    }
}

/// How much of a body has gone out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// How many parts so far.
    pub(crate) fn parts(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Watched {
    inner: reqwest::Body,
    progress: Progress,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if polled.is_ready() {
            self.progress.0.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
