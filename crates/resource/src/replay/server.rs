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

#[cfg(all(test, feature = "postgres", feature = "redis"))]
mod tests {
    use super::*;
    use crate::replay::SharedLog;
    use keybound_dpop::time::{Now, UnixTime};

    const NOW: Now = Now { unix: UnixTime::from_secs(1_800_000_000), monotonic: Duration::ZERO };

    fn refused(server: &LogServer) -> Option<String> {
        let url = server.urls.first().expect("a URL").reveal();
        let log = if url.starts_with("postgres") {
            SharedLog::postgres(server, NOW)
        } else {
            SharedLog::redis(server, NOW)
        };
        log.err().map(|error| error.to_string())
    }

    #[test]
    fn ops_dep_01_bcp_prx_02_records_do_not_travel_in_the_clear_to_another_machine() {
        for clear in [
            "redis://:hunter2@10.0.0.1",
            "valkey://log.example",
            "postgresql://u:hunter2@10.0.0.1/d",
            "postgresql://u:hunter2@log.example/d?sslmode=prefer",
            "postgresql://u:hunter2@localhost/d?hostaddr=10.0.0.1",
        ] {
            let mut server = LogServer::at(clear.to_owned());
            let told = refused(&server).unwrap_or_else(|| panic!("{clear} is taken"));
            assert!(told.contains("trusted_network") && !told.contains("hunter2"), "{told}");
            server.trusted_network = true;
            assert_eq!(refused(&server), None, "{clear}");
        }
        for safe in [
            "redis://127.0.0.1:7000",
            "redis://[::1]",
            "rediss://log.example",
            "redis+unix:///run/redis.sock",
            "postgresql://localhost/d",
            "postgresql://log.example/d?sslmode=require",
            "postgresql://u@%2Frun%2Fpostgresql/d",
        ] {
            assert_eq!(refused(&LogServer::at(safe.to_owned())), None, "{safe}");
        }
    }

    #[test]
    fn urls_that_cannot_be_used_are_refused_and_not_repeated() {
        for url in ["rediss://:hunter2@log.example/#insecure", "hunter2", "postgresql://u:hunter2@h:x/d"] {
            let told = refused(&LogServer::at(url.to_owned())).unwrap_or_else(|| panic!("{url} is taken"));
            assert!(!told.contains("hunter2"), "{told}");
        }
        let two = ["redis://127.0.0.1:1", "redis://127.0.0.1:2"].map(Secret::new).to_vec();
        let mut server = LogServer { urls: two, ..LogServer::at(String::new()) };
        assert!(refused(&server).is_some_and(|told| told.contains("cluster")));
        server.cluster = true;
        assert_eq!(refused(&server), None);
        server.trusted_roots = Some(b"no certificate".to_vec());
        server.urls = vec![Secret::new("postgresql://localhost/d")];
        assert!(refused(&server).is_some_and(|told| told.contains("trusted roots")), "nobody is trusted");
        assert!(!format!("{:?}", LogServer::at("redis://:hunter2@h".to_owned())).contains("hunter2"));
    }
}
