//! One address of an upstream.

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use keybound_oauth::identifier::is_loopback;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use url::Url;

/// How long an address that could not be connected to is asked last.
const AILING_SECS: u64 = 10;

/// Where one server is.
#[derive(Debug)]
pub(crate) struct Address {
    name: String,
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    /// Without a slash at its end; put before the path of each request.
    base: String,
    /// Seconds of the monotonic clock.
    well_from: AtomicU64,
}

impl Address {
    /// `http://host:port/base` or `https://…`. The link carries what we vouch for: TLS, loopback, or a network that the
    /// operator vouches for (RFC 9700 §4.13, BCP-PRX-02).
    pub(crate) fn parse(text: &str, trusted_network: bool) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let scheme = match url.scheme() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            _ => return Err("it must be http://host:port or https://host:port".to_owned()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "it must name no user: credentials for the upstream have no place in a URL".to_owned()
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it must have no query and no fragment".to_owned());
        }
        if scheme == Scheme::HTTP && !is_loopback(&url) && !trusted_network {
            return Err(
                "it is on another machine, and whoever can speak to it can say who calls: take https, or, \
                        if only the gateway can reach it, say `trusted_network = true`"
                    .to_owned(),
            );
        }
        let authority: Authority = url.authority().parse().map_err(|_| "it names no host".to_owned())?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
        let base = url.path().trim_end_matches('/').to_owned();
        let name = format!("{scheme}://{authority}{base}");
        Ok(Self { name, scheme, authority, host, base, well_from: AtomicU64::new(0) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// `Host` of requests to it.
    pub(crate) const fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The URI of a request there; `stripped` is the part of its path that the upstream does not know. Nothing is copied
    /// where the path goes on as it came.
    pub(crate) fn uri(&self, received: Uri, stripped: &str) -> Option<Uri> {
        let mut uri = received.into_parts();
        if !self.base.is_empty() || !stripped.is_empty() {
            let target = uri.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
            let below = target.strip_prefix(stripped)?;
            let slash = if below.starts_with('/') { "" } else { "/" };
            uri.path_and_query = Some(format!("{}{slash}{below}", self.base).try_into().ok()?);
        }
        uri.scheme = Some(self.scheme.clone());
        uri.authority = Some(self.authority.clone());
        Uri::from_parts(uri).ok()
    }

    pub(crate) fn is_well(&self, now: Duration) -> bool {
        self.well_from.load(Ordering::Relaxed) <= now.as_secs()
    }

    /// It could not be connected to.
    pub(crate) fn failed(&self, now: Duration) {
        self.well_from.store(now.as_secs().saturating_add(AILING_SECS), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(address: &str, received: &'static str, stripped: &str) -> String {
        let address = Address::parse(address, true).expect("an address");
        address.uri(Uri::from_static(received), stripped).expect("a URI").to_string()
    }

    #[test]
    fn paths_below_a_base_and_without_a_prefix() {
        assert_eq!(uri("http://h:1", "/a/b?c", ""), "http://h:1/a/b?c");
        assert_eq!(uri("http://h:1", "/a/b?c", "/a"), "http://h:1/b?c");
        assert_eq!(uri("http://h:1", "/a", "/a"), "http://h:1/");
        assert_eq!(uri("http://h:1", "/a?c=/a", "/a"), "http://h:1/?c=/a");
        assert_eq!(uri("https://h/v1/", "/a/b", "/a"), "https://h/v1/b");
        assert_eq!(uri("https://h/v1", "/a/", ""), "https://h/v1/a/");
    }

    #[test]
    fn bcp_prx_02_an_address_on_another_machine_needs_tls_or_a_word() {
        for fine in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost", "https://10.0.0.1"] {
            assert!(Address::parse(fine, false).is_ok(), "{fine}");
        }
        assert!(Address::parse("http://10.0.0.1", false).expect_err("refused").contains("trusted_network"));
        for bad in [
            "ftp://127.0.0.1",
            "http://u:p@127.0.0.1",
            "127.0.0.1:80",
            "http://127.0.0.1/?a",
            "http://127.0.0.1/#a",
        ] {
            assert!(Address::parse(bad, true).is_err(), "{bad}");
        }
    }
}
