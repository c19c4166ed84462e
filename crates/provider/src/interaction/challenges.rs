//! Code challenges that were seen lately: a client that sends the same one twice does not make a verifier for each
//! request (RFC 9700 §2.1.1).

use super::recent::{Recent, key};
use keybound_oauth::pkce::CodeChallenge;
use parking_lot::Mutex;
use std::time::Duration;

/// Entries in one generation of the memory.
const CAPACITY: usize = 50_000;
/// How long a challenge is remembered, at least.
const PERIOD: Duration = Duration::from_secs(600);

/// The challenges of the codes that were issued lately.
#[derive(Debug)]
pub(crate) struct SeenChallenges(Mutex<Recent<bool>>);

impl Default for SeenChallenges {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(CAPACITY, PERIOD)))
    }
}

impl SeenChallenges {
    /// Notes the challenge; true where the client had sent it before. `now` is monotonic.
    pub(crate) fn is_repeated(&self, client_id: &str, challenge: CodeChallenge, now: Duration) -> bool {
        let mut seen = self.0.lock();
        std::mem::replace(seen.entry(key(&[client_id, &challenge.to_string()]), now), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_oauth::pkce::CodeVerifier;

    #[test]
    fn as_pkc_06_a_challenge_that_comes_again_is_seen() {
        let seen = SeenChallenges::default();
        let challenge = |n| CodeChallenge::of(&CodeVerifier::from_entropy(&[n; 32]));
        let at = Duration::from_secs;
        assert!(!seen.is_repeated("a", challenge(1), at(1000)));
        assert!(!seen.is_repeated("a", challenge(2), at(1001)));
        assert!(!seen.is_repeated("b", challenge(1), at(1002)), "another client's");
        assert!(seen.is_repeated("a", challenge(1), at(1003)));
    }
}
