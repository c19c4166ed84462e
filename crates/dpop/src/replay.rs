//! The record of used proofs (RFC 9449 §11.1): what is recorded, and a log of it in memory.

use crate::jose::crypto::HmacKey;
use crate::jose::thumbprint::Thumbprint;
use crate::target::Target;
use crate::time::{Now, UnixTime};
use hashbrown::HashTable;
use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The salt of replay keys: one for each deployment, shared by the nodes that share a log.
#[derive(Clone)]
pub struct ReplaySalt(HmacKey);

impl ReplaySalt {
    /// From 256 random bits.
    #[must_use]
    pub fn new(salt: [u8; 32]) -> Self {
        Self(HmacKey::new(&salt))
    }

    /// The key of something that may be used once: the first 128 bits of
    /// HMAC-SHA-256(salt, audience ‖ 0 ‖ jkt ‖ 0 ‖ htu ‖ 0 ‖ jti) (DPOP-JTI-05).
    #[must_use]
    pub fn proof_key(&self, audience: &str, jkt: &Thumbprint, htu: &Target, jti: &str) -> ReplayKey {
        let parts = [audience.as_bytes(), b"\0", jkt.as_bytes(), b"\0", htu.as_str().as_bytes(), b"\0"];
        self.key(&parts, jti)
    }

    /// The same for a client assertion, which is used once for each client (RFC 7523 §3, item 7).
    #[must_use]
    pub fn assertion_key(&self, audience: &str, client_id: &str, jti: &str) -> ReplayKey {
        self.key(&[b"assertion\0", audience.as_bytes(), b"\0", client_id.as_bytes(), b"\0"], jti)
    }

    fn key(&self, parts: &[&[u8]], jti: &str) -> ReplayKey {
        let mut all = Vec::with_capacity(parts.len() + 1);
        all.extend_from_slice(parts);
        all.push(jti.as_bytes());
        let mac = self.0.mac(&all);
        ReplayKey(mac.first_chunk().map_or(0, |first| u128::from_be_bytes(*first)))
    }
}

impl fmt::Debug for ReplaySalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplaySalt")
    }
}

/// What stands for one proof in a log: 128 bits that tell nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplayKey(pub u128);

/// One thing to record, and how long it must be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayEntry {
    /// The key.
    pub key: ReplayKey,
    /// The first moment at which the thing could have been accepted, as its own date has it. `None` where a nonce of
    /// this run of the server vouches for its age.
    pub from: Option<UnixTime>,
    /// From this moment on the thing is refused for its age alone.
    pub until: UnixTime,
}

/// What a log answers. Only `Fresh` lets a request go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It was not there, and is now.
    Fresh,
    /// It was there, or may have been.
    Replayed,
    /// It may have been used before this log began: the server has just started (OPS-REP-09).
    BeforeStart,
    /// The log is full or out of reach: the request is refused with 503.
    Unavailable,
}

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
/// A record takes 20 octets in a table that is between three and seven eighths full.
pub struct MemoryLog {
    shards: Vec<Mutex<Shard>>,
    held: AtomicUsize,
    capacity: usize,
    started: Now,
}

struct Shard {
    records: HashTable<Record>,
    /// The latest `until` that was forgotten; nothing up to there is believed.
    floor_secs: u64,
    /// The log's time of the last sweep, and of the last one that kept no slack.
    swept_secs: u64,
    emptied_secs: u64,
}

/// Key and `until`, laid out so that no octet is padding.
#[derive(Clone, Copy)]
struct Record {
    key: [u8; 16],
    until_secs: [u8; 4],
}

impl Record {
    fn of(entry: &ReplayEntry) -> Self {
        let until = u32::try_from(entry.until.as_secs()).unwrap_or(u32::MAX);
        Self { key: entry.key.0.to_ne_bytes(), until_secs: until.to_ne_bytes() }
    }

    fn until_secs(&self) -> u64 {
        u64::from(u32::from_ne_bytes(self.until_secs))
    }

    /// Keys are MACs already: any 64 of their bits do.
    fn hash(&self) -> u64 {
        self.key.first_chunk().map_or(0, |half| u64::from_ne_bytes(*half))
    }
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new(capacity: usize, now: Now) -> Self {
        let begin = now.unix.as_secs();
        let shard = || {
            let records = HashTable::new();
            Mutex::new(Shard { records, floor_secs: 0, swept_secs: begin, emptied_secs: begin })
        };
        let shards = std::iter::repeat_with(shard).take(SHARDS).collect();
        Self { shards, held: AtomicUsize::new(0), capacity, started: now }
    }

    /// Records the entry unless it is there: one atomic step.
    pub fn record(&self, entry: ReplayEntry, now: Now) -> Recorded {
        if entry.from.is_some_and(|from| from <= self.started.unix) {
            return Recorded::BeforeStart;
        }
        let record = Record::of(&entry);
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
        if shard.records.find(record.hash(), |known| known.key == record.key).is_some() {
            return Recorded::Replayed;
        }
        if !self.take_place(&mut shard, log_secs) {
            return Recorded::Unavailable;
        }
        shard.records.insert_unique(record.hash(), record, Record::hash);
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

    fn count_one(&self) -> bool {
        let place = self.held.fetch_add(1, Ordering::Relaxed);
        if place >= self.capacity {
            self.held.fetch_sub(1, Ordering::Relaxed);
        }
        place < self.capacity
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const T: u64 = 1_800_000_000;
    const YEAR: u64 = 365 * 24 * 3600;

    fn at(secs: u64) -> Now {
        stepped(secs, 0)
    }

    /// After `secs`, with a wall clock that is `ahead` seconds off.
    fn stepped(secs: u64, ahead: i64) -> Now {
        let unix = UnixTime::from_secs((T + secs).saturating_add_signed(ahead));
        Now { unix, monotonic: Duration::from_secs(secs) }
    }

    fn entry(key: u128, until: u64) -> ReplayEntry {
        ReplayEntry { key: ReplayKey(key), from: None, until: UnixTime::from_secs(T + until) }
    }

    /// What a server makes of a proof that is good for three minutes by its wall clock.
    fn proven(key: u128, now: Now) -> ReplayEntry {
        ReplayEntry { key: ReplayKey(key), from: None, until: now.unix.plus_secs(180) }
    }

    #[test]
    fn dpop_jti_04_ops_rep_02_once_and_no_more_until_it_is_too_old() {
        let log = MemoryLog::new(10, at(0));
        assert_eq!(log.record(entry(1, 300), at(0)), Recorded::Fresh);
        assert_eq!(log.record(entry(1, 300), at(1)), Recorded::Replayed);
        assert_eq!(log.record(entry(1, 400), at(299)), Recorded::Replayed, "under another date too");
        assert_eq!(log.record(entry(2, 2300), at(2000)), Recorded::Fresh);
        assert_eq!(log.record(entry(1, 300), at(2000)), Recorded::Replayed, "forgotten, so refused");
    }

    #[test]
    fn ops_rep_03_ops_rep_04_a_full_log_refuses_and_forgets_only_the_ended() {
        let log = MemoryLog::new(2, at(0));
        assert_eq!(log.record(entry(1, 60), at(0)), Recorded::Fresh);
        assert_eq!(log.record(entry(2, 60), at(0)), Recorded::Fresh);
        assert_eq!(log.record(entry(3, 60), at(0)), Recorded::Unavailable);
        assert_eq!(log.record(entry(1, 60), at(59)), Recorded::Replayed);
        assert_eq!(log.record(entry(3, 400), at(100)), Recorded::Fresh, "the slack gives way");
        assert_eq!(log.len(), 1);
        assert_eq!(log.record(entry(1, 60), at(100)), Recorded::Replayed);
    }

    #[test]
    fn ops_rep_07_dpop_jti_05_keys_tell_everything_apart_and_hold_no_jti() {
        let salt = ReplaySalt::new([1; 32]);
        let jkt = |text| Thumbprint::parse(text).expect("a thumbprint");
        let (a, b) = (
            jkt("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
            jkt("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        );
        let htu = |text| Target::parse(text).expect("a target");
        let (x, y) = (htu("https://h/x"), htu("https://h/y"));
        let key = salt.proof_key("rs", &a, &x, "1");
        assert_eq!(key, salt.proof_key("rs", &a, &htu("https://H:443/x?q"), "1"));
        for other in [
            salt.proof_key("as", &a, &x, "1"),
            salt.proof_key("rs", &b, &x, "1"),
            salt.proof_key("rs", &a, &y, "1"),
            salt.proof_key("rs", &a, &x, "2"),
            ReplaySalt::new([2; 32]).proof_key("rs", &a, &x, "1"),
        ] {
            assert_ne!(key, other);
        }
        assert_eq!(size_of::<Record>(), 20);
    }

    #[test]
    fn dpop_jti_07_ops_rep_01_one_of_many_at_once() {
        let log = MemoryLog::new(1000, at(0));
        let fresh: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..64).map(|_| scope.spawn(|| log.record(entry(7, 60), at(0)) == Recorded::Fresh)).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().expect("joined"))).sum()
        });
        assert_eq!(fresh, 1);
    }

    #[test]
    fn ops_rep_09_what_may_have_been_used_before_the_start_is_refused() {
        let log = MemoryLog::new(10, at(100));
        let dated = |key, from: u64| ReplayEntry {
            from: Some(UnixTime::from_secs(T + from)),
            ..entry(key, from + 331)
        };
        assert_eq!(log.record(dated(1, 70), at(100)), Recorded::BeforeStart);
        assert_eq!(log.record(dated(1, 100), at(101)), Recorded::BeforeStart);
        assert_eq!(log.record(dated(1, 101), at(131)), Recorded::Fresh);
        assert_eq!(log.record(entry(2, 280), at(101)), Recorded::Fresh, "a nonce of this run vouches for it");
    }

    #[test]
    fn ops_rep_10_steps_of_the_wall_clock_neither_revive_nor_lock_out() {
        let year = i64::try_from(YEAR).expect("seconds");
        for step in [600, -600, year] {
            let log = MemoryLog::new(1000, at(0));
            let mut key = 0;
            let mut used = Vec::new();
            // Before the step, for a while after it, and back again.
            for (secs, ahead) in (0..120).map(|i| (i * 20, if (40..80).contains(&i) { step } else { 0 })) {
                let now = stepped(secs, ahead);
                key += 1;
                let fresh = proven(key, now);
                assert_eq!(log.record(fresh, now), Recorded::Fresh, "step {step}, at {secs}");
                used.push(fresh);
                for old in used.iter().filter(|old| old.until > now.unix) {
                    assert_eq!(log.record(*old, now), Recorded::Replayed, "step {step}, at {secs}");
                }
            }
        }
    }
}
