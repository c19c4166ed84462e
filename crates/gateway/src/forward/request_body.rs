//! A request's body on its way to the upstream.

use crate::headers;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Source = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;

/// What an upstream is sent.
pub(crate) enum RequestBody {
    /// Nothing.
    Empty,
    /// A body that goes out once.
    Upload(Upload),
    /// A body that can be had back for as long as nobody has asked for any of it.
    Lent(Lent),
}

/// A body with a count of its pieces, an end to its length, and without what trailers must not say.
pub(crate) struct Upload {
    source: Source,
    progress: Arc<Progress>,
    left: u64,
}

/// What is seen of an upload from outside.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pieces: AtomicU64,
    too_large: AtomicBool,
}

/// See [`RequestBody::Lent`].
pub(crate) struct Lent {
    slot: Arc<Mutex<Option<Upload>>>,
    taken: Option<Upload>,
}

/// Where a lent body is.
#[derive(Clone)]
pub(crate) struct Lender(Arc<Mutex<Option<Upload>>>);

/// The body is longer than the route allows.
#[derive(Debug, thiserror::Error)]
#[error("the request body is too large")]
struct TooLarge;

impl Progress {
    pub(crate) fn pieces(&self) -> u64 {
        self.pieces.load(Ordering::Relaxed)
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.too_large.load(Ordering::Relaxed)
    }
}

impl Upload {
    /// At most `max_bytes` of this body.
    pub(crate) fn new<B>(body: B, max_bytes: Option<u64>) -> (Self, Arc<Progress>)
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let progress = Arc::<Progress>::default();
        let source: Source = Box::pin(http_body_util::BodyExt::map_err(body, Into::into));
        (Self { source, progress: Arc::clone(&progress), left: max_bytes.unwrap_or(u64::MAX) }, progress)
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = self.source.as_mut().poll_frame(cx);
        let Poll::Ready(Some(Ok(mut frame))) = polled else { return polled };
        self.progress.pieces.fetch_add(1, Ordering::Relaxed);
        if let Some(trailers) = frame.trailers_mut() {
            headers::clean_trailers(trailers);
        }
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => {
                self.progress.too_large.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(Box::new(TooLarge))));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Lender {
    pub(crate) fn new(upload: Upload) -> Self {
        Self(Arc::new(Mutex::new(Some(upload))))
    }

    pub(crate) fn lend(&self) -> RequestBody {
        RequestBody::Lent(Lent { slot: Arc::clone(&self.0), taken: None })
    }

    /// Whether nobody has asked for any of it.
    pub(crate) fn is_whole(&self) -> bool {
        held(&self.0).is_some()
    }
}

fn held(slot: &Mutex<Option<Upload>>) -> MutexGuard<'_, Option<Upload>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lent {
    /// Asks the body, wherever it is; `gone` where another has it.
    fn ask<T>(&self, gone: T, question: impl FnOnce(&Source) -> T) -> T {
        match &self.taken {
            Some(upload) => question(&upload.source),
            None => held(&self.slot).as_ref().map_or(gone, |upload| question(&upload.source)),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Upload(upload) => upload.poll_piece(cx),
            Self::Lent(lent) => {
                if lent.taken.is_none() {
                    lent.taken = held(&lent.slot).take();
                }
                lent.taken.as_mut().map_or(Poll::Ready(None), |upload| upload.poll_piece(cx))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Upload(upload) => upload.source.is_end_stream(),
            Self::Lent(lent) => lent.ask(true, |source| source.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Upload(upload) => upload.source.size_hint(),
            Self::Lent(lent) => lent.ask(SizeHint::with_exact(0), |source| source.size_hint()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    #[tokio::test]
    async fn a_lent_body_comes_back_only_whole() {
        let (upload, _) = Upload::new(Full::new(Bytes::from_static(b"abc")), None);
        let lender = Lender::new(upload);
        let unused = lender.lend();
        assert_eq!((unused.size_hint().exact(), unused.is_end_stream()), (Some(3), false));
        drop(unused);
        assert!(lender.is_whole());
        assert_eq!(lender.lend().collect().await.expect("a body").to_bytes(), "abc");
        assert!(!lender.is_whole());
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_ends_in_an_error() {
        for (max, fits) in [(None, true), (Some(3), true), (Some(2), false), (Some(0), false)] {
            let (upload, progress) = Upload::new(Full::new(Bytes::from_static(b"abc")), max);
            assert_eq!(RequestBody::Upload(upload).collect().await.is_ok(), fits, "{max:?}");
            assert_eq!(progress.is_too_large(), !fits);
        }
    }
}
