//! How often one address and one client may ask (OPS-LIM-05): cheap, without a lock, in memory that does not grow.

use crate::config::RateLimits;
use crate::metrics::Metrics;
use crate::refusal::Denied;
use keybound_resource::{Rate, subscriber};
use std::net::IpAddr;
use std::time::Duration;

/// The limits of a provider.
#[derive(Debug)]
pub struct Limits {
    by_address: Option<Rate>,
    by_client: Option<Rate>,
    registrations: Option<Rate>,
}

impl Limits {
    /// As configured.
    #[must_use]
    pub fn new(limits: &RateLimits) -> Self {
        Self {
            by_address: Rate::new(limits.address_per_minute),
            by_client: Rate::new(limits.client_per_minute),
            registrations: Rate::new(limits.registrations_per_minute),
        }
    }

    /// Lets a request of that address through. What comes from this machine is not counted: it is the proxy that nobody
    /// has listed, and so everybody.
    ///
    /// # Errors
    /// 429 where there were too many.
    pub fn address(&self, address: IpAddr, now: Duration, metrics: &Metrics) -> Result<(), Denied> {
        let address = address.to_canonical();
        let Some(rate) = self.by_address.as_ref().filter(|_| !address.is_loopback()) else { return Ok(()) };
        admit(rate.admit(&subscriber(address), now), "address", metrics)
    }

    /// Lets a request of that client through. Only of one that has shown who it is: others could keep it out.
    ///
    /// # Errors
    /// 429 where there were too many.
    pub fn client(&self, client_id: &str, now: Duration, metrics: &Metrics) -> Result<(), Denied> {
        let Some(rate) = &self.by_client else { return Ok(()) };
        admit(rate.admit(client_id, now), "client", metrics)
    }
}

impl Limits {
    /// Lets somebody at that address register a client without a token (AS-DCR-12). This machine is counted, too: what
    /// is behind it may be anybody.
    ///
    /// # Errors
    /// 429 where there were too many.
    pub fn registration(&self, address: IpAddr, now: Duration, metrics: &Metrics) -> Result<(), Denied> {
        let Some(rate) = &self.registrations else { return Ok(()) };
        admit(rate.admit(&subscriber(address), now), "registration", metrics)
    }
}

fn admit(admitted: Result<(), u64>, by: &'static str, metrics: &Metrics) -> Result<(), Denied> {
    admitted.map_err(|wait_secs| {
        metrics.limited(by);
        Denied::too_many(wait_secs)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_network_of_a_subscriber_is_one_caller_and_this_machine_is_none() {
        let limits = Limits::new(&RateLimits {
            address_per_minute: 1,
            client_per_minute: 0,
            registrations_per_minute: 1,
        });
        let metrics = Metrics::default();
        let ask =
            |address: &str| limits.address(address.parse().expect("an address"), AT(100), &metrics).is_ok();
        assert!(ask("2001:db8::1") && !ask("2001:db8::2") && ask("2001:db8:0:1::1"));
        assert!(ask("192.0.2.1") && !ask("::ffff:192.0.2.1") && ask("192.0.2.2"));
        assert!(ask("127.0.0.1") && ask("127.0.0.1") && ask("::1") && ask("::1"));
        assert!((0..100).all(|_| limits.client("a", AT(100), &metrics).is_ok()), "no limit");
    }
}
