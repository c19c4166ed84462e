//! Bind, accept, one task a connection, and leave in order.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::{info, warn};

use crate::connection::{Place, Shell};
use crate::drain::{Drained, Phase, drain};
use crate::exchange::{Exchange, Handler, ResponseBody};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::tls::Tls;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The address of who has none.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
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

/// Where connections come from: a TCP socket, or a Unix socket, whose peers count as `0.0.0.0:0`.
pub trait Listen: Send {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Where it listens, for people.
    fn place(&self) -> io::Result<String>;

    /// The next connection, and who is at its other end.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}

impl Listen for TcpListener {
    type Stream = TcpStream;

    fn place(&self) -> io::Result<String> {
        Ok(self.local_addr()?.to_string())
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = Self::accept(self).await?;
        // Only a hint: a connection without it is slower, not wrong.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }
}

impl Listen for UnixListener {
    type Stream = UnixStream;

    fn place(&self) -> io::Result<String> {
        Ok(self.local_addr()?.as_pathname().map_or_else(String::new, |path| path.display().to_string()))
    }

    async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        Ok((Self::accept(self).await?.0, UNKNOWN))
    }
}

/// A listener and the service behind it.
pub struct Server<S, L = TcpListener> {
    listener: L,
    place: String,
    service: S,
    shell: Arc<Shell>,
}

impl<S> Server<S> {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(UNKNOWN)
    }
}

impl<S, L: Listen> Server<S, L> {
    /// Puts `service` behind a listener, such as one from [`bind`].
    pub fn new(listener: L, service: S, options: Options) -> io::Result<Self> {
        let Options { name, tls, limits, metrics } = options;
        let place = listener.place()?;
        Ok(Self { listener, place, service, shell: Arc::new(Shell::new(name, tls, limits, metrics)) })
    }

    /// Accepts until `stop` resolves; then lets open requests finish within [`Limits::drain`] and closes the rest.
    pub async fn run<B>(self, stop: impl Future<Output = ()>) -> Drained
    where
        S: Handler<B>,
        B: ResponseBody,
    {
        let Self { listener, place: address, service, shell } = self;
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
            let (shell, service) = (Arc::clone(&shell), service.clone());
            let exchange =
                Exchange { shell: Arc::clone(&shell), service, peer, peer_text: peer.to_string().into() };
            tokio::spawn(shell.serve(stream, exchange, place, watched.clone()));
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
async fn accept<L: Listen>(listener: &L, shell: &Shell) -> (L::Stream, SocketAddr) {
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
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
