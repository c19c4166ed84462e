//! Another protocol in place of HTTP (RFC 9110 §7.8), such as WebSocket: the request that asks for it has token and proof
//! like any other, and what follows passes both ways as it is.

use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Method, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio_util::sync::CancellationToken;

/// What a request asks for, and the half of it that the caller's connection has.
pub(super) struct Asked {
    protocol: HeaderValue,
    caller: OnUpgrade,
    leaving: CancellationToken,
}

impl Asked {
    /// Takes the wish for another protocol out of a request.
    pub(super) fn take(request: &mut Parts) -> Option<Self> {
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
        // HTTP/2 in the clear is the business of each hop.
        if !is_named || protocol.as_bytes().eq_ignore_ascii_case(b"h2c") {
            return None;
        }
        let caller = request.extensions.remove::<OnUpgrade>()?;
        let leaving = request.extensions.get::<CancellationToken>().cloned().unwrap_or_default();
        Some(Self { protocol, caller, leaving })
    }

    /// Puts the wish into the fields for the server, and into those of an answer that grants it.
    pub(super) fn say(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }

    /// Whether an answer grants this and nothing else.
    pub(super) fn is_granted_by(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(UPGRADE).iter();
        lines.next().is_some_and(|line| line.as_bytes().eq_ignore_ascii_case(self.protocol.as_bytes()))
            && lines.next().is_none()
    }

    /// Passes bytes both ways, in a task of its own, once both connections have switched.
    pub(super) fn open(self, server: OnUpgrade) {
        tokio::spawn(async move {
            if let (Ok(caller), Ok(server)) = tokio::join!(self.caller, server) {
                pass(TokioIo::<Upgraded>::new(caller), TokioIo::<Upgraded>::new(server), &self.leaving).await;
            }
        });
    }
}

/// Passes bytes both ways until both sides are done, one is gone, or the agent stops.
pub(super) async fn pass<C, S>(mut caller: C, mut server: S, leaving: &CancellationToken)
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    tokio::select! {
        // How it ends is the business of the two ends.
        _ = copy_bidirectional(&mut caller, &mut server) => {}
        () = leaving.cancelled() => {}
    }
}
