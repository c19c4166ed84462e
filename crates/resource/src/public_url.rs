//! The URL under which callers know a service: configuration, never a `Host` or `X-Forwarded-*` header (DPOP-HTU-12).

use http::Uri;
use keybound_dpop::target::{Target, TargetError};

/// The origin of a service, and the path prefix that something in front of it takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    origin: Target,
    prefix: String,
}

impl PublicUrl {
    /// Reads `https://api.example`, or `https://api.example/prefix` where requests arrive without the prefix.
    ///
    /// # Errors
    /// [`TargetError`] where it is not an absolute http or https URI, or has a query or fragment.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if text.contains(['?', '#']) {
            return Err(TargetError::Character);
        }
        let origin = Target::parse(text)?;
        let prefix = origin.path().trim_end_matches('/').to_owned();
        Ok(Self { origin, prefix })
    }

    /// The URI at which a request with this request target arrived: the configured origin and prefix, and the path as
    /// received.
    ///
    /// # Errors
    /// [`TargetError`] where the path makes no URI.
    pub fn target(&self, received: &Uri) -> Result<Target, TargetError> {
        if self.prefix.is_empty() {
            return self.origin.at(received.path());
        }
        if !received.path().starts_with('/') {
            return Err(TargetError::NotAbsolute);
        }
        self.origin.at(&format!("{}{}", self.prefix, received.path()))
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.origin.origin()
    }

    /// The prefix, without a slash at its end; empty where there is none.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether callers come over https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.origin.is_https()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(public: &str, received: &'static str) -> Result<String, TargetError> {
        PublicUrl::parse(public)?.target(&Uri::from_static(received)).map(|target| target.to_string())
    }

    #[test]
    fn dpop_htu_12_the_origin_is_the_configured_one() {
        let seen = target("https://api.example", "http://evil.example/x?y");
        assert_eq!(seen.as_deref(), Ok("https://api.example/x"));
    }

    #[test]
    fn dpop_htu_14_a_prefix_that_was_taken_away_is_restored() {
        assert_eq!(target("https://h/api/v1/", "/x").as_deref(), Ok("https://h/api/v1/x"));
        assert_eq!(target("https://h/api", "/x?y=/z").as_deref(), Ok("https://h/api/x"));
        assert_eq!(target("https://h/api", "*"), Err(TargetError::NotAbsolute));
    }

    #[test]
    fn queries_and_fragments_are_no_part_of_it() {
        for bad in ["https://h/?a", "https://h/#a", "/x", "ftp://h/"] {
            assert!(PublicUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
