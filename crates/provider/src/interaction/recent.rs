//! A memory of what happened lately, bounded in time and in size.

use keybound_dpop::jose::crypto::sha256;
use std::collections::HashMap;
use std::time::Duration;

/// What an entry is found by: a digest, so that its size is not the visitor's to choose.
pub(crate) type Key = [u8; 32];

/// The key of these texts in turn.
pub(crate) fn key(parts: &[&str]) -> Key {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&part.len().to_be_bytes());
        all.extend_from_slice(part.as_bytes());
    }
    sha256(&all)
}

/// Entries live in two generations. When the young one is full or has had its time it becomes the old one, and the
/// old one is forgotten; an entry that is used again is young again.
#[derive(Debug)]
pub(crate) struct Recent<V> {
    capacity: usize,
    period: Duration,
    turned_at: Duration,
    young: HashMap<Key, V>,
    old: HashMap<Key, V>,
}

impl<V: Default> Recent<V> {
    /// At most `capacity` entries in each generation; an entry is remembered for `period` at least, unless there are
    /// too many.
    pub(crate) fn new(capacity: usize, period: Duration) -> Self {
        Self { capacity, period, turned_at: Duration::ZERO, young: HashMap::new(), old: HashMap::new() }
    }

    /// The entry, where it is remembered.
    pub(crate) fn get(&self, key: &Key) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// The entry, made where it is not remembered. `now` never goes back.
    pub(crate) fn entry(&mut self, key: Key, now: Duration) -> &mut V {
        let is_old = now.saturating_sub(self.turned_at) >= self.period;
        if is_old || self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
            self.turned_at = now;
        }
        let known = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| known.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_forgotten_after_two_periods_at_the_latest() {
        let mut recent: Recent<u32> = Recent::new(10, Duration::from_secs(60));
        let at = Duration::from_secs;
        *recent.entry(key(&["a"]), at(100)) = 1;
        assert_eq!(*recent.entry(key(&["a"]), at(170)), 1, "used again, young again");
        recent.entry(key(&["b"]), at(240));
        assert_eq!(recent.get(&key(&["a"])), Some(&1));
        recent.entry(key(&["b"]), at(310));
        assert_eq!(recent.get(&key(&["a"])), None);
    }

    #[test]
    fn ops_lim_06_a_flood_does_not_make_it_grow() {
        let mut recent: Recent<u32> = Recent::new(10, Duration::from_secs(60));
        for n in 0..1000 {
            recent.entry(key(&[&n.to_string()]), Duration::from_secs(1));
        }
        assert!(recent.young.len() + recent.old.len() <= 20);
    }

    #[test]
    fn texts_do_not_run_together() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
    }
}
