//! Answers that their peer does not fetch. On HTTP/1 a write waits then, which the wire notices; on HTTP/2 a peer that
//! opens no window for a stream holds its body, and whatever stands behind it, while the connection looks busy.
//!
//! Bodies are counted by the round in which their last piece was handed over; the connection goes from round to round.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Rounds that are told apart.
const ROUNDS: usize = 4;

/// The bodies of one connection whose last piece has not gone.
#[derive(Default)]
pub(crate) struct Unread {
    round: AtomicUsize,
    waiting: [AtomicUsize; ROUNDS],
}

/// The round in which a piece was handed over.
#[derive(Clone, Copy)]
pub(crate) struct Handed(usize);

impl Unread {
    /// A piece is handed over.
    pub(crate) fn hand(&self) -> Handed {
        let round = self.round.load(Relaxed) % ROUNDS;
        self.change(round, |count| count.fetch_add(1, Relaxed));
        Handed(round)
    }

    /// The next piece is asked for, or nobody will ask any more.
    pub(crate) fn take(&self, handed: Handed) {
        self.change(handed.0, |count| count.fetch_sub(1, Relaxed));
    }

    /// Begins another round; whether a piece waits that was handed over two whole rounds before.
    pub(crate) fn next_round(&self) -> bool {
        let round = self.round.fetch_add(1, Relaxed) + 1;
        self.waiting.get((round + 1) % ROUNDS).is_some_and(|count| count.load(Relaxed) > 0)
    }

    fn change(&self, round: usize, change: impl FnOnce(&AtomicUsize) -> usize) {
        if let Some(count) = self.waiting.get(round) {
            change(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_lim_04_only_what_waits_for_two_rounds_is_noticed() {
        let unread = Unread::default();
        let first = unread.hand();
        assert!(!unread.next_round());
        let second = unread.hand();
        assert!(!unread.next_round());
        assert!(unread.next_round(), "the first one");
        unread.take(first);
        unread.take(second);
        assert!((0..9).all(|_| !unread.next_round()));
    }
}
