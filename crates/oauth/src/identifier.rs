//! Names of parties: issuers, resources, clients, and the URLs at which they are met. The text is kept byte for byte,
//! since all of them are compared by simple string comparison (RFC 3986 §6.2.1).

use serde::{Deserialize, Serialize};
use std::fmt;
use url::{Host, Url};

/// Bytes in an identifier, at the most.
pub const MAX_IDENTIFIER_BYTES: usize = 2048;

/// Why a text is not the identifier that it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Not an absolute URI in plain ASCII.
    #[error("not an absolute URI of at most {MAX_IDENTIFIER_BYTES} ASCII characters without white space")]
    NotAbsolute,
    /// There is a part that this identifier must not have.
    #[error("it must not have a {0}")]
    Forbidden(&'static str),
    /// Not https, and not on this machine.
    #[error(
        "it must be an https URL; http only on a loopback host (127.0.0.0/8, [::1], localhost, *.localhost)"
    )]
    Insecure,
    /// Not a client identifier.
    #[error("not 1 to {MAX_IDENTIFIER_BYTES} visible ASCII characters")]
    NotVisible,
}

/// Whether traffic to that URL is protected, or stays on this machine: https, or http to a host in 127.0.0.0/8,
/// `[::1]`, `localhost` or `*.localhost`.
#[must_use]
pub fn is_protected(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    }
}

/// Whether the host is in 127.0.0.0/8, `[::1]`, `localhost` or `*.localhost`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Reads an absolute URI whose text leaves nothing to repair: the parser for URLs would drop white space and turn
/// backslashes, and two texts would become one.
pub(crate) fn parse_absolute(text: &str) -> Result<Url, IdentifierError> {
    if !is_written_out(text) {
        return Err(IdentifierError::NotAbsolute);
    }
    let url = Url::parse(text).map_err(|_| IdentifierError::NotAbsolute)?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let after_scheme = text.get(url.scheme().len()..).unwrap_or_default();
    if is_web && !after_scheme.starts_with("://") {
        return Err(IdentifierError::NotAbsolute);
    }
    if url.fragment().is_some() {
        return Err(IdentifierError::Forbidden("fragment"));
    }
    if !url.username().is_empty() || url.password().is_some() || (is_web && authority(text).contains('@')) {
        return Err(IdentifierError::Forbidden("user name or password"));
    }
    Ok(url)
}

fn is_written_out(text: &str) -> bool {
    let is_fit = |byte: u8| {
        byte.is_ascii_graphic()
            && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}')
    };
    text.len() <= MAX_IDENTIFIER_BYTES && text.bytes().all(is_fit)
}

/// Whether nothing but `Ok` can come of [`parse_absolute`], at less cost: https to a host of small letters, with no port
/// and no fragment. Another text may be as good.
fn is_plainly_absolute(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").filter(|_| is_written_out(text)) else { return false };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let mut labels = host.split('.');
    labels.all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase()))
        && !rest.contains('#')
}

fn authority(text: &str) -> &str {
    let after = text.split_once("://").map_or("", |(_, after)| after);
    after.split(['/', '?']).next().unwrap_or_default()
}

/// An issuer identifier (RFC 8414 §2): an https URL without query and fragment.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Issuer {
    text: String,
    url: Url,
}

impl Issuer {
    /// Reads an issuer identifier.
    ///
    /// # Errors
    /// [`IdentifierError`]
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let url = parse_absolute(text)?;
        if url.query().is_some() {
            return Err(IdentifierError::Forbidden("query"));
        }
        if !is_protected(&url) {
            return Err(IdentifierError::Insecure);
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

    /// Where RFC 8414 §3 has the metadata: the well-known part before the path.
    #[must_use]
    pub fn oauth_metadata_url(&self) -> Url {
        self.with_path(&format!("/.well-known/oauth-authorization-server{}", self.path()))
    }

    /// Where OpenID Connect Discovery §4 has the metadata: the well-known part after the path.
    #[must_use]
    pub fn openid_metadata_url(&self) -> Url {
        self.endpoint("/.well-known/openid-configuration")
    }

    /// The URL of an endpoint: `path`, which begins with a slash, after the issuer's own path.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> Url {
        self.with_path(&format!("{}{path}", self.path()))
    }

    /// The path without a slash at its end; empty for an issuer at the root.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    fn with_path(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url
    }
}

/// A resource indicator (RFC 8707 §2): an absolute URI without fragment.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceId(String);

impl ResourceId {
    /// Reads a resource indicator.
    ///
    /// # Errors
    /// [`IdentifierError`]
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        if !is_plainly_absolute(text) {
            parse_absolute(text)?;
        }
        Ok(Self(text.to_owned()))
    }

    /// The text, byte for byte.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where RFC 9728 §3.1 has the metadata of the resource: the well-known part between the host and the path. `None`
    /// for a resource that is no https URL, nor http on a loopback host.
    #[must_use]
    pub fn metadata_url(&self) -> Option<Url> {
        let mut url = Url::parse(&self.0).ok().filter(is_protected)?;
        let path = url.path().to_owned();
        let path = if path == "/" { "" } else { &path };
        url.set_path(&format!("/.well-known/oauth-protected-resource{path}"));
        Some(url)
    }
}

/// A client identifier (RFC 6749 §2.2, appendix A.1): 1 to 2048 characters %x20-7E.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

impl ClientId {
    /// Reads a client identifier.
    ///
    /// # Errors
    /// [`IdentifierError::NotVisible`]
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let is_visible = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        if text.is_empty() || text.len() > MAX_IDENTIFIER_BYTES || !is_visible {
            return Err(IdentifierError::NotVisible);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The URL of an endpoint (RFC 6749 §3): https, or http on a loopback host; no fragment.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    text: String,
    url: Url,
}

impl Endpoint {
    /// Reads the URL of an endpoint.
    ///
    /// # Errors
    /// [`IdentifierError`]
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let url = parse_absolute(text)?;
        if !is_protected(&url) {
            return Err(IdentifierError::Insecure);
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
}

macro_rules! text_form {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdentifierError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(identifier: $name) -> Self {
                identifier.as_str().to_owned()
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdentifierError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }
    )*};
}

text_form!(Issuer, ResourceId, ClientId, Endpoint);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plainly_absolute_is_what_the_parser_takes() {
        for plain in ["https://api.example", "https://api.example/", "https://a/b?c=[@:]%", "https://a.b?x"] {
            assert!(is_plainly_absolute(plain) && parse_absolute(plain).is_ok(), "{plain}");
        }
        for other in [
            "http://api.example/",
            "https://api.example/#",
            "https://api.example:8443/",
            "https://ada@api.example/",
            "https://api.example/ ",
            "https://api.example\\",
            "https://xn--a.example/",
            "https://API.example/",
            "https://1.2.3.4/",
            "https://a..b/",
            "https:///a",
            "https://",
            "urn:a:b",
        ] {
            assert!(!is_plainly_absolute(other), "{other}");
        }
    }

    #[test]
    fn as_md_02_well_known_urls() {
        let rows = [
            (
                "https://id.example",
                "https://id.example/.well-known/oauth-authorization-server",
                "https://id.example/.well-known/openid-configuration",
            ),
            (
                "https://id.example/",
                "https://id.example/.well-known/oauth-authorization-server",
                "https://id.example/.well-known/openid-configuration",
            ),
            (
                "https://id.example/t/a",
                "https://id.example/.well-known/oauth-authorization-server/t/a",
                "https://id.example/t/a/.well-known/openid-configuration",
            ),
            (
                "http://localhost:8080/t/",
                "http://localhost:8080/.well-known/oauth-authorization-server/t",
                "http://localhost:8080/t/.well-known/openid-configuration",
            ),
        ];
        for (text, oauth, openid) in rows {
            let issuer = Issuer::parse(text).expect("an issuer");
            assert_eq!(issuer.as_str(), text);
            assert_eq!(issuer.oauth_metadata_url().as_str(), oauth);
            assert_eq!(issuer.openid_metadata_url().as_str(), openid);
        }
    }

    #[test]
    fn rs_prm_01_the_well_known_part_stands_between_host_and_path() {
        let rows = [
            ("https://api.example", "https://api.example/.well-known/oauth-protected-resource"),
            ("https://api.example/", "https://api.example/.well-known/oauth-protected-resource"),
            ("https://api.example/v1", "https://api.example/.well-known/oauth-protected-resource/v1"),
            ("https://api.example/v1/", "https://api.example/.well-known/oauth-protected-resource/v1/"),
            ("http://[::1]:8080/a?t=b", "http://[::1]:8080/.well-known/oauth-protected-resource/a?t=b"),
            ("https://api.example/?t=b", "https://api.example/.well-known/oauth-protected-resource?t=b"),
        ];
        for (text, url) in rows {
            let resource = ResourceId::parse(text).expect("a resource");
            assert_eq!(resource.metadata_url().expect("a URL").as_str(), url);
        }
        for bad in ["urn:example:api", "http://api.example/"] {
            assert_eq!(ResourceId::parse(bad).expect("a resource").metadata_url(), None, "{bad}");
        }
    }

    #[test]
    fn as_md_03_what_is_no_issuer() {
        for bad in [
            "",
            "id.example",
            "/a",
            "https:id.example",
            "http://id.example",
            "ftp://id.example",
            "https://",
            "https://id.example?",
            "https://id.example#",
            "https://a@id.example",
            "https://@id.example",
            "https://id.example/ ",
            " https://id.example",
            "https://id.example\\a",
            "https://id.example/\n",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "https://id.example/ü",
        ] {
            assert!(Issuer::parse(bad).is_err(), "{bad}");
        }
        for good in ["http://127.8.9.1", "http://[::1]:1", "http://a.localhost", "https://[2001:db8::1]/x"] {
            assert!(Issuer::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn resources_and_clients() {
        assert!(ResourceId::parse("urn:example:api").is_ok());
        assert!(ResourceId::parse("https://api.example/v1?tenant=a").is_ok());
        for bad in ["api", "https://api.example#a", "https://api.example/#", "//api.example"] {
            assert!(ResourceId::parse(bad).is_err(), "{bad}");
        }
        assert!(ClientId::parse("my client/7~").is_ok());
        for bad in ["", "ü", "a\n", &"x".repeat(MAX_IDENTIFIER_BYTES + 1)] {
            assert!(ClientId::parse(bad).is_err(), "{bad}");
        }
        assert!(Endpoint::parse("https://id.example/token?a=b").is_ok());
        assert_eq!(Endpoint::parse("http://id.example/token"), Err(IdentifierError::Insecure));
    }

    #[test]
    fn identifiers_survive_json() {
        let issuer = Issuer::parse("https://id.example/t").expect("an issuer");
        let json = serde_json::to_string(&issuer).expect("JSON");
        assert_eq!(serde_json::from_str::<Issuer>(&json).expect("an issuer"), issuer);
        assert!(serde_json::from_str::<Issuer>("\"http://id.example\"").is_err());
    }
}
