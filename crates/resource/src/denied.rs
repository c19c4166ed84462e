//! Tokens that the operator of a service has cut off before they expire (RS-CHK-04, FAPI 2.0 Security Profile §5.3.4).

use keybound_dpop::time::UnixTime;
use keybound_dpop::token_hash::TokenHash;
use parking_lot::RwLock;
use std::collections::HashMap;

/// Tokens in the list, at the most.
const CAPACITY: usize = 100_000;

/// The list. A token is in it no longer than it could be used.
#[derive(Debug, Default)]
pub(crate) struct Denied(RwLock<HashMap<TokenHash, UnixTime>>);

impl Denied {
    /// Whether there was room.
    pub(crate) fn add(&self, hash: TokenHash, until: UnixTime, now: UnixTime) -> bool {
        let mut denied = self.0.write();
        if denied.len() >= CAPACITY {
            denied.retain(|_, until| now < *until);
        }
        let has_room = denied.len() < CAPACITY || denied.contains_key(&hash);
        if has_room {
            denied.insert(hash, until);
        }
        has_room
    }

    pub(crate) fn contains(&self, hash: &TokenHash) -> bool {
        let denied = self.0.read();
        !denied.is_empty() && denied.contains_key(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_full_of_the_expired_has_room() {
        let denied = Denied::default();
        let at = UnixTime::from_secs;
        for n in 0..CAPACITY {
            assert!(denied.add(TokenHash::of(&n.to_string()), at(100), at(50)));
        }
        assert!(!denied.add(TokenHash::of("one more"), at(100), at(99)));
        assert!(denied.add(TokenHash::of("7"), at(100), at(99)), "it is there already");
        assert!(denied.add(TokenHash::of("one more"), at(200), at(100)));
        assert!(denied.contains(&TokenHash::of("one more")) && !denied.contains(&TokenHash::of("7")));
    }
}
