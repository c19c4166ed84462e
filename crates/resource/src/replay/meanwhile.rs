//! What is recorded while the log of all is away: by this node, for this node (OPS-REP-06).

use crate::demand::WithoutReplayLog;
use keybound_dpop::nonce::STEP_SECS;
use keybound_dpop::replay::{DEFAULT_CAPACITY, MemoryLog, Recorded, ReplayEntry, ReplayKey};
use keybound_dpop::time::{Now, UnixTime};
use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The proofs that this node has taken without the log.
pub(super) struct Meanwhile {
    log: MemoryLog,
    started: Now,
    /// Until when the last of them could be accepted, in seconds since 1970.
    until_secs: AtomicU64,
    /// What the log of all has yet to be told.
    taken: AtomicU64,
    owed: Mutex<Owed>,
}

#[derive(Default)]
struct Owed {
    entries: Vec<ReplayEntry>,
    /// At this many, those that have ended are dropped.
    prune_at: usize,
}

impl Meanwhile {
    pub(super) fn new(now: Now) -> Self {
        let log = MemoryLog::new(DEFAULT_CAPACITY, now);
        let (until_secs, taken) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { log, started: now, until_secs, taken, owed: Mutex::default() }
    }

    /// Records a proof with a nonce of the current step. In the minute in which the node has started none is taken:
    /// it may have been, by the same node, before (OPS-REP-09).
    pub(super) fn record(&self, entry: ReplayEntry, now: Now) -> Recorded {
        let step = |at: UnixTime| at.as_secs() / STEP_SECS;
        if step(now.unix) <= step(self.started.unix) {
            return Recorded::Unavailable;
        }
        let recorded = self.log.record(entry, now);
        if recorded == Recorded::Fresh {
            self.taken.fetch_add(1, Relaxed);
            self.until_secs.fetch_max(entry.until.as_secs(), Relaxed);
            self.owed.lock().add(entry, now);
        }
        recorded
    }

    /// How many it has taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Whether a proof that is new to the log of all is none that this node has taken without it. What was used before
    /// this node's start the log of all knows.
    ///
    /// Where proofs are taken without it, this one must be known should the log go away, for as long as its nonce can
    /// be of the current step: that begins in a minute at the latest.
    pub(super) fn is_fresh(&self, entry: ReplayEntry, now: Now, without: WithoutReplayLog) -> bool {
        let took_some = self.until_secs.load(Relaxed) >= now.unix.as_secs();
        let until = match without {
            WithoutReplayLog::Nonce if !took_some => entry.until.min(now.unix.plus_secs(2 * STEP_SECS)),
            WithoutReplayLog::Refuse if !took_some => return true,
            _ => entry.until,
        };
        self.log.record(ReplayEntry { from: None, until, ..entry }, now) != Recorded::Replayed
    }

    /// The next thing to tell the log of all.
    pub(super) fn owed(&self) -> Option<Telling<'_>> {
        if self.until_secs.load(Relaxed) == 0 {
            return None;
        }
        let entry = self.owed.lock().entries.pop()?;
        Some(Telling { owed: &self.owed, entry, is_told: false })
    }
}

/// What is being told to the log of all. It is owed as before, unless that is done when this is dropped: whoever tells it
/// may go away meanwhile.
pub(super) struct Telling<'a> {
    owed: &'a Mutex<Owed>,
    entry: ReplayEntry,
    is_told: bool,
}

impl Telling<'_> {
    pub(super) const fn key(&self) -> ReplayKey {
        self.entry.key
    }

    pub(super) fn done(mut self) {
        self.is_told = true;
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            self.owed.lock().entries.push(self.entry);
        }
    }
}

impl Owed {
    fn add(&mut self, entry: ReplayEntry, now: Now) {
        if self.entries.len() >= self.prune_at {
            self.entries.retain(|entry| entry.until >= now.unix);
            self.prune_at = self.entries.len().saturating_mul(2).max(1024);
        }
        self.entries.push(entry);
    }
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.log.fmt(f)
    }
}
