//! Another protocol in place of HTTP (RFC 9110 §7.8): the request that asks for it is judged like any other, and what
//! follows passes both ways until the token expires (RS-GW-07).

mod frames;

use crate::route::Route;
use frames::Frames;
use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Method, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Bytes that are under way in one direction, at the most.
const BUFFER: usize = 8 * 1024;
/// What the two ends have to take the last bytes.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a request asks for, and the half of it that the caller's connection has.
pub(crate) struct Asked {
    protocol: HeaderValue,
    caller: OnUpgrade,
}

/// What ends a tunnel besides its two ends.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// What is left of the token's life.
    pub(crate) token: Option<Duration>,
    /// The longest time in which nothing moves.
    pub(crate) idle: Duration,
    /// The listener's, which may stop.
    pub(crate) leaving: Option<CancellationToken>,
}

/// Why a tunnel ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Expired,
    Idle,
    Leaving,
}

impl End {
    /// RFC 6455 §7.4.1: policy violation, going away.
    const fn close(self) -> (u16, &'static str) {
        match self {
            Self::Expired => (1008, "the access token has expired"),
            Self::Idle => (1001, "idle for too long"),
            Self::Leaving => (1001, "the gateway is stopping"),
        }
    }
}

/// Takes the wish for another protocol out of a request, where its route has it. Any other is left to be dropped with
/// the fields for one hop: a server may ignore `Upgrade`.
pub(crate) fn asked(request: &mut Parts, route: &Route) -> Option<Asked> {
    if request.method != Method::GET || request.version != Version::HTTP_11 {
        return None;
    }
    let mut lines = request.headers.get_all(UPGRADE).iter();
    let protocol = lines.next().filter(|_| lines.next().is_none())?.clone();
    let is_named = request.headers.get_all(CONNECTION).iter().any(|line| {
        line.as_bytes()
            .split(|byte| *byte == b',')
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    });
    let known = |name: &String| protocol.as_bytes().eq_ignore_ascii_case(name.as_bytes());
    if !is_named || !route.upgrades.iter().any(known) {
        return None;
    }
    let caller = request.extensions.remove::<OnUpgrade>()?;
    Some(Asked { protocol, caller })
}

impl Asked {
    /// Puts the wish into the fields for the upstream, and into those of an answer that grants it.
    pub(crate) fn say(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }

    /// Whether an answer grants this and nothing else.
    pub(crate) fn is_granted_by(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(UPGRADE).iter();
        lines.next().is_some_and(|line| line.as_bytes().eq_ignore_ascii_case(self.protocol.as_bytes()))
            && lines.next().is_none()
    }

    /// Passes bytes both ways, in a task of its own, once both connections have switched.
    pub(crate) fn open(self, upstream: OnUpgrade, bounds: Bounds) {
        let frames = self.protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
        tokio::spawn(async move {
            if let (Ok(caller), Ok(upstream)) = tokio::join!(self.caller, upstream) {
                run(caller, upstream, bounds, frames).await;
            }
        });
    }
}

async fn run(caller: Upgraded, upstream: Upgraded, bounds: Bounds, frames: bool) {
    let (from_caller, to_caller) = split(TokioIo::new(caller));
    let (from_upstream, to_upstream) = split(TokioIo::new(upstream));
    let (end, ended) = watch::channel(None);
    let moved = AtomicU64::new(0);
    let mut up = Way::new(from_caller, to_upstream, frames.then(Frames::by_client), ended.clone());
    let mut down = Way::new(from_upstream, to_caller, frames.then(Frames::by_server), ended);
    let ways = async { tokio::join!(up.pass(&moved), down.pass(&moved)) };
    tokio::pin!(ways);
    tokio::select! {
        _ = &mut ways => {}
        why = bounds.reached(&moved) => {
            tracing::debug!(?why, "a tunnel is closed");
            end.send_replace(Some(why));
            let _ = timeout(FAREWELL, ways).await;
        }
    }
}

impl Bounds {
    async fn reached(&self, moved: &AtomicU64) -> End {
        let token = async {
            match self.token {
                Some(left) => sleep(left).await,
                None => std::future::pending().await,
            }
        };
        let leaving = async {
            match &self.leaving {
                Some(leaving) => leaving.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let idle = async {
            loop {
                let seen = moved.load(Ordering::Relaxed);
                sleep(self.idle).await;
                if moved.load(Ordering::Relaxed) == seen {
                    return;
                }
            }
        };
        tokio::select! {
            () = token => End::Expired,
            () = leaving => End::Leaving,
            () = idle => End::Idle,
        }
    }
}

/// One direction.
struct Way<R, W> {
    from: ReadHalf<R>,
    to: WriteHalf<W>,
    frames: Option<Frames>,
    ended: watch::Receiver<Option<End>>,
}

impl<R: AsyncRead, W: AsyncWrite> Way<R, W> {
    fn new(
        from: ReadHalf<R>,
        to: WriteHalf<W>,
        frames: Option<Frames>,
        ended: watch::Receiver<Option<End>>,
    ) -> Self {
        Self { from, to, frames, ended }
    }

    /// Until the sender stops, which the other end is told, or the tunnel ends.
    async fn pass(&mut self, moved: &AtomicU64) {
        let _ = self.copy(moved).await;
        let _ = self.to.shutdown().await;
    }

    async fn copy(&mut self, moved: &AtomicU64) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = tokio::select! {
                biased;
                _ = self.ended.changed() => return self.say_goodbye().await,
                count = self.from.read(&mut buffer) => count?,
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
            self.to.write_all(bytes).await?;
            self.to.flush().await?;
            moved.fetch_add(1, Ordering::Relaxed);
            if let Some(frames) = &mut self.frames {
                frames.follow(bytes);
            }
        }
    }

    /// A close frame, where one may stand here.
    async fn say_goodbye(&mut self) -> io::Result<()> {
        let why = *self.ended.borrow();
        if let (Some(end), Some(frames)) = (why, &self.frames)
            && let Some(close) = frames.close(end.close())
        {
            self.to.write_all(&close).await?;
            self.to.flush().await?;
        }
        Ok(())
    }
}
