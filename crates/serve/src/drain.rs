//! Leaving in order: no new connections, the open requests finish, then the rest is closed.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

/// Where a listener is in its life. Every connection watches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Accepting.
    Serving,
    /// Finishing what is open.
    Draining,
    /// Out of time.
    Closing,
}

/// How a listener's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections, tunnels included, that were still open when the time was up.
    pub cut: usize,
}

/// Tells the connections to finish, and waits for them no longer than `grace`. A connection is there as long as it
/// holds a receiver; the caller must have dropped its own. `open` counts the connections.
pub(crate) async fn drain(
    phase: &watch::Sender<Phase>,
    grace: Duration,
    open: impl FnOnce() -> usize,
) -> Drained {
    phase.send_replace(Phase::Draining);
    if timeout(grace, phase.closed()).await.is_ok() {
        return Drained { cut: 0 };
    }
    let cut = open();
    phase.send_replace(Phase::Closing);
    Drained { cut }
}

/// Resolves, with the signal's name, when the process is asked to stop: SIGTERM or SIGINT. The handlers are in place
/// when this returns, so that no signal is lost before the first wait.
pub fn stop_signal() -> io::Result<impl Future<Output = &'static str> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}
