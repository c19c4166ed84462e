//! The target URI of a request, in the form in which `htu` is compared (RFC 9449 §4.3 item 9, RFC 3986 §6.2.2–3).
//!
//! Scheme and host have no case, the default port is no port, percent-encoding and dot segments are normalised, query
//! and fragment do not count. The path keeps its case, its trailing slash and its empty segments.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

/// Octets of an `htu`, at the most (DPOP-HTU-16).
pub const MAX_HTU_LEN: usize = 2048;

/// An absolute http or https URI without query and fragment, normalised. Two of them are equal where RFC 9449 wants
/// `htu` and the request's target to match.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    text: String,
    origin_len: usize,
}

/// Why a text is not a target URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Longer than [`MAX_HTU_LEN`], as it came or in its normal form.
    #[error("longer than {MAX_HTU_LEN} octets")]
    TooLong,
    /// Control characters, spaces, or anything outside ASCII.
    #[error("holds a character that no URI has")]
    Character,
    /// Not `http://` or `https://` with a host and without user information.
    #[error("not an absolute http or https URI with a host and without user information")]
    NotAbsolute,
}

impl Target {
    /// Reads and normalises an absolute URI; what follows `?` or `#` is dropped.
    ///
    /// # Errors
    /// [`TargetError`] says why it is none.
    pub fn parse(uri: &str) -> Result<Self, TargetError> {
        check_characters(uri.len(), uri)?;
        let (scheme, rest) = uri.split_once("://").ok_or(TargetError::NotAbsolute)?;
        let default_port = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => "443",
            _ if scheme.eq_ignore_ascii_case("http") => "80",
            _ => return Err(TargetError::NotAbsolute),
        };
        let rest = without_query(rest);
        let (authority, path) = match rest.find('/').and_then(|start| rest.split_at_checked(start)) {
            Some((authority, path)) => (authority, path),
            None => (rest, ""),
        };
        let mut text = String::with_capacity(uri.len() + 1);
        text.push_str(if default_port == "443" { "https://" } else { "http://" });
        push_authority(&mut text, authority, default_port)?;
        Self::with_path(text, path)
    }

    /// This origin with another path, which may carry a query: the URI at which a request arrived.
    ///
    /// # Errors
    /// [`TargetError`] where the two make no URI.
    pub fn at(&self, path: &str) -> Result<Self, TargetError> {
        if !path.starts_with('/') {
            return Err(TargetError::NotAbsolute);
        }
        check_characters(self.origin_len + path.len(), path)?;
        let mut text = String::with_capacity(self.origin_len + path.len());
        text.push_str(self.origin());
        Self::with_path(text, without_query(path))
    }

    fn with_path(origin: String, path: &str) -> Result<Self, TargetError> {
        let (origin_len, mut text) = (origin.len(), origin);
        push_path(&mut text, path);
        if text.len() > MAX_HTU_LEN {
            return Err(TargetError::TooLong);
        }
        Ok(Self { text, origin_len })
    }

    /// The normalised URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port where it is not the default: `https://api.example:8443`.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.text.get(..self.origin_len).unwrap_or_default()
    }

    /// The normalised path, at least `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(self.origin_len..).unwrap_or_default()
    }

    /// Whether the scheme is https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

fn check_characters(len: usize, part: &str) -> Result<(), TargetError> {
    if len > MAX_HTU_LEN {
        return Err(TargetError::TooLong);
    }
    if !part.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TargetError::Character);
    }
    Ok(())
}

fn without_query(rest: &str) -> &str {
    rest.find(['?', '#']).and_then(|end| rest.get(..end)).unwrap_or(rest)
}

fn push_authority(text: &mut String, authority: &str, default_port: &str) -> Result<(), TargetError> {
    if authority.contains('@') {
        return Err(TargetError::NotAbsolute);
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    if let Some(literal) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: Ipv6Addr = literal.parse().map_err(|_| TargetError::NotAbsolute)?;
        text.push_str(&format!("[{address}]"));
    } else if host.is_empty() || !host.bytes().all(is_host_byte) {
        return Err(TargetError::NotAbsolute);
    } else {
        let start = text.len();
        text.push_str(host);
        if let Some(host) = text.get_mut(start..) {
            host.make_ascii_lowercase();
        }
    }
    if !port.is_empty() {
        let number: u16 = port.parse().map_err(|_| TargetError::NotAbsolute)?;
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TargetError::NotAbsolute);
        }
        let number = number.to_string();
        if number != default_port {
            text.push(':');
            text.push_str(&number);
        }
    }
    Ok(())
}

fn is_host_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=".contains(&byte)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Normalised percent-encoding first, dot segments after: `%2e%2e` is `..` (RFC 3986 §6.2.2.2–3).
fn push_path(text: &mut String, path: &str) {
    let decoded = normal_percent_encoding(path);
    if decoded.starts_with('/') && !decoded.contains("/.") {
        text.push_str(&decoded);
        return;
    }
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = decoded.strip_prefix('/').unwrap_or(&decoded).split('/').peekable();
    while let Some(segment) = parts.next() {
        let last = parts.peek().is_none();
        match segment {
            "." if last => segments.push(""),
            "." => {}
            ".." => {
                segments.pop();
                if last {
                    segments.push("");
                }
            }
            _ => segments.push(segment),
        }
    }
    text.push('/');
    text.push_str(&segments.join("/"));
}

fn normal_percent_encoding(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(char::from(byte));
            continue;
        }
        let mut ahead = rest.clone();
        match (ahead.next().and_then(hex_digit), ahead.next().and_then(hex_digit)) {
            (Some(high), Some(low)) => {
                rest = ahead;
                let decoded = high << 4 | low;
                if is_unreserved(decoded) {
                    out.push(char::from(decoded));
                } else {
                    out.push_str(&format!("%{decoded:02X}"));
                }
            }
            // It encodes nothing, so it stands for itself: a second look must not find it before two digits.
            _ => out.push_str("%25"),
        }
    }
    Cow::Owned(out)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(a: &str, b: &str) {
        assert_eq!(Target::parse(a).expect(a), Target::parse(b).expect(b));
    }

    #[track_caller]
    fn differ(a: &str, b: &str) {
        assert_ne!(Target::parse(a).expect(a), Target::parse(b).expect(b));
    }

    #[test]
    fn dpop_htu_02_query_and_fragment_do_not_count() {
        for other in ["https://h/r?a=1", "https://h/r#f", "https://h/r?a=1#f?g"] {
            same("https://h/r", other);
        }
        same("https://h?a", "https://h/");
    }

    #[test]
    fn dpop_htu_03_the_scheme_counts() {
        differ("http://h/r", "https://h/r");
    }

    #[test]
    fn dpop_htu_04_scheme_and_host_have_no_case() {
        same("HTTPS://API.EXAMPLE.COM/r", "https://api.example.com/r");
    }

    #[test]
    fn dpop_htu_05_the_default_port_is_no_port() {
        same("https://h:443/r", "https://h/r");
        same("https://h:/r", "https://h/r");
        same("http://h:80/r", "http://h/r");
        differ("https://h:8443/r", "https://h/r");
        differ("https://h:80/r", "https://h/r");
    }

    #[test]
    fn dpop_htu_06_percent_encoding_is_normalised() {
        same("https://h/%7euser", "https://h/~user");
        same("https://h/%c3%a9", "https://h/%C3%A9");
        differ("https://h/a%2Fb", "https://h/a/b");
        differ("https://h/a%3Fb", "https://h/a?b");
    }

    #[test]
    fn dpop_htu_06_a_percent_sign_that_encodes_nothing_never_comes_to_encode_something() {
        same("https://h/100%", "https://h/100%25");
        for text in ["https://h/%%34%31", "https://h/%4%31", "https://h/%%%", "https://h/%2%35"] {
            let once = Target::parse(text).expect(text);
            same(text, once.as_str());
            assert_ne!(once.path(), "/A", "{text}");
        }
    }

    #[test]
    fn dpop_htu_07_dot_segments_are_removed() {
        same("https://h/a/./b/../c", "https://h/a/c");
        same("https://h/a/%2e%2e/c", "https://h/c");
        same("https://h/../a", "https://h/a");
        same("https://h/a/b/..", "https://h/a/");
        same("https://h/a/.", "https://h/a/");
        differ("https://h/a/...", "https://h/a/");
    }

    #[test]
    fn dpop_htu_08_an_empty_path_is_a_slash() {
        same("https://h", "https://h/");
    }

    #[test]
    fn dpop_htu_09_trailing_slashes_count() {
        differ("https://h/token", "https://h/token/");
    }

    #[test]
    fn dpop_htu_10_the_path_keeps_its_case_and_its_empty_segments() {
        differ("https://h/Token", "https://h/token");
        differ("https://h//token", "https://h/token");
    }

    #[test]
    fn dpop_htu_11_only_absolute_http_uris() {
        for bad in
            ["/token", "token", "//h/t", "https://u:p@h/t", "urn:x", "https:///t", "ftp://h/", "https://h:x/"]
        {
            assert_eq!(Target::parse(bad), Err(TargetError::NotAbsolute), "{bad}");
        }
        for host in
            ["a\\b", "a%41", "a\"b", "[::1", "::1]", "[::1%eth0]", "a:b:1", "h:65536", "h:+80", "h:-1"]
        {
            assert_eq!(Target::parse(&format!("https://{host}/")), Err(TargetError::NotAbsolute), "{host}");
        }
    }

    #[test]
    fn dpop_htu_15_ip_literals_are_canonical() {
        same("https://[::1]/", "https://[0:0::1]/");
        differ("https://h./", "https://h/");
    }

    #[test]
    fn dpop_htu_16_length_and_characters() {
        let long = format!("https://h/{}", "a".repeat(MAX_HTU_LEN));
        assert_eq!(Target::parse(&long), Err(TargetError::TooLong));
        let longest = format!("https://h/{}", "a".repeat(MAX_HTU_LEN - "https://h/".len()));
        assert_eq!(Target::parse(&longest).map(|target| target.as_str().len()), Ok(MAX_HTU_LEN));
        let longer_when_normal = format!("https://{}", "h".repeat(MAX_HTU_LEN - "https://".len()));
        assert_eq!(Target::parse(&longer_when_normal), Err(TargetError::TooLong));
        for bad in ["https://h/a b", "https://h/\r\n", "https://h/é", "https://h/\u{1b}"] {
            assert_eq!(Target::parse(bad), Err(TargetError::Character));
        }
    }

    #[test]
    fn another_path_on_the_same_origin() {
        let base = Target::parse("https://h:8443/issuer").expect("a target");
        assert_eq!(base.at("/x/y?z=1").map(|t| t.to_string()).as_deref(), Ok("https://h:8443/x/y"));
        assert!(base.at("x").is_err());
    }

    #[test]
    fn a_target_has_parts() {
        let target = Target::parse("HTTPS://H:8443/a/%7e?q").expect("a target");
        assert_eq!((target.origin(), target.path(), target.is_https()), ("https://h:8443", "/a/~", true));
        assert_eq!(format!("{target} {target:?}"), r#"https://h:8443/a/~ "https://h:8443/a/~""#);
        let plain = Target::parse("http://[::1]").expect("a target");
        assert_eq!((plain.origin(), plain.path(), plain.is_https()), ("http://[::1]", "/", false));
    }
}
