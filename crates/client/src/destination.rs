//! Where a request goes: one reading of the URL, from which the request, its `htu` and its origin are taken alike.

use http::Uri;
use http::uri::PathAndQuery;
use keybound_dpop::proof::create::htu;
use keybound_dpop::target::{Target, TargetError};
use keybound_oauth::identifier::is_protected;
use url::Url;

/// The URL of a request as it will be sent: absolute, https (or http on a loopback host), without user information
/// and fragment. What is signed is what is sent (RFC 9449 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    uri: Uri,
    htu: String,
    origin: String,
}

/// Why a request cannot go to a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Not an absolute URL.
    #[error("the URL must be absolute, such as https://api.example/path")]
    NotAbsolute,
    /// Neither https nor http on a loopback host.
    #[error("the URL must be https (http is allowed on a loopback host only)")]
    Insecure,
    /// No proof can be made for it.
    #[error("no proof can be made for the URL: {0}")]
    Target(#[from] TargetError),
}

impl Destination {
    /// Reads a URL, after all joining and expanding.
    ///
    /// # Errors
    /// [`DestinationError`] says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, DestinationError> {
        let mut url = Url::parse(url).map_err(|_| DestinationError::NotAbsolute)?;
        if !is_protected(&url) {
            return Err(DestinationError::Insecure);
        }
        url.set_fragment(None);
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| DestinationError::NotAbsolute)?;
        let htu = htu(url.as_str())?;
        let origin = Target::parse(&htu)?.origin().to_owned();
        let uri = url.as_str().parse().map_err(|_| DestinationError::NotAbsolute)?;
        Ok(Self { uri, htu, origin })
    }

    /// Another path on the same server. One that can be written in one way only need not be read as a URL again.
    ///
    /// # Errors
    /// [`DestinationError`]
    pub fn at(&self, path: PathAndQuery) -> Result<Self, DestinationError> {
        let has_one_spelling = has_one_spelling(path.path());
        let htu = if has_one_spelling { format!("{}{}", self.origin, path.path()) } else { String::new() };
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = Some(path);
        let uri = Uri::from_parts(parts).map_err(|_| DestinationError::NotAbsolute)?;
        if !has_one_spelling {
            return Self::parse(&uri.to_string());
        }
        Ok(Self { uri, htu, origin: self.origin.clone() })
    }

    /// The URL to send the request to.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The value of `htu`.
    #[must_use]
    pub fn htu(&self) -> &str {
        &self.htu
    }

    /// Scheme, host and port: the server by which nonces and permissions are kept apart.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// Whether nothing in a path changes when it is normalised (RFC 3986 §6.2.2): letters, digits and few signs, and no
/// segment that is empty or begins with a dot.
fn has_one_spelling(path: &str) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
    let mut last = 0;
    path.starts_with('/')
        && path.bytes().all(|byte| {
            let is_fine = is_plain(&byte) || (matches!(byte, b'/' | b'.') && last != b'/');
            last = byte;
            is_fine
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl_prf_03_a_path_on_the_same_server_reads_as_its_url_does() {
        for server in ["https://API.example:443/v1?x#y", "https://api.example:8443", "http://127.0.0.1:3000/"]
        {
            let server = Destination::parse(server).expect("a destination");
            for path in [
                "/",
                "/orders",
                "/v1.2/orders_7-8~/x.json?page=2&q='a'",
                "/a/",
                "/a/../b",
                "/./a",
                "/%7Ea",
                "/a//b",
                "//h/x",
                "/.well-known/x",
                "/a/..",
                "/a%2fb",
                "/a;b=c",
                "/é",
                "/a.",
                "/a./b",
            ] {
                let Ok(parsed) = path.parse::<PathAndQuery>() else { continue };
                let at = server.at(parsed).expect(path);
                let url = Destination::parse(&format!("{}{path}", server.origin())).expect(path);
                assert_eq!((at.htu(), at.origin()), (url.htu(), url.origin()), "{path}");
                assert_eq!(at.uri().path(), url.uri().path(), "{path}");
            }
        }
    }

    #[test]
    fn cl_prf_02_htu_is_the_url_as_sent_without_query_and_fragment() {
        let destination = Destination::parse("https://h/p?q=1#f").expect("a destination");
        assert_eq!(destination.htu(), "https://h/p");
        assert_eq!(destination.uri().to_string(), "https://h/p?q=1");
    }

    #[test]
    fn cl_prf_03_htu_comes_from_the_final_url() {
        for (url, htu, uri) in [
            ("https://u:p@h", "https://h/", "https://h/"),
            ("https://H:443/a/../b?x", "https://h/b", "https://h/b?x"),
            ("http://[::1]:8080", "http://[::1]:8080/", "http://[::1]:8080/"),
        ] {
            let destination = Destination::parse(url).expect(url);
            assert_eq!((destination.htu(), destination.uri().to_string().as_str()), (htu, uri));
        }
        let joined = Url::parse("https://h/v1/").and_then(|base| base.join("items/7?all")).expect("a URL");
        assert_eq!(Destination::parse(joined.as_str()).expect("joined").htu(), "https://h/v1/items/7");
    }

    #[test]
    fn cl_red_06_https_is_needed() {
        assert_eq!(Destination::parse("http://api.example/"), Err(DestinationError::Insecure));
        assert_eq!(Destination::parse("ftp://127.0.0.1/"), Err(DestinationError::Insecure));
        assert_eq!(Destination::parse("/relative"), Err(DestinationError::NotAbsolute));
        assert!(Destination::parse("http://127.0.0.1:1/").is_ok());
        assert!(Destination::parse("http://api.localhost:1/").is_ok());
    }

    #[test]
    fn user_information_cannot_pass_for_a_host() {
        let destination = Destination::parse("https://good.example@evil.example/").expect("a destination");
        assert_eq!(destination.origin(), "https://evil.example");
    }
}
