//! The log of used proofs, wherever it is kept.

use keybound_dpop::replay::{MemoryLog, Recorded, ReplayEntry};
use keybound_dpop::time::Now;
use std::sync::Arc;

/// A log of used proofs. Every node that serves the same resource must use the same one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReplayLog {
    /// In the memory of this process: for one node.
    Memory(Arc<MemoryLog>),
}

impl ReplayLog {
    /// Records the entry unless it is there: one atomic step. Fails closed.
    pub(crate) async fn record(&self, entry: ReplayEntry, now: Now) -> Recorded {
        match self {
            Self::Memory(log) => log.record(entry, now),
        }
    }
}
