//! How often a sign-in may fail: per account and address, per account, per address (BCP-UI-07).

use super::recent::{Key, Recent, key};
use parking_lot::Mutex;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// After `free` failures each further one doubles the wait, from one second to `longest`.
struct Rule {
    free: u32,
    longest: Duration,
}

/// Of one account from one address: the wait grows until guessing is pointless.
const PAIR: Rule = Rule { free: 5, longest: Duration::from_secs(900) };
/// Of one account from anywhere: a stranger must not be able to keep its owner out, so the wait stays short.
const ACCOUNT: Rule = Rule { free: 50, longest: Duration::from_secs(30) };
/// From one address, whatever the account: others may live behind the same one.
const ADDRESS: Rule = Rule { free: 50, longest: Duration::from_secs(900) };

/// Entries in one generation of the memory.
const CAPACITY: usize = 100_000;
/// How long a failure counts, at least.
const PERIOD: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
struct Failures {
    count: u32,
    last: Duration,
}

impl Failures {
    fn wait(&self, rule: &Rule, now: Duration) -> Duration {
        let Some(beyond) = self.count.checked_sub(rule.free) else { return Duration::ZERO };
        let delay = Duration::from_secs(1).saturating_mul(1 << beyond.min(20)).min(rule.longest);
        (self.last + delay).saturating_sub(now)
    }
}

/// Counts failed sign-ins.
#[derive(Debug)]
pub(crate) struct Throttle(Mutex<Recent<Failures>>);

/// A sign-in that was let through. It counts as failed until it is said to have succeeded, so that many at once are
/// not more than many in turn.
#[must_use]
pub(crate) struct Attempt {
    pair: Key,
    account: Key,
    address: Key,
}

/// Whole seconds to wait, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) secs: u64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(CAPACITY, PERIOD)))
    }
}

impl Throttle {
    /// Lets a sign-in through, or says how long to wait. `now` is monotonic.
    pub(crate) fn admit(
        &self,
        username: &str,
        peer: Option<SocketAddr>,
        now: Duration,
    ) -> Result<Attempt, Wait> {
        let address = peer.map_or_else(String::new, |peer| network(peer.ip()));
        let attempt = Attempt {
            pair: key(&["pair", username, &address]),
            account: key(&["account", username]),
            address: key(&["address", &address]),
        };
        let mut failures = self.0.lock();
        let rules = [(attempt.pair, &PAIR), (attempt.account, &ACCOUNT), (attempt.address, &ADDRESS)];
        let waits = rules.iter().filter_map(|(key, rule)| Some(failures.get(key)?.wait(rule, now)));
        let wait = waits.max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(Wait { secs: wait.as_secs() + u64::from(wait.subsec_nanos() > 0) });
        }
        for (key, _) in rules {
            let counted = failures.entry(key, now);
            counted.count = counted.count.saturating_add(1);
            counted.last = now;
        }
        Ok(attempt)
    }

    /// The password was right: the account starts anew from this address, and this attempt was no failure elsewhere.
    pub(crate) fn succeeded(&self, attempt: &Attempt, now: Duration) {
        let mut failures = self.0.lock();
        failures.entry(attempt.pair, now).count = 0;
        for key in [attempt.account, attempt.address] {
            let counted = failures.entry(key, now);
            counted.count = counted.count.saturating_sub(1);
        }
    }
}

/// The address, or for IPv6 the network of 64 bits that one subscriber has to themselves.
pub(super) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => (address.to_bits() >> 64).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Duration = Duration::from_secs;

    fn peer(text: &str) -> Option<SocketAddr> {
        text.parse().ok()
    }

    #[test]
    fn bcp_ui_07_after_five_failures_the_wait_doubles() {
        let throttle = Throttle::default();
        let from = peer("192.0.2.1:1");
        for _ in 0..5 {
            assert!(throttle.admit("ada", from, AT(10)).is_ok());
        }
        assert_eq!(throttle.admit("ada", from, AT(10)).err(), Some(Wait { secs: 1 }));
        assert!(throttle.admit("ada", from, AT(11)).is_ok());
        assert_eq!(throttle.admit("ada", from, AT(11)).err(), Some(Wait { secs: 2 }));
        assert!(throttle.admit("ada", peer("192.0.2.2:1"), AT(11)).is_ok(), "another address");
        assert!(throttle.admit("bob", from, AT(11)).is_ok(), "another account");
        let Ok(attempt) = throttle.admit("ada", from, AT(13)) else { panic!("not let through") };
        throttle.succeeded(&attempt, AT(13));
        assert!(throttle.admit("ada", from, AT(13)).is_ok());
    }

    #[test]
    fn bcp_ui_07_an_address_that_tries_many_accounts_has_to_wait() {
        let throttle = Throttle::default();
        let tries = |host: u64| {
            let from = peer(&format!("[2001:db8::{host:x}]:1"));
            throttle.admit(&format!("user{host}"), from, AT(10)).is_ok()
        };
        assert!((0..50).all(tries));
        assert!(!tries(50), "the same network");
    }

    #[test]
    fn bcp_ui_07_an_account_that_many_addresses_try_has_to_wait_for_a_short_time_only() {
        let throttle = Throttle::default();
        let tries =
            |n: u64, at| throttle.admit("ada", peer(&format!("198.51.{}.{}:1", n / 200, n % 200)), AT(at));
        assert!((0..50).all(|n| tries(n, 10).is_ok()));
        assert_eq!(tries(51, 10).err(), Some(Wait { secs: 1 }));
        assert!((52..200).all(|n| tries(n, 1000 * n).is_ok()), "nobody waits for longer than 30 s");
    }
}
