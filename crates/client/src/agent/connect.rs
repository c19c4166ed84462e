//! What follows a CONNECT (RFC 9110 §9.3.6). A tunnel to a server of ours ends here: its TLS with a certificate of the
//! agent's own authority, and the requests in it get token and proof. A tunnel to another server, where such are
//! allowed, is passed on as it is.

use super::Agent;
use super::connections::CONNECT_TIMEOUT;
use super::targets::Target;
use super::upgrade::pass;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// For the first bytes of a tunnel, and for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For a request's head, and between one request and the next.
const IDLE: Duration = Duration::from_secs(120);
/// Streams that are open at once on an HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Bytes of a request's head, at the most.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How a TLS connection begins: a handshake record (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;

/// A tunnel that is about to be there.
pub(super) struct Tunnel {
    pub(super) caller: OnUpgrade,
    pub(super) leaving: CancellationToken,
}

impl Tunnel {
    /// Ends it here, in the place of that server.
    pub(super) fn end_as(self, target: Arc<Target>, agent: Agent) {
        tokio::spawn(async move {
            if let Ok(caller) = self.caller.await
                && let Err(error) = end(TokioIo::new(caller), &target, agent, self.leaving).await
            {
                tracing::warn!(target: "agent", origin = target.origin, %error, "a tunnel was given up");
            }
        });
    }

    /// Passes it on, once there is a connection.
    pub(super) async fn to(self, authority: &str) -> io::Result<()> {
        let server = timeout(CONNECT_TIMEOUT, TcpStream::connect(authority)).await??;
        tokio::spawn(async move {
            if let Ok(caller) = self.caller.await {
                pass(TokioIo::new(caller), server, &self.leaving).await;
            }
        });
        Ok(())
    }
}

async fn end(
    mut caller: TokioIo<Upgraded>,
    target: &Arc<Target>,
    agent: Agent,
    leaving: CancellationToken,
) -> Result<(), String> {
    let Ok(Ok(first)) = timeout(HANDSHAKE, caller.read_u8()).await else { return Ok(()) };
    let stream = Begun { first: Some(first), rest: caller };
    if first != TLS_HANDSHAKE {
        // Some clients have tunnels for http as well.
        return serve(stream, false, target, agent, leaving).await;
    }
    if !target.is_https() {
        return Err("its server is called without TLS; use http in the URL".to_owned());
    }
    let config = agent.tls_of(target).map_err(|error| error.to_string())?;
    match timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => {
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            serve(stream, is_http2, target, agent, leaving).await
        }
        Ok(Err(error)) => {
            Err(format!("its client made no TLS connection ({error}); does it trust `keybound agent ca`?"))
        }
        Err(_) => Err("its client made no TLS connection in time".to_owned()),
    }
}

async fn serve<T>(
    stream: T,
    is_http2: bool,
    target: &Arc<Target>,
    agent: Agent,
    leaving: CancellationToken,
) -> Result<(), String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (target, until) = (Arc::clone(target), leaving.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (agent, target) = (agent.clone(), Arc::clone(&target));
        request.extensions_mut().insert(leaving.clone());
        async move { Ok::<_, Infallible>(agent.inside(target, request).await) }
    });
    let io = TokioIo::new(stream);
    // A connection that ends badly is its client's to notice.
    if is_http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let list_bytes = u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX);
        builder.timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS).max_header_list_size(list_bytes);
        builder.keep_alive_interval(IDLE).keep_alive_timeout(HANDSHAKE);
        let mut connection = pin!(builder.serve_connection(io, service));
        tokio::select! {
            _ = connection.as_mut() => return Ok(()),
            () = until.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    } else {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(IDLE).max_header_size(MAX_HEAD_BYTES);
        let mut connection = pin!(builder.serve_connection(io, service).with_upgrades());
        tokio::select! {
            _ = connection.as_mut() => return Ok(()),
            () = until.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
    Ok(())
}

/// A stream of which the first byte has been read.
struct Begun<T> {
    first: Option<u8>,
    rest: T,
}

impl<T: AsyncRead + Unpin> AsyncRead for Begun<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() > 0
            && let Some(first) = this.first.take()
        {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.rest).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Begun<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().rest).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().rest).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.rest.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().rest).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().rest).poll_shutdown(cx)
    }
}
