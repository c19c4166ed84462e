//! Whether a log that is somewhere else is asked at all: one that is away is not waited for by every request.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// So many failures in a row, and the log counts as away. One alone is a hiccup, such as a server that saves its data.
const FAILURES: u32 = 3;
/// While it is away, one request in that time tries it.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// Closed while the log answers.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    failures: AtomicU32,
    away: AtomicBool,
    next_probe: Mutex<Duration>,
}

impl Circuit {
    /// Whether to ask the log. While it is away, one caller at a time may. `now` is the monotonic clock's.
    pub(super) fn admits(&self, now: Duration) -> bool {
        if !self.is_open() {
            return true;
        }
        let mut next = self.next_probe.lock();
        let is_due = now >= *next;
        if is_due {
            *next = now + PROBE_EVERY;
        }
        is_due
    }

    pub(super) fn is_open(&self) -> bool {
        self.away.load(Relaxed)
    }

    /// It answered. Says whether it had been away.
    pub(super) fn succeeded(&self) -> bool {
        // Both: a failure that is told late may have it count as away after a success.
        if self.failures.load(Relaxed) == 0 && !self.is_open() {
            return false;
        }
        self.failures.store(0, Relaxed);
        self.away.swap(false, Relaxed)
    }

    /// It did not. Says whether it counts as away from now on.
    pub(super) fn failed(&self, now: Duration) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures < FAILURES {
            return false;
        }
        *self.next_probe.lock() = now + PROBE_EVERY;
        !self.away.swap(true, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn ops_rep_06_a_log_that_is_away_is_tried_from_time_to_time_by_one() {
        let circuit = Circuit::default();
        assert!(!circuit.failed(at(0)) && circuit.admits(at(0)), "one failure is a hiccup");
        assert!(!circuit.succeeded(), "and is forgotten");
        assert_eq!([0, 1, 2].map(|ms| circuit.failed(at(ms))), [false, false, true]);
        assert!(circuit.is_open() && !circuit.admits(at(501)));
        assert_eq!([502, 503, 1001].map(|ms| circuit.admits(at(ms))), [true, false, false]);
        assert!(!circuit.failed(at(752)), "it was away already");
        assert_eq!([1251, 1252, 1253].map(|ms| circuit.admits(at(ms))), [false, true, false]);
        assert!(circuit.succeeded(), "it is back");
        assert!(!circuit.is_open() && circuit.admits(at(1254)) && circuit.admits(at(1254)));
    }

    #[test]
    fn ops_rep_06_a_success_among_failures_leaves_no_log_away_that_answers() {
        let circuit = Circuit::default();
        // The third failure has counted, another caller's success has counted, and now the failure says so.
        circuit.away.store(true, Relaxed);
        assert!(circuit.succeeded() && !circuit.is_open());
    }
}
