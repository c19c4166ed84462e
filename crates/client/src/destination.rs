//! Where a request goes: one reading of the URL, from which the request, its `htu` and its origin are taken alike.

use http::Uri;
use http::uri::PathAndQuery;
use keybound_dpop::proof::create::htu;
use keybound_dpop::target::{MAX_HTU_LEN, Target, TargetError};
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

    /// Another path on the same server, of which one that is written plainly is not read again.
    ///
    /// # Errors
    /// [`DestinationError`]
    pub fn at(&self, path: PathAndQuery) -> Result<Self, DestinationError> {
        // `*`, and whatever would go on with the host.
        if !path.path().starts_with('/') {
            return Err(DestinationError::NotAbsolute);
        }
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = Some(path);
        let uri = Uri::from_parts(parts).map_err(|_| DestinationError::NotAbsolute)?;
        Self::of(&uri, std::iter::once(self.origin()))
    }

    /// Reads the URL of a request, of which those to these origins are nearly all written in the one way that reading
    /// leaves as it is: then nothing of it is read again.
    ///
    /// # Errors
    /// [`DestinationError`] says what is wrong with it.
    pub(crate) fn of<'o>(
        uri: &Uri,
        mut origins: impl Iterator<Item = &'o str>,
    ) -> Result<Self, DestinationError> {
        match origins.find_map(|origin| Self::plainly_at(origin, uri)) {
            Some(destination) => Ok(destination),
            None => Self::parse(&uri.to_string()),
        }
    }

    /// `origin` is that of a destination.
    fn plainly_at(origin: &str, uri: &Uri) -> Option<Self> {
        let authority = uri.authority()?.as_str();
        let here = origin.strip_prefix(uri.scheme_str()?)?.strip_prefix("://")?;
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        // An address of IPv6 can be written in several ways.
        let is_plain = here == authority
            && !here.starts_with('[')
            && uri.path_and_query()?.as_str().starts_with('/')
            && is_plain_path(path)
            && query.bytes().all(is_plain_in_query);
        if !is_plain || origin.len() + path.len() > MAX_HTU_LEN {
            return None;
        }
        Some(Self { uri: uri.clone(), htu: [origin, path].concat(), origin: origin.to_owned() })
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

/// A path that stays as it is: no percent-encoding, no segment that is empty, `.` or `..` or begins so.
fn is_plain_path(path: &str) -> bool {
    let is_plain = |byte: u8| is_unreserved(byte) || byte == b'/';
    path.bytes().all(is_plain) && !path.contains("/.") && !path.contains("//")
}

/// RFC 3986 §3.4 has more; what is here no reader of URLs changes.
fn is_plain_in_query(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'=' | b'&' | b'+' | b'%' | b',' | b':' | b'/' | b'?' | b'@' | b'!')
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    #[test]
    fn cl_prf_02_a_url_that_is_not_read_again_is_as_if_it_were() {
        let origins = ["https://h", "https://h:8443", "http://127.0.0.1:1", "https://[2001:db8::1]"];
        let long = format!("https://h/{}", "p".repeat(MAX_HTU_LEN));
        let mut plain = 0;
        for url in [
            "https://h/p?q=1%20+&r=a/b?c,d:@e!",
            "https://h",
            "https://h/",
            "https://h?q",
            "https://H/p",
            "https://h:443/p",
            "https://h:8443/p/a-b_c~d.e",
            "https://h:8444/p",
            "http://127.0.0.1:1/p/",
            "http://h/p",
            "https://[2001:db8::1]/p",
            "https://[2001:DB8::1]/p",
            "https://user:secret@h/p",
            "https://h/a/../b",
            "https://h/a/./b",
            "https://h/.hidden",
            "https://h/..a",
            "https://h//p",
            "https://h/%7ep",
            "https://h/%2e%2e/p",
            "https://h/a;b=c",
            "https://h/a|b",
            "https://h/p?a='b'",
            "https://h/p?a=\"b",
            "https://h/p?a={b}|c^`",
            &long,
        ] {
            let Ok(uri) = url.parse::<Uri>() else { continue };
            let read = Destination::parse(&uri.to_string());
            assert_eq!(Destination::of(&uri, origins.into_iter()), read, "{url}");
            for origin in origins {
                if let Some(found) = Destination::plainly_at(origin, &uri) {
                    plain += 1;
                    assert_eq!(Ok(found), read, "{url}");
                }
            }
        }
        assert_eq!(plain, 5);
    }

    #[test]
    fn cl_prf_03_another_path_does_not_lead_to_another_server() {
        let server = Destination::parse("https://api.example/v1").expect("a destination");
        for odd in ["*", "@evil.example/", ":8443/", ".evil.example/", "evil", "?q", "//evil.example/"] {
            let Ok(path) = odd.parse::<PathAndQuery>() else { continue };
            let at = server.at(path);
            assert!(at.is_err() || at.is_ok_and(|at| at.origin() == server.origin()), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn cl_prf_02_cl_prf_03_whatever_is_not_read_again_is_as_if_it_were(
            host in prop_oneof![
                Just("https://h"), Just("https://h:8443"), Just("https://[2001:db8::1]"), Just("http://127.0.0.1:1"),
                Just("https://[::ffff:1.2.3.4]"), Just("https://[::1.2.3.4]"), Just("https://xn--bcher-kva.example."),
                Just("https://a_b~!$&'()*+,;=c"), Just("http://x.localhost"), Just("https://192.0.2.1"),
            ],
            path in "(/|/[-._~a-z0-9]{0,3}|/\\.{1,2}|[%:@;|'!$&*+,=\\\\\"^`{}\\[\\]]|%2[eEfF]|%7E|é|\u{7f}){0,6}",
            query in "(\\?([-._~a-z0-9=&+%,:/?@!#]|[;|'$*\\\\\"^`{}\\[\\]<>]|é){0,6})?",
        ) {
            let server = Destination::parse(host);
            prop_assume!(server.is_ok());
            let (server, shown) = (server.expect("a destination"), |to: &Destination| {
                (to.uri().to_string(), to.htu().to_owned(), to.origin().to_owned())
            });
            for written in [host, server.origin()] {
                let Ok(uri) = format!("{written}{path}{query}").parse::<Uri>() else { continue };
                let read = Destination::parse(&uri.to_string());
                if let Some(plain) = Destination::plainly_at(server.origin(), &uri) {
                    prop_assert_eq!(shown(&plain), shown(&read.expect("what is plain is read")));
                }
            }
            if let Ok(path) = format!("{path}{query}").parse::<PathAndQuery>()
                && let Ok(at) = server.at(path.clone())
            {
                let url = Destination::parse(&format!("{}{path}", server.origin())).expect("what is plain is read");
                prop_assert_eq!(shown(&at), shown(&url));
            }
        }
    }
}
