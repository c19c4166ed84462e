//! A connection's bytes, below HTTP and above TLS: what was read ahead, how heads are framed, who is stalling.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::alarm::Alarm;
use crate::connection::{Ending, Link, Place};
use crate::framing::Framing;
use crate::limits::Limits;
use crate::metrics::Cut;

/// RFC 9113 §3.4: how an HTTP/2 client begins.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which protocol the peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A stream of plain bytes that knows its limits. It holds the connection's place in the listener, so that a tunnel
/// which outlives its HTTP connection still counts.
pub(crate) struct Wire<T> {
    inner: T,
    ahead: Ahead,
    framing: Option<Framing>,
    link: Arc<Link>,
    header_read: Duration,
    header_alarm: Alarm,
    write_pause: Duration,
    write_alarm: Alarm,
    _place: Place,
}

/// Bytes that were read to learn the protocol and are yet to be handed on.
#[derive(Default)]
struct Ahead {
    bytes: [u8; PREFACE.len()],
    from: usize,
    to: usize,
}

impl Ahead {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.from..self.to).unwrap_or_default()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    /// Waits for the peer's first bytes and learns the protocol from them; neither waits longer than its limit.
    pub(crate) async fn open(
        mut inner: T,
        link: Arc<Link>,
        limits: &Limits,
        place: Place,
    ) -> std::result::Result<(Self, Protocol), Ending> {
        let mut ahead = Ahead::default();
        let (mut patience, mut reason) = (limits.first_byte, Cut::FirstByte);
        let protocol = loop {
            let room = ahead.bytes.get_mut(ahead.to..).unwrap_or_default();
            match tokio::time::timeout(patience, inner.read(room)).await {
                Err(_) => return Err(Ending::Cut(reason)),
                Ok(Err(_) | Ok(0)) => return Err(Ending::Gone),
                Ok(Ok(count)) => ahead.to += count,
            }
            if !PREFACE.starts_with(ahead.rest()) {
                break Protocol::Http1;
            }
            if ahead.to == PREFACE.len() {
                break Protocol::Http2;
            }
            (patience, reason) = (limits.header_read, Cut::HeaderRead);
        };
        let wire = Self {
            inner,
            ahead,
            framing: (protocol == Protocol::Http1).then(Framing::new),
            link,
            header_read: limits.header_read,
            header_alarm: Alarm::default(),
            write_pause: limits.write_pause,
            write_alarm: Alarm::default(),
            _place: place,
        };
        Ok((wire, protocol))
    }
}

impl<T> Wire<T> {
    /// Tells the framing what was read, unless the bytes are no longer HTTP.
    fn follow(&mut self, bytes: &[u8]) {
        let Some(framing) = &mut self.framing else { return };
        if self.link.is_tunnel() {
            self.framing = None;
            return;
        }
        framing.follow(bytes);
        if framing.ambiguous() {
            self.link.distrust();
        }
        if !framing.mid_head() {
            self.header_alarm.rest();
        }
    }

    fn mid_head(&self) -> bool {
        self.framing.as_ref().is_some_and(Framing::mid_head) && !self.link.is_tunnel()
    }

    /// Lets a write wait only so long.
    fn patient<V>(&mut self, cx: &mut Context<'_>, result: Poll<Result<V>>) -> Poll<Result<V>> {
        if result.is_ready() {
            self.write_alarm.rest();
            return result;
        }
        if self.write_alarm.waiting(cx, self.write_pause).is_pending() {
            return Poll::Pending;
        }
        self.write_alarm.rest();
        self.link.cut(Cut::WritePause);
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        if this.ahead.from < this.ahead.to {
            let count = this.ahead.rest().len().min(buf.remaining());
            let start = this.ahead.from;
            this.ahead.from += count;
            let bytes = this.ahead.bytes;
            let bytes = bytes.get(start..start + count).unwrap_or_default();
            buf.put_slice(bytes);
            this.follow(bytes);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                this.follow(buf.filled().get(before..).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if !this.mid_head() || this.header_alarm.waiting(cx, this.header_read).is_pending() {
                    return Poll::Pending;
                }
                this.header_alarm.rest();
                this.link.cut(Cut::HeaderRead);
                Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the request's head came too slowly")))
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.patient(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write_vectored(cx, slices);
        this.patient(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_flush(cx);
        this.patient(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_shutdown(cx);
        this.patient(cx, result)
    }
}
