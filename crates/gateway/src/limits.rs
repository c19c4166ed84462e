//! How often one address and one client may ask (OPS-LIM-05). None unless the configuration says so: what is a fair rate
//! for an API, and whether a peer is one caller or everybody behind a proxy, only its operator knows.

use crate::refusal::Refusal;
use keybound_resource::{Access, Rate, subscriber};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Requests a minute; zero: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// From one address.
    pub address_per_minute: u32,
    /// Of one client.
    pub client_per_minute: u32,
}

/// The limits of a gateway.
#[derive(Debug)]
pub(crate) struct Limits {
    by_address: Option<Rate>,
    by_client: Option<Rate>,
    refused: Refused,
}

/// How many were turned away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused(std::sync::Arc<[AtomicU64; 2]>);

impl Limits {
    pub(crate) fn new(limits: &RateLimits, refused: Refused) -> Self {
        Self {
            by_address: Rate::new(limits.address_per_minute),
            by_client: Rate::new(limits.client_per_minute),
            refused,
        }
    }

    /// Lets a request of that address through, before anything of it is verified. What comes from this machine is not
    /// counted: it is a proxy, and so everybody.
    pub(crate) fn address(&self, address: Option<IpAddr>, now: Duration) -> Result<(), Refusal> {
        let counted = address.map(|address| address.to_canonical()).filter(|address| !address.is_loopback());
        match (&self.by_address, counted) {
            (Some(rate), Some(address)) => self.refused.admit(0, rate.admit(&subscriber(address), now)),
            _ => Ok(()),
        }
    }

    /// Lets a request of the client through that its token was issued to, or of the subject where it names none. Only of
    /// one that has proven itself: others could keep it out.
    pub(crate) fn client(&self, access: &Access, now: Duration) -> Result<(), Refusal> {
        let Some(rate) = &self.by_client else { return Ok(()) };
        let who = (access.issuer(), access.client_id().unwrap_or_else(|| access.subject()));
        self.refused.admit(1, rate.admit(&who, now))
    }
}

impl Refused {
    /// By address, and by client.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 2] {
        let [address, client] = &*self.0;
        [("address", address.load(Relaxed)), ("client", client.load(Relaxed))]
    }

    fn admit(&self, by: usize, admitted: Result<(), u64>) -> Result<(), Refusal> {
        admitted.map_err(|wait_secs| {
            if let Some(count) = self.0.get(by) {
                count.fetch_add(1, Relaxed);
            }
            Refusal::too_many(wait_secs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_lim_05_an_address_is_counted_unless_it_is_this_machine() {
        let limits = RateLimits { address_per_minute: 6, client_per_minute: 0 };
        let limits = Limits::new(&limits, Refused::default());
        let ask = |text: &str| {
            let address = text.parse().expect("an address");
            limits.address(Some(address), Duration::from_secs(100)).is_ok()
        };
        assert!(ask("192.0.2.1") && !ask("192.0.2.1") && !ask("::ffff:192.0.2.1"));
        assert!(ask("2001:db8::1") && !ask("2001:db8::2"));
        assert!((0..50).all(|_| ask("127.0.0.1") && ask("::1")));
        assert_eq!(limits.refused.counts(), [("address", 3), ("client", 0)]);
    }
}
