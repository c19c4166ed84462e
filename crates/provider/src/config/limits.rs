//! `[limits]` and `trusted_proxies`: how often anybody may ask, and who tells who that is.

use super::file::LimitsFile;
use super::{ConfigError, Source};
use crate::peer::Network;

/// Requests a minute; zero: no limit (OPS-LIM-05).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// From one address.
    pub address_per_minute: u32,
    /// Of one client that authenticates.
    pub client_per_minute: u32,
    /// Of registrations from one address, without a token.
    pub registrations_per_minute: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { address_per_minute: 60_000, client_per_minute: 60_000, registrations_per_minute: 10 }
    }
}

impl LimitsFile {
    pub(super) fn check(self) -> RateLimits {
        let default = RateLimits::default();
        RateLimits {
            address_per_minute: self.address_per_minute.unwrap_or(default.address_per_minute),
            client_per_minute: self.client_per_minute.unwrap_or(default.client_per_minute),
            registrations_per_minute: self
                .registrations_per_minute
                .unwrap_or(default.registrations_per_minute),
        }
    }
}

/// The proxies that are listed.
pub(super) fn proxies(written: &[String], source: &Source) -> Result<Vec<Network>, ConfigError> {
    let read = |text: &String| {
        Network::parse(text).ok_or_else(|| {
            let what = format!("`{text}` is neither an address nor a network such as 10.0.0.0/8");
            source.error("trusted_proxies", what)
        })
    };
    written.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::ConfigFile;

    #[test]
    fn limits_and_proxies_are_read() {
        let check = |more: &str| {
            ConfigFile::parse(&format!("issuer = \"https://as.example\"\n{more}"), "k.toml")
                .and_then(|file| file.check())
        };
        let config = check("").expect("a configuration");
        assert!(config.limits.address_per_minute > 0 && config.trusted_proxies.is_empty());
        let text = "trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n[limits]\naddress_per_minute = 0";
        let config = check(text).expect("a configuration");
        assert_eq!((config.limits.address_per_minute, config.trusted_proxies.len()), (0, 2));
        let error = check("trusted_proxies = [\"proxy.example\"]").expect_err("refused");
        assert!(error.what.contains("10.0.0.0/8"), "{error}");
    }
}
