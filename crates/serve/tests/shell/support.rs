//! A running server, a service with something for each test, and peers that write what they like.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use keybound_serve::{Drained, IncomingBody, Limits, Metrics, Options, Server, Tls, bind};
use prometheus_client::registry::Registry;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tower_service::Service;

pub(crate) type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Long enough for any machine; a test that waits this long has failed.
pub(crate) async fn soon<F: Future>(step: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), step).await.expect("should have happened by now")
}

/// Loopback, any free port.
pub(crate) fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// What the service and the test tell each other.
#[derive(Default)]
pub(crate) struct Signals {
    pub(crate) calls: AtomicUsize,
    pub(crate) entered: Notify,
    pub(crate) release: Notify,
    pub(crate) body_dropped: Notify,
}

#[derive(Clone, Default)]
pub(crate) struct TestService(pub(crate) Arc<Signals>);

impl Service<Request<IncomingBody>> for TestService {
    type Response = Reply;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<IncomingBody>) -> Self::Future {
        self.0.calls.fetch_add(1, SeqCst);
        let signals = Arc::clone(&self.0);
        Box::pin(async move { Ok(answer(request, signals).await) })
    }
}

async fn answer(request: Request<IncomingBody>, signals: Arc<Signals>) -> Reply {
    match request.uri().path() {
        "/panic" => panic!("a secret detail"),
        "/gate" => {
            signals.entered.notify_one();
            signals.release.notified().await;
            text("through the gate")
        }
        "/until-leaving" => {
            let leaving = request.extensions().get::<tokio_util::sync::CancellationToken>().expect("a token");
            signals.entered.notify_one();
            leaving.cancelled().await;
            text("left in order")
        }
        "/never" => pending().await,
        "/echo" => match request.into_body().collect().await {
            Ok(body) => text(body.to_bytes()),
            Err(error) => text(error.to_string()),
        },
        "/from" => {
            let peer = request.extensions().get::<SocketAddr>().expect("peer");
            let scheme = request.extensions().get::<http::uri::Scheme>().expect("scheme");
            text(format!("{scheme} {peer}"))
        }
        "/endless" => Response::new(Endless(signals).boxed_unsync()),
        "/tunnel" => tunnel(request),
        _ => text("hello"),
    }
}

pub(crate) fn text(text: impl Into<Bytes>) -> Reply {
    Response::new(Full::new(text.into()).boxed_unsync())
}

/// Switches protocols and echoes.
fn tunnel(mut request: Request<IncomingBody>) -> Reply {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (mut from, mut to) = split(TokioIo::new(upgrade.await.expect("upgraded")));
        let _ = copy(&mut from, &mut to).await;
    });
    let mut response = text("");
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("echo"));
    response
}

/// A body without end.
struct Endless(Arc<Signals>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 16_384])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.body_dropped.notify_one();
    }
}

/// A server in the background.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) signals: Arc<Signals>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) done: JoinHandle<Drained>,
    registry: Registry,
}

impl Running {
    pub(crate) async fn start(limits: Limits) -> Self {
        Self::start_with(limits, None).await
    }

    pub(crate) async fn start_with(limits: Limits, tls: Option<Tls>) -> Self {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let service = TestService::default();
        let signals = Arc::clone(&service.0);
        let listener = bind(anywhere()).await.expect("bind");
        let options = Options { name: "test", tls, limits, metrics };
        let server = Server::new(listener, service, options).expect("server");
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Self { address, signals, stop, done, registry }
    }

    pub(crate) async fn connect(&self) -> Peer<TcpStream> {
        Peer(TcpStream::connect(self.address).await.expect("connect"))
    }

    /// One raw request on a connection of its own, and all that comes back.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> String {
        let mut peer = self.connect().await;
        peer.write(request).await;
        peer.read_to_close().await
    }

    /// The value of one line of the metrics.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.registry).expect("encode");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a whole number"))
    }

    pub(crate) fn cut(&self, reason: &str) -> u64 {
        self.metric(&format!("http_connections_cut_total{{reason=\"{reason}\"}}"))
    }

    pub(crate) fn calls(&self) -> usize {
        self.signals.calls.load(SeqCst)
    }
}

/// A peer that writes bytes and reads what comes.
pub(crate) struct Peer<T>(pub(crate) T);

impl<T: AsyncRead + AsyncWriteExt + Unpin> Peer<T> {
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("write");
        self.0.flush().await.expect("flush");
    }

    /// All until the other side closes, however it does.
    pub(crate) async fn read_to_close(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes_to_close().await).into_owned()
    }

    pub(crate) async fn bytes_to_close(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        // A reset closes as well as an end does.
        let _ = soon(self.0.read_to_end(&mut all)).await;
        all
    }

    /// Reads until `end` has come.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        let mut all = String::new();
        while !all.ends_with(end) {
            let mut byte = [0];
            assert_eq!(soon(self.0.read(&mut byte)).await.expect("read"), 1, "closed after {all:?}");
            all.push(char::from(byte[0]));
        }
        all
    }
}

/// A GET that asks to close.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// A GET that leaves the connection open.
pub(crate) fn get_and_stay(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

pub(crate) fn status(response: &str) -> u16 {
    let code = response.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {response:?}"));
    code.parse().expect("a status")
}

/// Quick enough for a test to wait for.
pub(crate) const BRIEF: Duration = Duration::from_millis(40);
