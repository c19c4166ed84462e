//! What answers tell of a server besides its nonces. Bounded, like the nonces.

use crate::nonce_rule::Offered;
use keybound_dpop::nonce_cache::{MAX_SERVERS, Role};
use keybound_dpop::time::Now;
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

/// The servers that have answered, by origin.
#[derive(Debug, Default)]
pub(crate) struct KnownServers {
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    heard_at: Duration,
    as_authorization_server: Heard,
    as_resource_server: Heard,
}

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    ever: bool,
    nonce_at: Option<Duration>,
}

impl Known {
    const fn heard(&mut self, role: Role) -> &mut Heard {
        match role {
            Role::AuthorizationServer => &mut self.as_authorization_server,
            Role::ResourceServer => &mut self.as_resource_server,
        }
    }
}

impl KnownServers {
    /// Takes note of an answer.
    pub(crate) fn heard(&self, role: Role, origin: &str, offered: &Offered, now: Now) {
        self.update(origin, |known| {
            known.heard_at = now.monotonic;
            let heard = known.heard(role);
            heard.ever = true;
            if matches!(offered, Offered::One(_)) {
                heard.nonce_at = Some(now.monotonic);
            }
        });
    }

    pub(crate) fn acquaintance(&self, role: Role, origin: &str, now: Now) -> Acquaintance {
        let heard = self.known.lock().get_mut(origin).map(|known| *known.heard(role));
        match heard {
            Some(Heard { nonce_at: Some(at), .. }) => Acquaintance::Nonce(now.monotonic.saturating_sub(at)),
            Some(Heard { ever: true, nonce_at: None }) => Acquaintance::WithoutNonces,
            Some(Heard { ever: false, .. }) | None => Acquaintance::None,
        }
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
