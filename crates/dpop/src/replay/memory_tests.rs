//! The memory log, on a clock that the test turns.

use super::memory::MemoryLog;
use super::pages::Record;
use super::{Recorded, ReplayEntry, ReplayKey};
use crate::time::{Now, UnixTime};
use std::collections::HashSet;
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
    let dated =
        |key, from: u64| ReplayEntry { from: Some(UnixTime::from_secs(T + from)), ..entry(key, from + 331) };
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

#[test]
fn ops_rep_03_a_record_takes_twenty_octets() {
    assert_eq!(size_of::<Record>(), 20);
}

#[test]
fn ops_rep_03_shards_are_swept_from_time_to_time() {
    let log = MemoryLog::new(10, at(0));
    assert!(log.is_empty() && log.capacity() == 10);
    for (key, until) in [(1, 1), (2, 10)] {
        assert_eq!(log.record(entry(key, until), at(0)), Recorded::Fresh);
    }
    assert!(!log.is_empty());
    assert_eq!(format!("{log:?}"), "MemoryLog(2 of 10)");
    // Ended records are kept for 900 s more, and looked for every 30 s.
    for (key, now, held) in [(3, 905, 2), (4, 934, 3), (5, 935, 3)] {
        assert_eq!(log.record(entry(key, 2000), at(now)), Recorded::Fresh);
        assert_eq!(log.len(), held, "{now} s");
    }
}

#[test]
fn ops_rep_04_a_full_log_looks_for_room_every_thirty_seconds() {
    let log = MemoryLog::new(1, at(0));
    assert_eq!(log.record(entry(1, 10), at(0)), Recorded::Fresh);
    assert_eq!(log.record(entry(2, 900), at(29)), Recorded::Unavailable);
    assert_eq!(log.record(entry(2, 900), at(30)), Recorded::Fresh);
}

#[test]
fn ops_rep_03_records_do_not_crowd() {
    let hashes: HashSet<u64> = (0..1000_u128).map(|key| Record::new(key << 64 | key, 60).hash()).collect();
    assert_eq!(hashes.len(), 1000);
}

#[test]
fn ops_rep_04_the_top_bits_of_a_key_choose_who_makes_room() {
    let shard = |shard: u128, key, until| entry(shard << 122 | key, until);
    let log = MemoryLog::new(1, at(0));
    assert_eq!(log.record(shard(1, 1, 60), at(0)), Recorded::Fresh);
    // What has ended is in another shard, which nobody looks at for this one.
    assert_eq!(log.record(shard(2, 2, 3000), at(2000)), Recorded::Unavailable);
    assert_eq!(log.record(shard(1, 2, 3000), at(2000)), Recorded::Fresh);
}
