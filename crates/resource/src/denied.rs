//! Tokens that the operator of a service has cut off before they expire (RS-CHK-04, FAPI 2.0 Security Profile §5.3.4).

use keybound_dpop::jose::jws;
use keybound_dpop::time::UnixTime;
use keybound_dpop::token_hash::TokenHash;
use parking_lot::RwLock;
use std::collections::HashMap;

/// Tokens in the list, at the most.
const CAPACITY: usize = 100_000;

/// What a token is known by, whatever its signature. Of a signature with ECDSA anybody can make a second one that is good
/// too (`s` and `n - s`), and with it another text, and another hash, of the same token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenId(TokenHash);

impl TokenId {
    /// That of a token as it stands in `Authorization`: of a JWT, of what is signed in it.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(TokenHash::of(jws::split(token).map_or(token, |parts| parts.signed)))
    }

    /// That of a token that is no JWT.
    pub(crate) const fn of_opaque(hash: TokenHash) -> Self {
        Self(hash)
    }
}

/// The list. A token is in it no longer than it could be used.
#[derive(Debug, Default)]
pub(crate) struct Denied(RwLock<HashMap<TokenId, UnixTime>>);

impl Denied {
    /// Whether there was room.
    pub(crate) fn add(&self, id: TokenId, until: UnixTime, now: UnixTime) -> bool {
        let mut denied = self.0.write();
        if denied.len() >= CAPACITY {
            denied.retain(|_, until| now < *until);
        }
        let has_room = denied.len() < CAPACITY || denied.contains_key(&id);
        if has_room {
            let end = denied.entry(id).or_insert(until);
            *end = until.max(*end);
        }
        has_room
    }

    /// Costs a hash where there are any.
    pub(crate) fn contains(&self, token: &str) -> bool {
        let denied = self.0.read();
        !denied.is_empty() && denied.contains_key(&TokenId::of(token))
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
            assert!(denied.add(TokenId::of(&n.to_string()), at(100), at(50)));
        }
        assert!(!denied.add(TokenId::of("one more"), at(100), at(99)));
        assert!(denied.add(TokenId::of("7"), at(100), at(99)), "it is there already");
        assert!(denied.add(TokenId::of("8"), at(300), at(99)));
        assert!(denied.add(TokenId::of("8"), at(60), at(99)), "and is no sooner off the list");
        assert!(denied.add(TokenId::of("one more"), at(200), at(100)));
        assert!(denied.contains("one more") && denied.contains("8") && !denied.contains("7"));
    }

    #[test]
    fn rs_chk_04_a_token_is_known_by_what_is_signed_in_it() {
        assert_eq!(TokenId::of("a.b.c"), TokenId::of("a.b.d"));
        for other in ["a.c.c", "a.b.c.d", "a.b."] {
            assert_ne!(TokenId::of("a.b.c"), TokenId::of(other), "{other}");
        }
        assert_eq!(TokenId::of("opaque"), TokenId::of_opaque(TokenHash::of("opaque")));
    }
}
