//! The log of used proofs in memory: sharded, bounded, exact.
//!
//! A test compiles this file with other locks ([`crate::sync`]), which run through the interleavings of threads.

use crate::replay::pages::{Pages, Record};
use crate::replay::{Recorded, ReplayEntry};
use crate::sync::{AtomicUsize, Mutex, Ordering};
use crate::time::Now;
use std::fmt;

/// Records that a memory log holds at the most, unless told otherwise.
pub const DEFAULT_CAPACITY: usize = 4_000_000;

const SHARDS: usize = 64;
/// How often a shard looks for records that have ended.
const SWEEP_SECS: u64 = 30;
/// How long ended records are kept all the same while there is room: a wall clock may step back that far, and neither
/// is a replay accepted nor an honest proof refused (OPS-REP-10).
const SLACK_SECS: u64 = 900;

/// An exact, bounded log in memory. It never forgets what could still be accepted: when it is full it refuses.
///
/// It ages by the monotonic clock, from the wall clock's time at its making, so that a step of the wall clock makes it
/// forget nothing early. What it has forgotten it refuses. Nor does it believe in anything that may have been used
/// before it was made.
///
/// A record takes 20 octets, in pages that are some two thirds full.
pub struct MemoryLog {
    shards: Vec<Mutex<Shard>>,
    held: AtomicUsize,
    capacity: usize,
    started: Now,
}

struct Shard {
    records: Pages,
    /// The latest `until` that was forgotten; nothing up to there is believed.
    floor_secs: u64,
    /// The log's time of the last sweep, and of the last one that kept no slack.
    swept_secs: u64,
    emptied_secs: u64,
}

impl MemoryLog {
    /// An empty log for that many records. It begins now, and believes in nothing that may have been used before.
    #[must_use]
    pub fn new(capacity: usize, now: Now) -> Self {
        let begin = now.unix.as_secs();
        let shard = || {
            let records = Pages::new();
            Mutex::new(Shard { records, floor_secs: 0, swept_secs: begin, emptied_secs: begin })
        };
        let shards = std::iter::repeat_with(shard).take(SHARDS).collect();
        Self { shards, held: AtomicUsize::new(0), capacity, started: now }
    }

    /// Records the entry unless it is there: one atomic step.
    ///
    /// [`Recorded::BeforeStart`] where `entry.from` is not after the making of the log, [`Recorded::Unavailable`] where
    /// it is full of what is still needed.
    pub fn record(&self, entry: ReplayEntry, now: Now) -> Recorded {
        if entry.from.is_some_and(|from| from <= self.started.unix) {
            return Recorded::BeforeStart;
        }
        let record = Record::new(entry.key.0, entry.until.as_secs());
        // The top bits choose the shard; the table uses others.
        let index = usize::try_from(entry.key.0 >> 122).unwrap_or(0);
        let Some(shard) = self.shards.get(index) else { return Recorded::Unavailable };
        let age = now.monotonic.saturating_sub(self.started.monotonic).as_secs();
        let log_secs = self.started.unix.plus_secs(age).as_secs();
        let mut shard = shard.lock();
        if log_secs >= shard.swept_secs + SWEEP_SECS {
            shard.swept_secs = log_secs;
            self.forget(&mut shard, log_secs.saturating_sub(SLACK_SECS));
        }
        if record.until_secs() <= shard.floor_secs {
            return Recorded::Replayed;
        }
        if shard.records.contains(&record) {
            return Recorded::Replayed;
        }
        if !self.take_place(&mut shard, log_secs) {
            return Recorded::Unavailable;
        }
        shard.records.insert(record);
        Recorded::Fresh
    }

    /// How many records are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many records it may hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Counts one more record, if there is room: the slack is given up first, once a sweep.
    fn take_place(&self, shard: &mut Shard, log_secs: u64) -> bool {
        if self.count_one() {
            return true;
        }
        if log_secs < shard.emptied_secs + SWEEP_SECS {
            return false;
        }
        shard.emptied_secs = log_secs;
        self.forget(shard, log_secs);
        self.count_one()
    }

    /// Never counts above the capacity, not even for a moment: another shard would be refused its place.
    fn count_one(&self) -> bool {
        let one_more = |held| (held < self.capacity).then_some(held + 1);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Forgets what ended before `before_secs`, and remembers how far that went.
    fn forget(&self, shard: &mut Shard, before_secs: u64) {
        let (mut floor, before) = (shard.floor_secs, shard.records.len());
        shard.records.retain(|record| {
            let keep = record.until_secs() >= before_secs;
            if !keep {
                floor = floor.max(record.until_secs());
            }
            keep
        });
        shard.floor_secs = floor;
        self.held.fetch_sub(before - shard.records.len(), Ordering::Relaxed);
    }
}

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryLog({} of {})", self.len(), self.capacity)
    }
}
