//! The record of used proofs (RFC 9449 §11.1): what is recorded, and a log of it in memory.

use crate::jose::crypto::HmacKey;
use crate::jose::thumbprint::Thumbprint;
use crate::target::Target;
use crate::time::{Now, UnixTime};
use hashbrown::HashTable;
use parking_lot::Mutex;
use std::collections::BTreeMap;
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
    /// The log is full or out of reach: the request is refused with 503.
    Unavailable,
}

/// Records that a memory log holds at the most, unless told otherwise.
pub const DEFAULT_CAPACITY: usize = 4_000_000;

const SHARDS: usize = 64;
/// Width of a bucket. A bucket is forgotten whole, once the last moment in it has passed.
const BUCKET_SECS: u64 = 30;

/// An exact, bounded log in memory. It never forgets what could still be accepted: when it is full it refuses.
///
/// It ages by the monotonic clock and starts from the wall clock's time at its making, so that a step of the wall
/// clock makes it forget nothing early. What it has forgotten it refuses (OPS-REP-10).
pub struct MemoryLog {
    shards: Vec<Mutex<Shard>>,
    held: AtomicUsize,
    capacity: usize,
    started: Now,
}

#[derive(Default)]
struct Shard {
    /// By the bucket's number, `until / BUCKET_SECS`.
    buckets: BTreeMap<u64, HashTable<u128>>,
    /// Buckets below this one have been forgotten.
    floor: u64,
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new(capacity: usize, now: Now) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, held: AtomicUsize::new(0), capacity, started: now }
    }

    /// Records the entry unless it is there: one atomic step.
    pub fn record(&self, entry: ReplayEntry, now: Now) -> Recorded {
        let ReplayKey(key) = entry.key;
        let index = usize::try_from(key >> 122).unwrap_or(0) % SHARDS;
        let Some(shard) = self.shards.get(index) else { return Recorded::Unavailable };
        let mut shard = shard.lock();
        self.forget(&mut shard, now);
        let bucket = entry.until.as_secs() / BUCKET_SECS;
        if bucket < shard.floor {
            return Recorded::Replayed;
        }
        if shard.buckets.values().any(|table| table.find(hash(key), |known| *known == key).is_some()) {
            return Recorded::Replayed;
        }
        if self.held.fetch_add(1, Ordering::Relaxed) >= self.capacity {
            self.held.fetch_sub(1, Ordering::Relaxed);
            return Recorded::Unavailable;
        }
        let table = shard.buckets.entry(bucket).or_default();
        table.insert_unique(hash(key), key, |known| hash(*known));
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

    fn forget(&self, shard: &mut Shard, now: Now) {
        let age = now.monotonic.saturating_sub(self.started.monotonic).as_secs();
        let live_from = self.started.unix.plus_secs(age).as_secs() / BUCKET_SECS;
        while let Some(oldest) = shard.buckets.first_entry()
            && *oldest.key() < live_from
        {
            shard.floor = *oldest.key() + 1;
            self.held.fetch_sub(oldest.remove().len(), Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryLog({} of {})", self.len(), self.capacity)
    }
}

/// Keys are MACs already: any 64 of their bits do.
fn hash(key: u128) -> u64 {
    u64::try_from(key & u128::from(u64::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const T: u64 = 1_800_000_000;

    fn at(secs: u64) -> Now {
        Now { unix: UnixTime::from_secs(T + secs), monotonic: Duration::from_secs(secs) }
    }

    fn entry(key: u128, until: u64) -> ReplayEntry {
        ReplayEntry { key: ReplayKey(key), until: UnixTime::from_secs(T + until) }
    }

    #[test]
    fn dpop_jti_04_once_and_no_more_until_it_is_too_old() {
        let log = MemoryLog::new(10, at(0));
        assert_eq!(log.record(entry(1, 300), at(0)), Recorded::Fresh);
        assert_eq!(log.record(entry(1, 300), at(1)), Recorded::Replayed);
        assert_eq!(log.record(entry(1, 400), at(299)), Recorded::Replayed);
        assert_eq!(log.record(entry(2, 900), at(600)), Recorded::Fresh);
        assert_eq!(log.record(entry(1, 300), at(600)), Recorded::Replayed, "forgotten, so refused");
    }

    #[test]
    fn ops_rep_04_a_full_log_refuses_and_forgets_only_the_old() {
        let log = MemoryLog::new(2, at(0));
        assert_eq!(log.record(entry(1, 60), at(0)), Recorded::Fresh);
        assert_eq!(log.record(entry(2, 60), at(0)), Recorded::Fresh);
        assert_eq!(log.record(entry(3, 60), at(0)), Recorded::Unavailable);
        assert_eq!(log.record(entry(1, 60), at(59)), Recorded::Replayed);
        assert_eq!(log.record(entry(3, 900), at(600)), Recorded::Fresh);
        assert_eq!(log.len(), 1);
    }

    #[test]
    fn dpop_jti_05_keys_tell_everything_apart() {
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
    }

    #[test]
    fn dpop_jti_07_one_of_many_at_once() {
        let log = MemoryLog::new(1000, at(0));
        let fresh: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..64).map(|_| scope.spawn(|| log.record(entry(7, 60), at(0)) == Recorded::Fresh)).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().expect("joined"))).sum()
        });
        assert_eq!(fresh, 1);
    }
}
