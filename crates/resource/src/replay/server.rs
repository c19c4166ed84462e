//! Where a shared log is, and how long it may take.

use super::ReplayLogError;
use keybound_dpop::secret::Secret;
use std::net::IpAddr;
use std::time::Duration;

/// The server of a shared log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogServer {
    /// Its URL, with the password if it has one: `redis`, `rediss` (TLS), `valkey`, `valkeys` or `redis+unix`; or
    /// `postgresql`, with `sslmode=require` for TLS. Several where they are nodes of one cluster of Redis.
    pub urls: Vec<Secret>,
    /// Whether the nodes are of a cluster of Redis.
    pub cluster: bool,
    /// The authorities that its certificate may come from, in PEM, instead of the system's.
    pub trusted_roots: Option<Vec<u8>>,
    /// How long an answer may take, a connection included.
    pub timeout: Duration,
    /// Whether nobody else can speak on the network in between, so that TLS is not needed.
    pub trusted_network: bool,
}

impl LogServer {
    /// What there is to say of most servers: certificates by the system's authorities, 250 ms for an answer.
    #[must_use]
    pub fn at(url: impl Into<Secret>) -> Self {
        Self {
            urls: vec![url.into()],
            cluster: false,
            trusted_roots: None,
            timeout: Duration::from_millis(250),
            trusted_network: false,
        }
    }

    /// Who can answer for the log can have any proof taken twice: TLS, this machine, or a network that the operator
    /// vouches for.
    pub(super) fn check_link(&self, is_tls: bool, host: &str) -> Result<(), ReplayLogError> {
        let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if is_tls || is_loopback || self.trusted_network {
            return Ok(());
        }
        let why = "the replay log is on another machine, and whoever can speak on the way to it can have proofs taken \
                   twice: use TLS, or say `trusted_network = true` if nobody else can";
        Err(ReplayLogError(why.to_owned()))
    }
}
