//! What a request must be before any service sees it: one host, one reading.
//!
//! A request that two readers understand differently is how requests are smuggled past a guard, and how a proof made
//! for one URL is spent at another. Nothing is repaired here; what is not plain is refused with 400.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Version};

/// Refuses a request head that is ambiguous; the error is the reason, safe to send.
pub fn check(parts: &Parts) -> Result<(), &'static str> {
    check_hop_by_hop(&parts.headers)?;
    check_lengths(&parts.headers)?;
    check_host(parts)
}

/// RFC 9110 §7.6.1: fields that `Connection` names end at this hop. The fields that say where a request goes and
/// where it ends must not.
fn check_hop_by_hop(headers: &HeaderMap) -> Result<(), &'static str> {
    for line in headers.get_all(CONNECTION) {
        for option in line.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            if [HOST, CONTENT_LENGTH, TRANSFER_ENCODING]
                .iter()
                .any(|name| option.eq_ignore_ascii_case(name.as_str().as_bytes()))
            {
                return Err("Connection names a field that every hop needs");
            }
        }
    }
    Ok(())
}

/// RFC 9112 §6.1 and §6.3: one way to tell where the body ends.
fn check_lengths(headers: &HeaderMap) -> Result<(), &'static str> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next();
    if codings.next().is_some() {
        return Err("more than one Transfer-Encoding");
    }
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err("the only transfer coding known here is chunked");
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), coding) {
        (Some(_), Some(_)) => Err("both Content-Length and Transfer-Encoding"),
        (Some(first), None) if lengths.any(|other| other != first) => Err("Content-Length values differ"),
        _ => Ok(()),
    }
}

/// RFC 9112 §3.2 and RFC 9113 §8.3.1: one Host, and it agrees with the authority of the target.
fn check_host(parts: &Parts) -> Result<(), &'static str> {
    let mut lines = parts.headers.get_all(HOST).iter();
    let host = lines.next();
    if lines.next().is_some() {
        return Err("more than one Host");
    }
    if host.is_some_and(|host| !is_plain_host(host.as_bytes())) {
        return Err("Host is not a host");
    }
    match (host, parts.uri.authority()) {
        (Some(host), Some(authority)) if agree(host.as_bytes(), authority, parts) => Ok(()),
        (Some(_), Some(_)) => Err("Host and the target's authority disagree"),
        (Some(_), None) => Ok(()),
        (None, _) if parts.version == Version::HTTP_11 => Err("no Host"),
        (None, Some(authority)) if is_plain_host(authority.as_str().as_bytes()) => Ok(()),
        (None, Some(_)) => Err(":authority is not a host"),
        (None, None) if parts.version == Version::HTTP_2 => Err("neither :authority nor Host"),
        (None, None) => Ok(()),
    }
}

/// A registered name, an IPv4 address or a bracketed IPv6 address, perhaps with a port: no user information, no list.
fn is_plain_host(host: &[u8]) -> bool {
    !host.is_empty()
        && host.iter().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'[' | b']')
        })
}

/// Equal but for case (RFC 3986 §6.2.2.1) and the scheme's default port (§6.2.3).
fn agree(host: &[u8], authority: &Authority, parts: &Parts) -> bool {
    let default_port: &[u8] = match parts.uri.scheme_str() {
        Some("http") => b":80",
        Some("https") => b":443",
        // RFC 9110 §9.3.6: a target of CONNECT always has its port, and Host may leave that of https out.
        _ if parts.method == Method::CONNECT => b":443",
        _ => return false,
    };
    let bare = |text: &[u8]| text.len() - if text.ends_with(default_port) { default_port.len() } else { 0 };
    let authority = authority.as_str().as_bytes();
    match (host.get(..bare(host)), authority.get(..bare(authority))) {
        (Some(host), Some(authority)) => host.eq_ignore_ascii_case(authority),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn verdict(version: Version, target: &str, fields: &[(&str, &str)]) -> Result<(), &'static str> {
        let mut builder = Request::builder().version(version).uri(target);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        check(&builder.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn one_host_is_what_http_1_1_wants() {
        assert_eq!(verdict(Version::HTTP_11, "/", &[("host", "api.example:8443")]), Ok(()));
        assert_eq!(verdict(Version::HTTP_11, "/", &[("host", "[::1]:8443")]), Ok(()));
        assert_eq!(verdict(Version::HTTP_10, "/", &[]), Ok(()));
        assert_eq!(verdict(Version::HTTP_11, "*", &[("host", "a")]), Ok(()));
    }

    #[test]
    fn rs_gw_05_two_hosts_or_none_are_refused() {
        assert!(verdict(Version::HTTP_11, "/", &[]).is_err());
        assert!(verdict(Version::HTTP_11, "/", &[("host", "a"), ("host", "b")]).is_err());
        assert!(verdict(Version::HTTP_11, "/", &[("host", "a"), ("host", "a")]).is_err());
        assert!(verdict(Version::HTTP_10, "/", &[("host", "a"), ("host", "b")]).is_err());
    }

    #[test]
    fn rs_gw_05_a_host_that_is_no_host_is_refused() {
        for host in ["", "a, b", "a@b", "a/b", "a b", "a#b", "a?b", "http://a", "a\u{e9}"] {
            assert!(verdict(Version::HTTP_11, "/", &[("host", host)]).is_err(), "{host:?}");
        }
    }

    #[test]
    fn rs_gw_05_an_absolute_target_agrees_with_host() {
        let ask = |target, host| verdict(Version::HTTP_11, target, &[("host", host)]);
        assert_eq!(ask("http://a.example/x", "A.example"), Ok(()));
        assert_eq!(ask("http://a.example:80/x", "a.example"), Ok(()));
        assert_eq!(ask("https://a.example/x", "a.example:443"), Ok(()));
        assert!(ask("https://a.example/x", "a.example:80").is_err());
        assert!(ask("http://a.example/x", "b.example").is_err());
        assert!(ask("http://user@a.example/x", "a.example").is_err());
        assert!(ask("ftp://a.example/x", "a.example").is_err());
    }

    #[test]
    fn rs_gw_06_authority_and_host_agree_on_http_2() {
        let ask = |fields: &[(&str, &str)]| verdict(Version::HTTP_2, "https://a.example/x", fields);
        assert_eq!(ask(&[]), Ok(()));
        assert_eq!(ask(&[("host", "a.example")]), Ok(()));
        assert!(ask(&[("host", "b.example")]).is_err());
        assert!(verdict(Version::HTTP_2, "https://user@a.example/x", &[]).is_err());
        assert!(verdict(Version::HTTP_2, "/x", &[]).is_err());
    }

    #[test]
    fn rs_gw_05_one_way_to_tell_the_length() {
        let ask = |fields: &[(&str, &str)]| {
            let mut all = vec![("host", "a")];
            all.extend_from_slice(fields);
            verdict(Version::HTTP_11, "/", &all)
        };
        assert_eq!(ask(&[("transfer-encoding", "Chunked")]), Ok(()));
        assert_eq!(ask(&[("content-length", "3")]), Ok(()));
        assert!(ask(&[("content-length", "3"), ("transfer-encoding", "chunked")]).is_err());
        assert!(ask(&[("content-length", "3"), ("content-length", "4")]).is_err());
        assert!(ask(&[("transfer-encoding", "gzip, chunked")]).is_err());
        assert!(ask(&[("transfer-encoding", "identity"), ("transfer-encoding", "chunked")]).is_err());
    }

    #[test]
    fn rs_gw_05_connection_names_no_field_of_the_route() {
        for value in ["host", "keep-alive, Host", "close,content-length", "Transfer-Encoding"] {
            let fields = [("host", "a"), ("connection", value)];
            assert!(verdict(Version::HTTP_11, "/", &fields).is_err(), "{value:?}");
        }
        assert_eq!(verdict(Version::HTTP_11, "/", &[("host", "a"), ("connection", "upgrade")]), Ok(()));
    }
}
