//! Redirect URIs: what may be registered, and when a requested one is a registered one (RFC 9700 §2.1, §4.1.3).

use crate::identifier::{is_loopback, parse_absolute};
use std::fmt;
use url::Url;

/// A redirect URI: absolute, without fragment and user information; https, or http on a loopback host, or a
/// private-use scheme with a dot in it (RFC 8252 §7.1).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RedirectUri {
    text: String,
    url: Url,
}

/// Why a text is not a redirect URI that may be registered (AS-DCR-04). To be answered with `invalid_redirect_uri`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    /// Not an absolute URI in plain ASCII.
    #[error("a redirect URI must be an absolute URI in ASCII, without fragment, user name and password")]
    NotAbsolute,
    /// There is a `*`: we match whole strings only.
    #[error("a redirect URI must not hold a `*`: it is matched as a whole; register each one")]
    Wildcard,
    /// The scheme is not one that we redirect to.
    #[error(
        "a redirect URI must be https, http on a loopback host (such as http://127.0.0.1/callback), or a private-use \
         scheme with a dot (such as com.example.app:/callback)"
    )]
    Scheme,
}

impl RedirectUri {
    /// Reads a redirect URI.
    ///
    /// # Errors
    /// [`RedirectUriError`]
    pub fn parse(text: &str) -> Result<Self, RedirectUriError> {
        let url = parse_absolute(text).map_err(|_| RedirectUriError::NotAbsolute)?;
        if text.contains('*') {
            return Err(RedirectUriError::Wildcard);
        }
        let is_fit = match url.scheme() {
            "https" => url.has_host(),
            "http" => is_loopback(&url),
            scheme => scheme.contains('.'),
        };
        if !is_fit {
            return Err(RedirectUriError::Scheme);
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// The text, byte for byte.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As a URL.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Whether the scheme is a private-use one, which only native applications have.
    #[must_use]
    pub fn is_private_use(&self) -> bool {
        !matches!(self.url.scheme(), "https" | "http")
    }

    /// Whether the requested text is this registered one, character for character.
    #[must_use]
    pub fn matches(&self, requested: &str) -> bool {
        self.text == requested
    }

    /// Whether a native application that registered this one may ask for the requested one: the same, or, where the
    /// host is `127.0.0.1`, `[::1]` or `localhost` as registered, the same but for the port (RFC 8252 §7.3).
    #[must_use]
    pub fn matches_native(&self, requested: &str) -> bool {
        if self.matches(requested) {
            return true;
        }
        match (split_loopback(&self.text), split_loopback(requested)) {
            (Some(registered), Some(requested)) => registered == requested,
            _ => false,
        }
    }

    /// This URI with `query` (already form-encoded) added to its own.
    #[must_use]
    pub fn with_query(&self, query: &str) -> String {
        let separator = match self.text.split_once('?') {
            None => "?",
            Some((_, own)) if own.is_empty() || own.ends_with('&') => "",
            Some(_) => "&",
        };
        format!("{}{separator}{query}", self.text)
    }
}

/// Host and all behind the port of an http URI on a loopback host that is spelled in one of the three ways.
fn split_loopback(text: &str) -> Option<(&'static str, &str)> {
    let after_scheme = text.strip_prefix("http://")?;
    let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| after_scheme.starts_with(host))?;
    let after_host = after_scheme.strip_prefix(host)?;
    let rest = match after_host.strip_prefix(':') {
        None => after_host,
        Some(with_port) => {
            let digits = with_port.bytes().take_while(u8::is_ascii_digit).count();
            let (port, rest) = with_port.split_at_checked(digits)?;
            port.parse::<u16>().ok().filter(|port| *port != 0)?;
            rest
        }
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        RedirectUri::parse(text).expect("a redirect URI")
    }

    #[test]
    fn as_aut_16_what_may_be_registered() {
        for good in [
            "https://app.example/cb",
            "https://app.example/cb?x=1",
            "http://127.0.0.1/cb",
            "http://[::1]:7/cb",
            "http://localhost:3000/cb",
            "com.example.app:/cb",
            "com.example.app://cb",
        ] {
            assert!(RedirectUri::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://app.example/cb",
            "/cb",
            "app.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "myapp:/cb",
            "https://app.example/cb#",
            "https://app.example/cb#a",
            "https://u:p@app.example/cb",
            "https://u@app.example/cb",
            "https://*.app.example/cb",
            "https://app.example/*",
            "file:///etc/passwd",
            "http://127.0.0.1.evil.example/cb",
            "https://app.example\\@evil.example/cb",
            "https://app.example/c b",
            "https:app.example/cb",
            "",
            "http://localhost@evil.example/",
            "https://",
        ] {
            assert!(RedirectUri::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bcp_red_01_only_the_exact_string_matches() {
        let registered = uri("https://app.example/cb");
        assert!(registered.matches("https://app.example/cb"));
        assert!(registered.matches_native("https://app.example/cb"));
        for bad in [
            "https://app.example/cb/",
            "https://app.example/cb?",
            "https://app.example/cb?x=1",
            "https://app.example/cb#",
            "https://app.example/cb#x",
            "https://app.example/CB",
            "https://APP.example/cb",
            "HTTPS://app.example/cb",
            "http://app.example/cb",
            "https://app.example:443/cb",
            "https://app.example:8443/cb",
            "https://app.example/%63b",
            "https://app.example/./cb",
            "https://app.example/x/../cb",
            "https://app.example/%2e/cb",
            "https://app.example//cb",
            "https://app.example/cb%20",
            "https://app.example/cb ",
            " https://app.example/cb",
            "https://app.example/cb%00",
            "https://app.example/cb\\",
            "https://app.example\\cb",
            "https://user@app.example/cb",
            "https://app.example@evil.example/cb",
            "https://sub.app.example/cb",
            "https://app.example.evil.example/cb",
            "https://app.example./cb",
            "https://evil.example/https://app.example/cb",
            "https://app.example/c",
            "",
        ] {
            assert!(!registered.matches(bad) && !registered.matches_native(bad), "{bad}");
        }
    }

    #[test]
    fn bcp_red_02_the_port_of_a_loopback_host_is_free_for_native_applications() {
        for (registered, requested) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:5555/cb"),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1/cb"),
            ("http://[::1]:80/cb?a=b", "http://[::1]:65535/cb?a=b"),
            ("http://localhost:3000/cb", "http://localhost:3001/cb"),
        ] {
            assert!(uri(registered).matches_native(requested), "{requested}");
            assert!(!uri(registered).matches(requested), "{requested}");
        }
        for (registered, requested) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1.evil:5555/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:5555@evil.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb"),
            ("http://127.0.0.1/cb", "http://localhost:5555/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.2:5555/cb"),
            ("http://127.0.0.1/cb", "http://127.1:5555/cb"),
            ("http://127.0.0.1/cb", "https://127.0.0.1:5555/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:5555/cb/x"),
            ("http://127.0.0.2/cb", "http://127.0.0.2:5555/cb"),
            ("https://localhost/cb", "https://localhost:5555/cb"),
            ("http://a.localhost/cb", "http://a.localhost:5555/cb"),
        ] {
            assert!(!uri(registered).matches_native(requested), "{requested}");
        }
    }

    #[test]
    fn a_query_is_added_to_the_own_one() {
        assert_eq!(uri("https://a.example/cb").with_query("code=1"), "https://a.example/cb?code=1");
        assert_eq!(uri("https://a.example/cb?x=1").with_query("code=1"), "https://a.example/cb?x=1&code=1");
        assert_eq!(uri("https://a.example/cb?").with_query("code=1"), "https://a.example/cb?code=1");
        assert_eq!(uri("com.example.app:/cb").with_query("code=1"), "com.example.app:/cb?code=1");
    }
}
