//! One connection, from its first byte to its last.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::drain::Phase;
use crate::exchange::{self, Exchange, Handler, ResponseBody};
use crate::limits::Limits;
use crate::metrics::{Cut, Metrics, Open};
use crate::tls::Tls;
use crate::unread::{Handed, Unread};
use crate::wire::{Protocol, Wire};

/// How long the first request of a connection may take to come after the listener has stopped.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// What one connection's parts know of each other.
pub(crate) struct Link {
    metrics: Metrics,
    in_flight: AtomicUsize,
    begun: AtomicU64,
    first: Notify,
    unread: Unread,
    distrusted: AtomicBool,
    tunnel: AtomicBool,
}

/// A connection's place in the listener; given back when its last byte has gone, or its tunnel's.
pub(crate) struct Place {
    pub(crate) _permit: OwnedSemaphorePermit,
    pub(crate) _open: Open,
    pub(crate) _present: watch::Receiver<Phase>,
}

/// Why there is no connection to serve.
pub(crate) enum Ending {
    /// The peer left.
    Gone,
    /// It was too slow.
    Cut(Cut),
}

/// A request that is being answered.
pub(crate) struct Busy {
    link: Arc<Link>,
    handed: Option<Handed>,
}

impl Link {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            in_flight: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            first: Notify::new(),
            unread: Unread::default(),
            distrusted: AtomicBool::new(false),
            tunnel: AtomicBool::new(false),
        }
    }

    pub(crate) fn begin(link: &Arc<Self>) -> Busy {
        link.in_flight.fetch_add(1, Relaxed);
        if link.begun.fetch_add(1, Relaxed) == 0 {
            link.first.notify_one();
        }
        Busy { link: Arc::clone(link), handed: None }
    }

    pub(crate) fn cut(&self, reason: Cut) {
        self.metrics.cut(reason);
    }

    /// Nothing on this connection is to be believed any more.
    pub(crate) fn distrust(&self) {
        self.distrusted.store(true, Relaxed);
    }

    pub(crate) fn is_distrusted(&self) -> bool {
        self.distrusted.load(Relaxed)
    }

    /// From here on the bytes are not HTTP (RFC 9110 §7.8, §9.3.6).
    pub(crate) fn become_tunnel(&self) {
        self.tunnel.store(true, Relaxed);
    }

    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Relaxed)
    }

    /// Until its first request has begun.
    async fn first_request(&self) {
        if self.begun.load(Relaxed) == 0 {
            self.first.notified().await;
        }
    }

    /// Requests begun so far, if none is open.
    fn at_rest(&self) -> Option<u64> {
        (self.in_flight.load(Relaxed) == 0).then(|| self.begun.load(Relaxed))
    }
}

impl Busy {
    /// A piece of the answer is the peer's to fetch.
    pub(crate) fn hand(&mut self) {
        self.take();
        self.handed = Some(self.link.unread.hand());
    }

    /// It has fetched it.
    pub(crate) fn take(&mut self) {
        if let Some(handed) = self.handed.take() {
            self.link.unread.take(handed);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.take();
        self.link.in_flight.fetch_sub(1, Relaxed);
    }
}

/// What every connection of one listener shares.
pub(crate) struct Shell {
    pub(crate) name: &'static str,
    pub(crate) tls: Option<Tls>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    /// Cancelled when the listener stops.
    pub(crate) leaving: CancellationToken,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Shell {
    pub(crate) fn new(name: &'static str, tls: Option<Tls>, limits: Limits, metrics: Metrics) -> Self {
        let mut http1 = http1::Builder::new();
        // The header timeout is the wire's, which counts from a head's first byte and allocates nothing on time.
        http1.timer(TokioTimer::new()).header_read_timeout(None).max_header_size(limits.max_header_bytes);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_streams)
            .max_pending_accept_reset_streams(limits.max_pending_resets)
            .max_local_error_reset_streams(limits.max_error_resets)
            .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX));
        Self { name, tls, limits, metrics, leaving: CancellationToken::new(), http1, http2 }
    }

    /// Serves one accepted connection until it ends.
    pub(crate) async fn serve<T, S, B>(
        self: Arc<Self>,
        stream: T,
        exchange: Exchange<S>,
        place: Place,
        mut phase: watch::Receiver<Phase>,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Handler<B>,
        B: ResponseBody,
    {
        let Some(tls) = &self.tls else {
            return self.serve_plain(stream, exchange, place, phase).await;
        };
        let handshake = timeout(self.limits.tls_handshake, tls.acceptor().accept(stream));
        match with_a_moment(&mut phase, handshake).await {
            None => {}
            Some(Ok(Ok(stream))) => self.serve_plain(stream, exchange, place, phase).await,
            Some(Ok(Err(error))) => {
                self.metrics.handshake_failed();
                debug!(server = self.name, peer = %exchange.peer, %error, "TLS handshake failed");
            }
            Some(Err(_)) => self.metrics.cut(Cut::Handshake),
        }
    }

    async fn serve_plain<T, S, B>(
        &self,
        stream: T,
        exchange: Exchange<S>,
        place: Place,
        mut phase: watch::Receiver<Phase>,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Handler<B>,
        B: ResponseBody,
    {
        let link = Arc::new(Link::new(self.metrics.clone()));
        let opening = Wire::open(stream, Arc::clone(&link), &self.limits, place);
        let (wire, protocol) = match with_a_moment(&mut phase, opening).await {
            Some(Ok(opened)) => opened,
            Some(Err(Ending::Gone)) | None => return,
            Some(Err(Ending::Cut(reason))) => return self.metrics.cut(reason),
        };
        let watched = Arc::clone(&link);
        let service = service_fn(move |request| exchange::run(exchange.clone(), Arc::clone(&link), request));
        let io = TokioIo::new(wire);
        let life = Life { link: watched, idle: self.limits.connection_idle, phase };
        match protocol {
            Protocol::Http1 => {
                let connection = self.http1.serve_connection(io, service).with_upgrades();
                life.run(connection, |connection| connection.graceful_shutdown()).await;
            }
            Protocol::Http2 => {
                let connection = self.http2.serve_connection(io, service);
                life.run(connection, |connection| connection.graceful_shutdown()).await;
            }
        }
    }
}

/// A peer whose connection was accepted may have sent its first request already when the listener stops: it is waited
/// for, for a moment.
async fn with_a_moment<F: Future>(phase: &mut watch::Receiver<Phase>, step: F) -> Option<F::Output> {
    let mut step = pin!(step);
    tokio::select! {
        biased;
        done = step.as_mut() => return Some(done),
        _ = phase.wait_for(|phase| *phase != Phase::Serving) => {}
    }
    tokio::select! {
        biased;
        done = timeout(LAST_MOMENT, step) => done.ok(),
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => None,
    }
}

/// What ends a connection besides its peer.
struct Life {
    link: Arc<Link>,
    idle: Duration,
    phase: watch::Receiver<Phase>,
}

impl Life {
    /// Runs a connection until it ends, idles too long, or the listener stops; `leave` asks it to finish.
    async fn run<C>(mut self, connection: C, leave: impl Fn(Pin<&mut C>))
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut connection = pin!(connection);
        let mut clock = interval(self.idle);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        clock.tick().await;
        let mut last_rest = None;
        let mut leaving = false;
        // A connection that is asked to finish before its first request ends without having read that.
        let (mut may_finish, mut finishing) = (*self.phase.borrow_and_update() != Phase::Serving, false);
        loop {
            tokio::select! {
                biased;
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        debug!(%error, "connection ended");
                    }
                    return;
                }
                changed = self.phase.changed() => {
                    if changed.is_err() || *self.phase.borrow_and_update() == Phase::Closing {
                        return self.link.cut(Cut::Drain);
                    }
                    may_finish = true;
                }
                _ = timeout(LAST_MOMENT, self.link.first_request()), if may_finish && !finishing => {
                    finishing = true;
                    leave(connection.as_mut());
                }
                _ = clock.tick() => {
                    if self.link.unread.next_round() {
                        return self.link.cut(Cut::WritePause);
                    }
                    let rest = self.link.at_rest();
                    let idled = rest.is_some() && rest == last_rest;
                    last_rest = rest;
                    if idled && leaving {
                        return;
                    }
                    if idled {
                        self.link.cut(Cut::Idle);
                        leaving = true;
                        leave(connection.as_mut());
                    }
                }
            }
        }
    }
}
