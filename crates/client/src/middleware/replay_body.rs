//! A body that is kept while it is sent, so that it can be sent again from its beginning.

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The body of one sending. Another sending of the same request takes it over, and this one ends with an error.
pub struct ReplayBody<B> {
    /// `None` where there is no body.
    shared: Option<Arc<Mutex<Shared<B>>>>,
    sending: u32,
    /// How many of the kept parts have been sent.
    sent: usize,
    ended: bool,
}

/// What all sendings share.
struct Shared<B> {
    /// What has not been sent yet; `None` at its end.
    rest: Option<Pin<Box<B>>>,
    /// What has been sent; `None` where that was more than is kept.
    kept: Option<Vec<Bytes>>,
    trailers: Option<HeaderMap>,
    /// How many bytes may still be kept.
    room: usize,
    /// Which sending has the body.
    sending: u32,
    /// Who waits for more of it.
    waiting: Option<Waker>,
}

/// The body went to another sending of the same request.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request is being sent again")]
struct TakenOver;

impl<B: Body<Data = Bytes>> ReplayBody<B> {
    /// A body of which that much is kept.
    pub(crate) fn of(body: Option<B>, max_kept_bytes: usize) -> Self {
        let shared = body.filter(|body| !body.is_end_stream()).map(|body| {
            let (rest, kept) = (Some(Box::pin(body)), Some(Vec::new()));
            Arc::new(Mutex::new(Shared {
                rest,
                kept,
                trailers: None,
                room: max_kept_bytes,
                sending: 0,
                waiting: None,
            }))
        });
        Self { shared, sending: 0, sent: 0, ended: false }
    }

    /// Whether all of it will be kept for sure.
    pub(crate) fn fits(&self) -> bool {
        let Some(shared) = &self.shared else { return true };
        let shared = shared.lock();
        let most = shared.rest.as_ref().map_or(Some(0), |rest| rest.size_hint().upper());
        most.and_then(|most| usize::try_from(most).ok()).is_some_and(|most| most <= shared.room)
    }

    /// The body for the sending that comes next.
    pub(crate) fn handle(&self) -> Self {
        Self { shared: self.shared.clone(), sending: self.sending, sent: 0, ended: false }
    }

    /// Takes the body away from the sending that has it. `false` where it cannot be sent again.
    pub(crate) fn rewind(&mut self) -> bool {
        let Some(shared) = &self.shared else { return true };
        let mut shared = shared.lock();
        self.sending += 1;
        shared.sending = self.sending;
        if let Some(waiting) = shared.waiting.take() {
            waiting.wake();
        }
        shared.kept.is_some()
    }
}

impl<B: Body<Data = Bytes>> Shared<B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(self.trailers.clone().map(|trailers| Ok(Frame::trailers(trailers))));
        };
        match rest.as_mut().poll_frame(cx) {
            Poll::Pending => {
                self.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
            Poll::Ready(None) => {
                self.rest = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                self.kept = None;
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(Some(Ok(frame))) => {
                self.keep(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
            self.rest = None;
        }
        let Some(data) = frame.data_ref() else { return };
        match self.room.checked_sub(data.len()) {
            Some(room) => {
                self.room = room;
                // Parts without octets take no room, and there may be any number of them.
                if let (Some(kept), false) = (&mut self.kept, data.is_empty()) {
                    kept.push(data.clone());
                }
            }
            None => self.kept = None,
        }
        if self.rest.as_ref().is_some_and(|rest| rest.is_end_stream()) {
            self.rest = None;
        }
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let Some(shared) = this.shared.as_ref().filter(|_| !this.ended) else { return Poll::Ready(None) };
        let mut shared = shared.lock();
        if shared.sending != this.sending {
            this.ended = true;
            return Poll::Ready(Some(Err(TakenOver.into())));
        }
        let again = shared.kept.as_ref().and_then(|kept| kept.get(this.sent)).cloned();
        let polled = match again {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => shared.poll(cx),
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                Some(data) => this.sent += usize::from(!data.is_empty()),
                None => this.ended = true,
            },
            Poll::Ready(_) => this.ended = true,
            Poll::Pending => {}
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        let Some(shared) = self.shared.as_ref().filter(|_| !self.ended) else { return true };
        let shared = shared.lock();
        let is_all_sent = shared.kept.as_ref().is_none_or(|kept| kept.len() <= self.sent);
        shared.sending == self.sending && shared.rest.is_none() && shared.trailers.is_none() && is_all_sent
    }

    fn size_hint(&self) -> SizeHint {
        let Some(shared) = self.shared.as_ref().filter(|_| !self.ended) else {
            return SizeHint::with_exact(0);
        };
        let shared = shared.lock();
        let kept = shared.kept.iter().flatten().skip(self.sent).map(Bytes::len).sum::<usize>() as u64;
        let rest = shared.rest.as_ref().map_or_else(|| SizeHint::with_exact(0), |rest| rest.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(kept.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(kept.saturating_add(upper));
        }
        hint
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.shared.is_some() { "ReplayBody(..)" } else { "ReplayBody()" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    type Polled = Poll<Option<Result<Frame<Bytes>, Box<dyn Error + Send + Sync>>>>;

    /// What has come of a body so far, and whether that is all.
    #[derive(Clone, Default)]
    struct Coming(Arc<Mutex<(VecDeque<Frame<Bytes>>, bool)>>);

    impl Coming {
        fn give(&self, part: &'static str) {
            self.0.lock().0.push_back(Frame::data(Bytes::from(part)));
        }

        fn end(&self, trailers: HeaderMap) {
            let mut coming = self.0.lock();
            coming.0.push_back(Frame::trailers(trailers));
            coming.1 = true;
        }
    }

    impl Body for Coming {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let mut coming = self.0.lock();
            match coming.0.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None if coming.1 => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    fn body(max_kept_bytes: usize) -> (Coming, ReplayBody<Coming>) {
        let coming = Coming::default();
        (coming.clone(), ReplayBody::of(Some(coming), max_kept_bytes))
    }

    fn poll(sending: &mut ReplayBody<Coming>) -> Polled {
        Pin::new(sending).poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    fn part(sending: &mut ReplayBody<Coming>) -> String {
        let Poll::Ready(Some(Ok(frame))) = poll(sending) else { return "nothing".to_owned() };
        String::from_utf8(frame.into_data().expect("data").to_vec()).expect("UTF-8")
    }

    #[test]
    fn cl_non_12_a_body_that_was_sent_in_part_is_sent_from_its_beginning() {
        let (coming, mut body) = body(100);
        for text in ["one", "two", "three"] {
            coming.give(text);
        }
        let mut first = body.handle();
        assert_eq!((part(&mut first), part(&mut first)), ("one".to_owned(), "two".to_owned()));
        assert!(body.rewind());
        let mut second = body.handle();
        assert_eq!(second.size_hint().lower(), 6, "what is kept is counted");
        assert_eq!(part(&mut second), "one");
        // The first one gets nothing any more, and does not look complete.
        assert!(!first.is_end_stream());
        assert!(matches!(poll(&mut first), Poll::Ready(Some(Err(_)))));
        assert_eq!((part(&mut second), part(&mut second)), ("two".to_owned(), "three".to_owned()));
        let trailers = HeaderMap::from_iter([(http::header::TRAILER, HeaderValue::from_static("x"))]);
        coming.end(trailers.clone());
        let read = |polled: Polled| match polled {
            Poll::Ready(Some(Ok(frame))) => frame.into_trailers().ok(),
            _ => None,
        };
        assert_eq!(read(poll(&mut second)).as_ref(), Some(&trailers));
        assert!(matches!(poll(&mut second), Poll::Ready(None)));
        assert!(body.rewind());
        let mut third = body.handle();
        assert_eq!(third.size_hint().exact(), Some(11));
        let all = [part(&mut third), part(&mut third), part(&mut third)];
        assert!(all == ["one", "two", "three"] && !third.is_end_stream());
        assert_eq!(read(poll(&mut third)), Some(trailers));
        assert!(third.is_end_stream());
    }

    #[test]
    fn cl_non_12_a_sending_that_waits_is_told_that_another_one_has_the_body() {
        struct Woken(AtomicBool);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let (_coming, mut body) = body(100);
        let (mut first, woken) = (body.handle(), Arc::new(Woken(AtomicBool::new(false))));
        let waker = Waker::from(Arc::clone(&woken));
        assert!(Pin::new(&mut first).poll_frame(&mut Context::from_waker(&waker)).is_pending());
        assert!(body.rewind() && woken.0.load(Ordering::SeqCst));
    }

    #[test]
    fn cl_non_12_more_than_may_be_kept_is_not_and_cannot_be_sent_again() {
        let (coming, mut body) = body(5);
        assert!(!body.fits(), "nobody knows how long it will be");
        let mut first = body.handle();
        for text in ["one", "two", "3"] {
            coming.give(text);
            assert_eq!(part(&mut first), text);
        }
        assert!(body.shared.as_ref().is_some_and(|shared| shared.lock().kept.is_none()));
        assert!(!body.rewind());
    }

    #[test]
    fn cl_non_12_parts_without_octets_are_not_kept() {
        let (coming, mut body) = body(5);
        let mut first = body.handle();
        for text in ["", "one", "", ""] {
            coming.give(text);
            assert_eq!(part(&mut first), text);
        }
        let kept = || body.shared.as_ref().map(|shared| shared.lock().kept.as_ref().map_or(0, Vec::len));
        assert_eq!(kept(), Some(1));
        coming.give("2");
        assert_eq!(part(&mut first), "2");
        assert!(body.rewind());
        let mut second = body.handle();
        assert_eq!((part(&mut second), part(&mut second)), ("one".to_owned(), "2".to_owned()));
    }
}
