//! The log of used proofs, wherever it is kept (RFC 9449 §11.1).

mod circuit;
mod meanwhile;
mod own;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod server;
mod share;
mod shared;
#[cfg(test)]
mod shared_tests;

pub use own::{OwnLog, OwnReach, OwnRecord};
#[cfg(any(feature = "postgres", feature = "redis"))]
pub use server::LogServer;
pub use shared::SharedLog;

use crate::demand::WithoutReplayLog;
use keybound_dpop::replay::{MemoryLog, Recorded, ReplayEntry};
use keybound_dpop::time::Now;
use std::sync::Arc;

/// A log of used proofs. Every node that serves the same resource must use the same one (OPS-REP-05).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReplayLog {
    /// In the memory of this process: for one node.
    Memory(Arc<MemoryLog>),
    /// Somewhere else, for several nodes. Their nonces must come from one secret too, and so must the salt of what is
    /// recorded: [`GuardConfig::share`](crate::GuardConfig::share) sees to that.
    Shared(SharedLog),
}

/// Why a log cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReplayLogError(pub(crate) String);

impl ReplayLog {
    /// Whether the log answers: for a check of readiness. A log that was given up is used again as soon as this finds
    /// it back.
    ///
    /// # Errors
    /// Why not, for the log of the service.
    pub async fn is_reachable(&self, now: Now) -> Result<(), String> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Shared(log) => Box::pin(log.is_reachable(now)).await,
        }
    }

    /// How many proofs were taken though the log was away, because their route says that a nonce will do (RS-GW-09).
    #[must_use]
    pub fn taken_without_log(&self) -> u64 {
        match self {
            Self::Memory(_) => 0,
            Self::Shared(log) => log.taken_without(),
        }
    }

    /// Whether other nodes use it too.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Shared(_))
    }

    /// Records the entry unless it is there: one atomic step. Fails closed. Where a proof may be taken without the log, this
    /// node minds those that it takes with it.
    pub(crate) async fn record(&self, entry: ReplayEntry, now: Now, without: WithoutReplayLog) -> Recorded {
        match self {
            Self::Memory(log) => log.record(entry, now),
            // In a place of its own: what waits for a network is large, and most requests do not.
            Self::Shared(log) => Box::pin(log.record(entry, now, without)).await,
        }
    }

    /// The record of a proof that is taken though the log is out of reach: in memory, so that this node at least takes
    /// it once (OPS-REP-06).
    pub(crate) fn record_meanwhile(&self, entry: ReplayEntry, now: Now) -> Recorded {
        match self {
            Self::Memory(_) => Recorded::Unavailable,
            Self::Shared(log) => log.record_meanwhile(entry, now),
        }
    }
}
