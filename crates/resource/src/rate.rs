//! How often one caller may ask (OPS-LIM-05): cheap, without a lock, in memory that does not grow.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counters in one row of a [`Rate`].
const ROW: usize = 1 << 16;
/// A caller who was quiet may ask for this long at once.
const BURST_SECS: u64 = 10;

/// The address, or for IPv6 the network of 64 bits that one subscriber has to themselves.
#[must_use]
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

/// A rate for each of any number of callers. A caller has a counter in each of two rows and is refused only where both
/// are full; who shares both with another is chance that nobody can choose, because the hash is keyed. A counter holds
/// the time at which what was asked for would have been, had it come evenly (GCRA).
#[derive(Debug)]
pub struct Rate {
    interval_nanos: u64,
    burst_nanos: u64,
    rows: [Box<[AtomicU64]>; 2],
    hasher: RandomState,
}

impl Rate {
    /// That many a minute; none for zero.
    #[must_use]
    pub fn new(per_minute: u32) -> Option<Self> {
        let interval_nanos = 60_000_000_000_u64.checked_div(u64::from(per_minute))?;
        let row = || (0..ROW).map(|_| AtomicU64::new(0)).collect();
        Some(Self {
            interval_nanos,
            burst_nanos: (BURST_SECS * 1_000_000_000).max(interval_nanos),
            rows: [row(), row()],
            hasher: RandomState::new(),
        })
    }

    /// Lets one through.
    ///
    /// # Errors
    /// How many whole seconds to wait.
    pub fn admit(&self, caller: &(impl Hash + ?Sized), now: Duration) -> Result<(), u64> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let hash = self.hasher.hash_one(caller);
        let counters = self.counters(hash);
        let next = |counter: &AtomicU64| counter.load(Relaxed).max(now).saturating_add(self.interval_nanos);
        let earliest = counters.iter().flatten().map(|counter| next(counter)).min().unwrap_or(now);
        let wait = earliest.saturating_sub(now).saturating_sub(self.burst_nanos);
        if wait > 0 {
            return Err(wait.div_ceil(1_000_000_000));
        }
        for counter in counters.into_iter().flatten() {
            // Somebody else may have counted in the meantime: theirs is kept, too.
            let _ = counter
                .fetch_update(Relaxed, Relaxed, |at| Some(at.max(now).saturating_add(self.interval_nanos)));
        }
        Ok(())
    }

    fn counters(&self, hash: u64) -> [Option<&AtomicU64>; 2] {
        let [low, high] = [hash, hash >> 32].map(|part| usize::try_from(part % ROW as u64).unwrap_or(0));
        let [first, second] = &self.rows;
        [first.get(low), second.get(high)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn ops_lim_05_a_burst_and_then_the_rate() {
        let rate = Rate::new(60).expect("a rate");
        let burst = (0..100).take_while(|_| rate.admit("a", AT(100)).is_ok()).count();
        assert_eq!(burst, 10, "ten seconds' worth at once");
        assert_eq!(rate.admit("a", AT(100)), Err(1));
        assert_eq!(rate.admit("b", AT(100)), Ok(()), "another caller");
        assert_eq!((rate.admit("a", AT(101)), rate.admit("a", AT(101))), (Ok(()), Err(1)));
        let hour = (0..100).filter(|_| rate.admit("a", AT(3600)).is_ok()).count();
        assert_eq!(hour, 10, "quiet is not saved up for longer");
    }

    #[test]
    fn ops_lim_05_a_slow_rate_lets_one_through_and_says_how_long_to_wait() {
        let rate = Rate::new(1).expect("a rate");
        assert_eq!((rate.admit("a", AT(100)), rate.admit("a", AT(100))), (Ok(()), Err(60)));
        assert!(Rate::new(0).is_none(), "no limit");
    }

    #[test]
    fn ops_lim_06_one_who_floods_keeps_out_nobody_else() {
        let rate = Rate::new(60).expect("a rate");
        for caller in 0..200_u32 {
            assert!((0..20).any(|_| rate.admit(&("flood", caller), AT(100)).is_err()));
        }
        let others = (0..10_000_u32).filter(|caller| rate.admit(caller, AT(100)).is_ok()).count();
        assert!(others > 9_990, "{others} of 10000");
    }
}
