//! What a guard counts (OPS-LOG-05). It counts from its start, in atomics that were laid out then, and is read where a
//! registry was handed down (feature `metrics`). No label is a word of the caller.

mod histogram;
#[cfg(feature = "metrics")]
mod page;

pub use histogram::Histogram;

use crate::access::Access;
use crate::rejection::Reason;
use keybound_dpop::proof::error::Check;
use keybound_dpop::time::UnixTime;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of how long a log of used proofs takes: from this process's memory to a network that is ill.
const RECORD_SECS: [f64; 12] =
    [0.000_001, 0.000_005, 0.000_025, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0];
/// Bounds of how far a proof's `iat` is ahead of us: what is less than nothing is behind.
const SKEW_SECS: [f64; 12] = [-300.0, -120.0, -60.0, -30.0, -10.0, -5.0, -2.0, 1.0, 5.0, 15.0, 30.0, 60.0];

/// The rows of refusals that are no check of a proof.
const OTHER_ROWS: [&str; 18] = [
    "RS-CHL-01",
    "RS-SCH-03",
    "RS-SCH-04",
    "DPOP-HTU-16",
    "RS-CHK-01",
    "RS-CHK-02",
    "RS-CHK-04",
    "RS-CHK-05",
    "RS-CHK-07",
    "RS-CHK-09",
    "RS-DWN-01",
    "RS-DWN-03",
    "RS-DWN-05",
    "RS-INT-01",
    "RS-INT-03",
    "DPOP-CNF-05",
    "RS-GW-09",
    "RS-STP-01",
];

/// A guard's metrics. Cheap to clone; all clones count together, also those that a later guard was given.
#[derive(Clone)]
pub struct GuardMetrics(Arc<Counts>);

struct Counts {
    proofs_accepted: AtomicU64,
    proofs_refused: ByRow,
    challenges: AtomicU64,
    replays: AtomicU64,
    bound: AtomicU64,
    unbound: AtomicU64,
    tokens_refused: ByRow,
    requests_refused: ByRow,
    verified: AtomicU64,
    remembered: AtomicU64,
    degraded: AtomicU64,
    skew: Histogram,
    record: Histogram,
}

/// A count for each row that there is, in the order of their names, and one for rows that are not among them.
struct ByRow {
    rows: Vec<(&'static str, AtomicU64)>,
    other: AtomicU64,
}

impl ByRow {
    fn new(rows: impl IntoIterator<Item = &'static str>) -> Self {
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_unstable();
        rows.dedup();
        Self {
            rows: rows.into_iter().map(|row| (row, AtomicU64::new(0))).collect(),
            other: AtomicU64::new(0),
        }
    }

    fn count(&self, row: &str) {
        let place = self.rows.binary_search_by(|(known, _)| (*known).cmp(row)).ok();
        let count = place.and_then(|place| self.rows.get(place)).map_or(&self.other, |(_, count)| count);
        count.fetch_add(1, Relaxed);
    }
}

impl Default for GuardMetrics {
    fn default() -> Self {
        let checks = || Check::ALL.iter().map(|check| check.rule().id);
        Self(Arc::new(Counts {
            proofs_accepted: AtomicU64::new(0),
            proofs_refused: ByRow::new(checks()),
            challenges: AtomicU64::new(0),
            replays: AtomicU64::new(0),
            bound: AtomicU64::new(0),
            unbound: AtomicU64::new(0),
            tokens_refused: ByRow::new(OTHER_ROWS.into_iter().chain(["DPOP-CNF-04"])),
            requests_refused: ByRow::new(OTHER_ROWS),
            verified: AtomicU64::new(0),
            remembered: AtomicU64::new(0),
            degraded: AtomicU64::new(0),
            skew: Histogram::new(&SKEW_SECS),
            record: Histogram::new(&RECORD_SECS),
        }))
    }
}

impl GuardMetrics {
    /// Access was given.
    pub(crate) fn accepted(&self, access: &Access) {
        let (counts, bound) = (&self.0, access.jkt().is_some());
        if bound {
            counts.proofs_accepted.fetch_add(1, Relaxed);
        }
        if bound { &counts.bound } else { &counts.unbound }.fetch_add(1, Relaxed);
    }

    /// It was not.
    pub(crate) fn refused(&self, reason: &Reason) {
        let counts = &self.0;
        match reason {
            Reason::Proof(refusal) => {
                match refusal.check() {
                    Check::NonceMissing | Check::NonceUnknown => {
                        counts.challenges.fetch_add(1, Relaxed);
                    }
                    Check::Replay => {
                        counts.replays.fetch_add(1, Relaxed);
                    }
                    _ => {}
                }
                counts.proofs_refused.count(refusal.check().rule().id);
            }
            Reason::Token(_)
            | Reason::Unbound
            | Reason::Unusable(_)
            | Reason::Downgrade
            | Reason::BearerRefused => counts.tokens_refused.count(reason.row()),
            _ => counts.requests_refused.count(reason.row()),
        }
    }

    /// A proof that held named that time.
    pub(crate) fn dated(&self, iat: UnixTime, now: UnixTime) {
        let signed = |time: UnixTime| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.0.skew.observe(signed(iat).saturating_sub(signed(now)).saturating_mul(1000));
    }

    /// A token's verdict was remembered, or had to be reached.
    pub(crate) fn token_judged(&self, remembered: bool) {
        if remembered { &self.0.remembered } else { &self.0.verified }.fetch_add(1, Relaxed);
    }

    /// The log of used proofs took that long.
    pub(crate) fn recorded(&self, time: Duration) {
        self.0.record.took(time);
    }

    /// A request was judged without the log of used proofs, which could not be reached (OPS-REP-06).
    pub fn degraded(&self) {
        self.0.degraded.fetch_add(1, Relaxed);
    }
}

impl fmt::Debug for GuardMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardMetrics")
    }
}
