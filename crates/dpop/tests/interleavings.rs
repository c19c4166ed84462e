//! The memory log under a scheduler that runs through the interleavings of its threads: the very file of the library,
//! compiled with the scheduler's lock and counter.

#[cfg(test)]
#[expect(dead_code, unreachable_pub, reason = "the file is the library's; here only a part of it is called")]
#[path = "../src/replay/memory.rs"]
mod memory;

#[cfg(test)]
#[path = "../src/replay/pages.rs"]
mod pages;

#[cfg(test)]
mod replay {
    pub(crate) use crate::pages;
    pub(crate) use keybound_dpop::replay::{Recorded, ReplayEntry, ReplayKey};
}

#[cfg(test)]
use keybound_dpop::time;

#[cfg(test)]
mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicUsize, Ordering};

    /// The scheduler's lock, with the signature of the one that the library uses.
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(inside: T) -> Self {
            Self(shuttle::sync::Mutex::new(inside))
        }

        pub(crate) fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::MemoryLog;
    use crate::replay::{Recorded, ReplayEntry, ReplayKey};
    use crate::time::{Now, UnixTime};
    use shuttle::thread;
    use std::sync::Arc;
    use std::time::Duration;

    const T: u64 = 1_800_000_000;
    const SCHEDULES: usize = 1000;

    fn at(secs: u64) -> Now {
        Now { unix: UnixTime::from_secs(T + secs), monotonic: Duration::from_secs(secs) }
    }

    /// A key in that shard.
    fn entry(shard: u128, key: u128, until: u64) -> ReplayEntry {
        ReplayEntry { key: ReplayKey(shard << 122 | key), from: None, until: UnixTime::from_secs(T + until) }
    }

    /// Random schedules, and schedules with few switches at chosen places.
    fn under_all_schedules(scenario: fn()) {
        shuttle::check_random(scenario, SCHEDULES);
        shuttle::check_pct(scenario, SCHEDULES, 3);
    }

    /// Records each entry at its second on a thread of its own, beside one that watches the count.
    fn at_once(log: &Arc<MemoryLog>, entries: &[(u64, ReplayEntry)]) -> Vec<Recorded> {
        let watcher = {
            let log = Arc::clone(log);
            thread::spawn(move || assert!(log.len() <= log.capacity(), "{log:?}"))
        };
        let threads: Vec<_> = entries
            .iter()
            .map(|&(secs, entry)| {
                let log = Arc::clone(log);
                thread::spawn(move || log.record(entry, at(secs)))
            })
            .collect();
        watcher.join().unwrap();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }

    fn count(answers: &[Recorded], of: Recorded) -> usize {
        answers.iter().filter(|answer| **answer == of).count()
    }

    #[test]
    fn ops_rep_01_of_equal_records_one_is_fresh() {
        under_all_schedules(|| {
            let log = Arc::new(MemoryLog::new(10, at(0)));
            let answers = at_once(&log, &[(0, entry(1, 7, 60)); 4]);
            assert_eq!((count(&answers, Recorded::Fresh), count(&answers, Recorded::Replayed)), (1, 3));
            assert_eq!(log.len(), 1);
        });
    }

    #[test]
    fn ops_rep_01_ops_rep_04_the_capacity_is_filled_and_never_exceeded() {
        under_all_schedules(|| {
            let log = Arc::new(MemoryLog::new(2, at(0)));
            let answers = at_once(&log, &[1, 2, 3, 3].map(|shard| (0, entry(shard, shard, 60))));
            assert_eq!(count(&answers, Recorded::Fresh), 2, "{answers:?}");
            assert_eq!(log.len(), 2);
        });
    }

    #[test]
    fn ops_rep_01_ops_rep_04_forgetting_loses_nothing_that_is_alive() {
        under_all_schedules(|| {
            let log = Arc::new(MemoryLog::new(3, at(0)));
            let (ended, alive) = (entry(1, 1, 60), entry(1, 2, 3000));
            assert_eq!(log.record(ended, at(0)), Recorded::Fresh);
            assert_eq!(log.record(alive, at(0)), Recorded::Fresh);
            // Both shards get a new record; in the first one something has ended meanwhile.
            let (one, other) = (entry(1, 3, 3000), entry(2, 4, 3000));
            let answers = at_once(&log, &[(2000, one), (2000, other), (2000, alive), (59, ended)]);
            assert_eq!(answers, [Recorded::Fresh, Recorded::Fresh, Recorded::Replayed, Recorded::Replayed]);
            assert_eq!(log.len(), 3);
            for again in [alive, one, other] {
                assert_eq!(log.record(again, at(2001)), Recorded::Replayed);
            }
        });
    }

    #[test]
    fn ops_rep_01_ops_rep_04_the_last_place_goes_to_somebody() {
        under_all_schedules(|| {
            let log = Arc::new(MemoryLog::new(1, at(0)));
            assert_eq!(log.record(entry(1, 1, 60), at(0)), Recorded::Fresh);
            // What ended is in the first shard, and only a record there can take its place.
            let answers = at_once(&log, &[(2000, entry(1, 2, 3000)), (2000, entry(2, 3, 3000))]);
            let expected =
                [[Recorded::Fresh, Recorded::Unavailable], [Recorded::Unavailable, Recorded::Fresh]];
            assert!(expected.contains(&[answers[0], answers[1]]), "{answers:?}");
            assert_eq!(log.len(), 1);
        });
    }
}
