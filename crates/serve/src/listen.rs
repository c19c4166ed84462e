//! Bind, accept, one task a connection, and leave in order.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::{info, warn};

use crate::connection::{Place, Shell};
use crate::drain::{Drained, Phase, drain};
use crate::exchange::{Exchange, Handler, ResponseBody};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::tls::Tls;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why a listener cannot be had. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another process listens there.
    #[error("{0} is in use by another process: stop it, or listen on another port")]
    InUse(SocketAddr),
    /// Low ports need a privilege.
    #[error("not allowed to listen on {0}: choose a port from 1024 up, or grant CAP_NET_BIND_SERVICE")]
    NotAllowed(SocketAddr),
    /// The address belongs to no interface of this machine.
    #[error("{0} is not an address of this machine: listen on one that is, or on 0.0.0.0 or [::] for all")]
    NotHere(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// Where we meant to listen.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// How one listener behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What its log lines call it: `provider`, `gateway`, `admin`.
    pub name: &'static str,
    /// Serve TLS with these keys; none for plain HTTP on loopback or behind a proxy.
    pub tls: Option<Tls>,
    /// Its bounds.
    pub limits: Limits,
    /// Where it counts.
    pub metrics: Metrics,
}

impl Options {
    /// Plain HTTP, default limits, unseen metrics.
    pub fn new(name: &'static str) -> Self {
        Self { name, tls: None, limits: Limits::default(), metrics: Metrics::default() }
    }
}

/// Listens on `address`. Port 0 takes any free one.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => ServeError::InUse(address),
        ErrorKind::PermissionDenied => ServeError::NotAllowed(address),
        ErrorKind::AddrNotAvailable => ServeError::NotHere(address),
        _ => ServeError::Other { address, source },
    })
}

/// A listener and the service behind it.
pub struct Server<S> {
    listener: TcpListener,
    address: SocketAddr,
    service: S,
    shell: Arc<Shell>,
}

impl<S> Server<S> {
    /// Puts `service` behind a listener from [`bind`].
    pub fn new(listener: TcpListener, service: S, options: Options) -> io::Result<Self> {
        let Options { name, tls, limits, metrics } = options;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, service, shell: Arc::new(Shell::new(name, tls, limits, metrics)) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until `stop` resolves; then lets open requests finish within [`Limits::drain`] and closes the rest.
    pub async fn run<B>(self, stop: impl Future<Output = ()>) -> Drained
    where
        S: Handler<B>,
        B: ResponseBody,
    {
        let Self { listener, address, service, shell } = self;
        let tls = shell.tls.is_some();
        info!(server = shell.name, %address, tls, "listening");
        let (phase, watched) = watch::channel(Phase::Serving);
        let places = shell.limits.max_connections.min(Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(places));
        let mut stop = pin!(stop);
        loop {
            let next = async {
                let permit = enter(&room, &shell).await?;
                Some((accept(&listener, &shell).await, permit))
            };
            let ((stream, peer), permit) = tokio::select! {
                () = &mut stop => break,
                next = next => match next {
                    Some(next) => next,
                    None => break,
                },
            };
            let place = Place { _permit: permit, _open: shell.metrics.open(), _present: watched.clone() };
            let exchange = Exchange { shell: Arc::clone(&shell), service: service.clone(), peer };
            tokio::spawn(Arc::clone(&shell).serve(stream, exchange, place, watched.clone()));
        }
        drop((listener, watched));
        shell.leaving.cancel();
        let drained = drain(&phase, shell.limits.drain, || places - room.available_permits()).await;
        info!(server = shell.name, cut = drained.cut, "stopped");
        drained
    }
}

/// Waits for room for one more connection.
async fn enter(room: &Arc<Semaphore>, shell: &Shell) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(room).try_acquire_owned() {
        return Some(permit);
    }
    shell.metrics.full();
    warn!(
        server = shell.name,
        max = shell.limits.max_connections,
        "full: accepting no more connections for now"
    );
    Arc::clone(room).acquire_owned().await.ok()
}

/// The next connection. An error that only time can mend (no more file descriptors) is waited out, longer each time.
async fn accept(listener: &TcpListener, shell: &Shell) -> (TcpStream, SocketAddr) {
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Only a hint: a connection without it is slower, not wrong.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if is_the_peers(&error) => shell.metrics.accept_failed(),
            Err(error) => {
                shell.metrics.accept_failed();
                warn!(server = shell.name, %error, "cannot accept connections for now");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// The connection went away before we took it up.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}
