//! How long a shared log must remember, on a clock that the test turns; the log itself is the test's own.

use super::own::{OwnLog, OwnReach, OwnRecord};
use super::shared::SharedLog;
use crate::demand::WithoutReplayLog;
use keybound_dpop::replay::{Recorded, ReplayEntry, ReplayKey};
use keybound_dpop::time::{Now, UnixTime};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const REFUSE: WithoutReplayLog = WithoutReplayLog::Refuse;
const T: u64 = 1_800_000_000;

/// Forgets as Redis does, by a clock of its own that knows no date.
#[derive(Debug, Default)]
struct Forgetful {
    keys: Mutex<HashMap<u128, u64>>,
    secs: Mutex<u64>,
    /// Is never done with this one.
    hangs_at: Mutex<Option<u128>>,
}

impl OwnLog for Forgetful {
    fn record(&self, key: ReplayKey, keep: Duration) -> OwnRecord<'_> {
        let (mut keys, now) = (self.keys.lock(), *self.secs.lock());
        keys.retain(|_, end| *end > now);
        let is_new = !keys.contains_key(&key.0);
        if *self.hangs_at.lock() == Some(key.0) {
            return Box::pin(std::future::pending());
        }
        keys.entry(key.0).or_insert(now + keep.as_secs());
        Box::pin(async move { Ok(is_new) })
    }

    fn reach(&self) -> OwnReach<'_> {
        Box::pin(async { Ok(()) })
    }
}

/// After `secs`, with a wall clock that is `ahead` seconds off.
fn stepped(secs: u64, ahead: i64) -> Now {
    let unix = UnixTime::from_secs((T + secs).saturating_add_signed(ahead));
    Now { unix, monotonic: Duration::from_secs(secs) }
}

/// What a server makes of a proof that is good for three minutes by its wall clock.
fn proven(key: u128, now: Now) -> ReplayEntry {
    ReplayEntry { key: ReplayKey(key), from: None, until: now.unix.plus_secs(180) }
}

#[tokio::test]
async fn ops_rep_10_steps_of_a_nodes_wall_clock_neither_revive_nor_lock_out() {
    for step in [600, -600, 365 * 24 * 3600] {
        let place = Arc::new(Forgetful::default());
        let log = SharedLog::own(Arc::clone(&place) as Arc<dyn OwnLog>, stepped(0, 0));
        let mut used = Vec::new();
        // Before the step, for a while after it, and back again.
        for (key, secs) in (0_u32..150).map(|i| (i, u64::from(i) * 20)) {
            *place.secs.lock() = secs;
            let now = stepped(secs, if (40..80).contains(&key) { step } else { 0 });
            let fresh = proven(u128::from(key), now);
            assert_eq!(log.record(fresh, now, REFUSE).await, Recorded::Fresh, "step {step}, at {secs}");
            used.push(fresh);
            for old in used.iter().filter(|old| old.until > now.unix) {
                assert_eq!(log.record(*old, now, REFUSE).await, Recorded::Replayed, "step {step}, at {secs}");
            }
        }
    }
}

#[tokio::test]
async fn ops_rep_10_what_the_log_may_have_forgotten_is_refused_however_far_the_wall_clock_steps_back() {
    let log = SharedLog::own(Arc::new(Forgetful::default()), stepped(0, 0));
    let entry = proven(1, stepped(0, 0));
    assert_eq!(log.record(entry, stepped(0, 0), REFUSE).await, Recorded::Fresh);
    let late = stepped(781, -781);
    assert_eq!(log.record(proven(2, stepped(1, 0)), late, REFUSE).await, Recorded::Fresh);
    assert_eq!(log.record(proven(3, stepped(0, 0)), late, REFUSE).await, Recorded::Replayed);
    assert_eq!(log.record_meanwhile(proven(4, stepped(0, 0)), late), Recorded::Replayed);
}

#[tokio::test]
async fn ops_rep_06_a_caller_who_goes_away_takes_nothing_that_the_log_has_yet_to_be_told() {
    let place = Arc::new(Forgetful::default());
    let log = SharedLog::own(Arc::clone(&place) as Arc<dyn OwnLog>, stepped(0, 0));
    let now = stepped(60, 0);
    assert_eq!(log.record_meanwhile(proven(1, now), now), Recorded::Fresh);
    *place.hangs_at.lock() = Some(1);
    tokio::select! {
        biased;
        _ = log.record(proven(2, now), now, REFUSE) => panic!("it is telling the log"),
        () = std::future::ready(()) => (),
    }
    *place.hangs_at.lock() = None;
    assert_eq!(log.record(proven(3, now), now, REFUSE).await, Recorded::Fresh);
    let elsewhere = SharedLog::own(Arc::clone(&place) as Arc<dyn OwnLog>, stepped(0, 0));
    assert_eq!(elsewhere.record(proven(1, now), now, REFUSE).await, Recorded::Replayed);
}

#[test]
fn debug_says_where_it_is_kept_and_no_more() {
    let log = SharedLog::own(Arc::new(Forgetful::default()), stepped(0, 0));
    assert!(format!("{log:?}").starts_with("SharedLog(Forgetful"));
}
