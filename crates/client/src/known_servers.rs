//! What answers tell of a server besides its nonces: when it was heard, and how its clock goes. Bounded, like the nonces.

use crate::clock_offset::Bounds;
use keybound_dpop::nonce_cache::{MAX_SERVERS, Role};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;

/// What is known of whether a server will take a proof at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// It has never answered.
    None,
    /// It has answered, and never gave a nonce.
    WithoutNonces,
    /// It gave its last nonce that long ago.
    Nonce(Duration),
}

/// How a server's clock goes, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerClock {
    /// By how many seconds it is ahead of ours; less than nothing where it is behind. None where that is not known, or too
    /// much to be made up for.
    pub ahead_secs: Option<i64>,
    /// Whether proofs for that server are dated by its clock.
    pub use_of_it: ClockUse,
}

/// Whether proofs are dated by the server's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockUse {
    /// By ours: the server has refused none yet.
    #[default]
    NotNeeded,
    /// By the server's, since it refused one that was dated by ours.
    InUse,
    /// By ours again: it refused one that was dated by its own.
    NoHelp,
}

/// The servers that have answered, by origin.
#[derive(Debug, Default)]
pub(crate) struct KnownServers {
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    heard_at: Duration,
    clock: ServerClock,
    as_authorization_server: Heard,
    as_resource_server: Heard,
}

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    ever: bool,
    nonce: Option<GivenNonce>,
}

#[derive(Clone, Copy, Debug)]
struct GivenNonce {
    /// When the request was made that it was the answer to.
    asked_at: Duration,
    given_at: Duration,
}

/// An answer, as far as it matters here. All times are monotonic ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hearing {
    pub(crate) asked_at: Duration,
    pub(crate) heard_at: Duration,
    pub(crate) clock: Option<Bounds>,
    pub(crate) gives_nonce: bool,
}

impl Known {
    const fn heard(&mut self, role: Role) -> &mut Heard {
        match role {
            Role::AuthorizationServer => &mut self.as_authorization_server,
            Role::ResourceServer => &mut self.as_resource_server,
        }
    }
}

impl ServerClock {
    /// By how many seconds proofs are ahead of our clock.
    #[must_use]
    pub fn correction_secs(self) -> i64 {
        match self.use_of_it {
            ClockUse::InUse => self.ahead_secs.unwrap_or(0),
            ClockUse::NotNeeded | ClockUse::NoHelp => 0,
        }
    }

    /// After another answer. What did not help with one offset may help with another one.
    fn revise(&mut self, told: Bounds) {
        let ahead_secs = told.revise(self.ahead_secs.unwrap_or(0));
        if self.use_of_it == ClockUse::NoHelp && ahead_secs != self.ahead_secs {
            self.use_of_it = ClockUse::NotNeeded;
        }
        self.ahead_secs = ahead_secs;
    }

    /// After a proof with that correction was refused: whether one with another correction is worth a try.
    fn refused(&mut self, corrected_by: i64) -> bool {
        match self.ahead_secs {
            Some(ahead) if ahead != corrected_by && self.use_of_it != ClockUse::NoHelp => {
                self.use_of_it = ClockUse::InUse;
                true
            }
            _ => {
                if corrected_by != 0 {
                    self.use_of_it = ClockUse::NoHelp;
                }
                false
            }
        }
    }
}

impl KnownServers {
    /// Takes note of an answer. Whether its nonce is news: not where it answers a request that is older than the one
    /// which brought the nonce that is known.
    pub(crate) fn heard(&self, role: Role, origin: &str, hearing: Hearing) -> bool {
        self.update(origin, |known| {
            known.heard_at = hearing.heard_at;
            if let Some(told) = hearing.clock {
                known.clock.revise(told);
            }
            let heard = known.heard(role);
            heard.ever = true;
            let is_news = heard.nonce.is_none_or(|nonce| nonce.asked_at <= hearing.asked_at);
            if hearing.gives_nonce && is_news {
                let (asked_at, given_at) = (hearing.asked_at, hearing.heard_at);
                heard.nonce = Some(GivenNonce { asked_at, given_at });
            }
            is_news
        })
    }

    pub(crate) fn acquaintance(&self, role: Role, origin: &str, now: Duration) -> Acquaintance {
        let heard = self.known.lock().get_mut(origin).map(|known| *known.heard(role));
        match heard {
            Some(Heard { nonce: Some(nonce), .. }) => Acquaintance::Nonce(now.saturating_sub(nonce.given_at)),
            Some(Heard { ever: true, nonce: None }) => Acquaintance::WithoutNonces,
            Some(Heard { ever: false, .. }) | None => Acquaintance::None,
        }
    }

    pub(crate) fn clock(&self, origin: &str) -> ServerClock {
        self.known.lock().get(origin).map(|known| known.clock).unwrap_or_default()
    }

    /// After a proof with that correction was refused: the clock, where another correction is worth a try.
    pub(crate) fn refused(&self, origin: &str, corrected_by: i64) -> Option<ServerClock> {
        let mut known = self.known.lock();
        let clock = &mut known.get_mut(origin)?.clock;
        clock.refused(corrected_by).then_some(*clock)
    }

    /// Changes what is known of a server. The one that was heard longest ago makes room for a new one.
    fn update<T>(&self, origin: &str, change: impl FnOnce(&mut Known) -> T) -> T {
        let mut all = self.known.lock();
        if let Some(known) = all.get_mut(origin) {
            return change(known);
        }
        if all.len() >= MAX_SERVERS {
            let oldest = all.iter().min_by_key(|(_, known)| known.heard_at).map(|(origin, _)| origin.clone());
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        change(all.entry(origin.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RS: Role = Role::ResourceServer;

    const fn heard(asked_at: u64, heard_at: u64, gives_nonce: bool) -> Hearing {
        let (asked_at, heard_at) = (Duration::from_secs(asked_at), Duration::from_secs(heard_at));
        Hearing { asked_at, heard_at, clock: None, gives_nonce }
    }

    #[test]
    fn cl_non_07_a_late_answer_to_an_old_request_brings_no_news() {
        let servers = KnownServers::default();
        assert!(servers.heard(RS, "https://h", heard(5, 6, true)));
        assert!(!servers.heard(RS, "https://h", heard(4, 7, true)));
        assert!(servers.heard(RS, "https://h", heard(5, 8, true)));
        assert!(servers.heard(Role::AuthorizationServer, "https://h", heard(1, 9, true)));
    }

    #[test]
    fn cl_non_12_what_is_known_before_a_stream() {
        let servers = KnownServers::default();
        let known = |secs| servers.acquaintance(RS, "https://h", Duration::from_secs(secs));
        assert_eq!(known(1), Acquaintance::None);
        servers.heard(Role::AuthorizationServer, "https://h", heard(1, 1, true));
        assert_eq!(known(1), Acquaintance::None);
        servers.heard(RS, "https://h", heard(1, 1, false));
        assert_eq!(known(2), Acquaintance::WithoutNonces);
        servers.heard(RS, "https://h", heard(2, 3, true));
        servers.heard(RS, "https://h", heard(3, 4, false));
        assert_eq!(known(8), Acquaintance::Nonce(Duration::from_secs(5)));
    }

    #[test]
    fn cl_non_10_no_more_servers_are_known_than_nonces() {
        let servers = KnownServers::default();
        for index in 0..MAX_SERVERS as u64 + 10 {
            servers.heard(RS, &format!("https://h{index}"), heard(index, index, false));
        }
        assert_eq!(servers.known.lock().len(), MAX_SERVERS);
        assert_eq!(servers.acquaintance(RS, "https://h9", Duration::ZERO), Acquaintance::None);
        assert_eq!(servers.acquaintance(RS, "https://h10", Duration::ZERO), Acquaintance::WithoutNonces);
    }

    #[test]
    fn ops_tim_02_a_correction_that_does_not_help_is_dropped() {
        let mut clock = ServerClock { ahead_secs: Some(0), ..ServerClock::default() };
        assert!(!clock.refused(0));
        clock.ahead_secs = Some(300);
        assert!(clock.refused(0) && clock.correction_secs() == 300);
        assert!(!clock.refused(300) && clock.correction_secs() == 0);
        assert!(!clock.refused(0), "not tried again");
    }
}
