//! What crosses the gateway, what does not, and what it says of the caller.

use crate::route::{Route, Upstream};
use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use keybound_dpop::header::DPOP;
use keybound_resource::{Access, PublicUrl};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Fields for one hop only (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What begins so, `_` read as `-`, is said by a gateway or proxy, never by a caller: an upstream that folds names as
/// CGI does would otherwise take the caller's word for ours (RS-GW-01).
const TRUSTED_PREFIXES: [&str; 6] =
    ["keybound-", "x-forwarded-", "x-original-", "x-dpop-", "x-ssl-client", "x-client-cert"];
/// And these.
const TRUSTED_NAMES: [&str; 9] = [
    "forwarded",
    "x-forwarded",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "client-cert",
    "client-cert-chain",
    "ssl-client-cert",
    "proxy",
];

/// What the upstream is told of a request besides what the caller says.
pub(crate) struct Said<'a> {
    pub(crate) access: &'a Access,
    pub(crate) public: &'a PublicUrl,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) route: &'a Route,
    pub(crate) upstream: &'a Upstream,
}

/// Turns the fields of a request that was let through into those for the upstream.
pub(crate) fn for_upstream(headers: &mut HeaderMap, said: &Said<'_>) {
    let takes_trailers = headers.get_all(TE).iter().any(names_trailers);
    remove_hop_by_hop(headers);
    remove_trusted(headers);
    headers.remove(EXPECT);
    join_cookies(headers);
    if !said.route.forward_token {
        headers.remove(AUTHORIZATION);
    }
    // A proof that the guard did not look at is not passed on either.
    if !said.route.forward_token || said.access.jkt().is_none() {
        headers.remove(DPOP);
    }
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    headers.insert(HOST, said.upstream.host.clone());
    say_where_it_came_in(headers, said);
    say_who_calls(headers, said.access);
}

/// Removes from an answer what is for one hop only.
pub(crate) fn for_caller(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
}

/// Removes from trailers what no trailer may say (RFC 9110 §6.5.1): upstreams may merge them into the fields.
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    remove_trusted(trailers);
    for name in [AUTHORIZATION, DPOP, HOST, EXPECT] {
        trailers.remove(name);
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let lines = headers.get_all(CONNECTION).iter();
    let named: Vec<HeaderName> = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn remove_trusted(headers: &mut HeaderMap) {
    let trusted: Vec<HeaderName> = headers.keys().filter(|name| is_trusted(name.as_str())).cloned().collect();
    for name in trusted {
        headers.remove(name);
    }
}

fn is_trusted(name: &str) -> bool {
    let folded = name.to_ascii_lowercase().replace('_', "-");
    let is_ours_in_disguise =
        name.contains('_') && ["authorization", "dpop", "host"].contains(&folded.as_str());
    is_ours_in_disguise
        || TRUSTED_NAMES.contains(&folded.as_str())
        || TRUSTED_PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
}

/// HTTP/2 may bring cookies in several fields, HTTP/1.1 has them in one (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(b"; ".as_slice()))
    {
        headers.insert(COOKIE, joined);
    }
}

fn names_trailers(line: &HeaderValue) -> bool {
    line.as_bytes()
        .split(|byte| *byte == b',')
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// The peer is the only one whose address we know; what others said of earlier hops is gone (BCP-PRX-01).
fn say_where_it_came_in(headers: &mut HeaderMap, said: &Said<'_>) {
    let scheme = if said.public.is_https() { "https" } else { "http" };
    let host = said.public.origin().split_once("://").map_or("", |(_, host)| host);
    let mut forwarded = String::new();
    if let Some(peer) = said.peer {
        let address = peer.ip().to_canonical();
        put(headers, "x-forwarded-for", &address.to_string());
        let node = if address.is_ipv6() { format!("\"[{address}]\"") } else { address.to_string() };
        let _ = write!(forwarded, "for={node};");
    }
    let _ = write!(forwarded, "host=\"{host}\";proto={scheme}");
    put(headers, FORWARDED.as_str(), &forwarded);
    put(headers, "x-forwarded-proto", scheme);
    put(headers, "x-forwarded-host", host);
    if !said.public.prefix().is_empty() {
        put(headers, "x-forwarded-prefix", said.public.prefix());
    }
}

/// Who calls, with which key: what a token says, and nothing of what the caller says.
pub(crate) fn say_who_calls(headers: &mut HeaderMap, access: &Access) {
    put(headers, "keybound-issuer", &escaped(access.issuer()));
    put(headers, "keybound-subject", &escaped(access.subject()));
    put(headers, "keybound-scope", &access.scope().to_string());
    if let Some(client_id) = access.client_id() {
        put(headers, "keybound-client-id", &escaped(client_id));
    }
    if let Some(jkt) = access.jkt() {
        put(headers, "keybound-jkt", &jkt.to_string());
    }
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}

/// Visible ASCII as it is; `%` and all else percent-encoded, so that two texts never look alike.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' => out.push_str("%25"),
            0x21..=0x7e => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rs_gw_01_names_are_folded_before_they_are_trusted() {
        for name in [
            "keybound-subject",
            "keybound_subject",
            "Keybound_Client-Id",
            "x_forwarded_for",
            "X-Forwarded-Port",
            "x_dpop-jkt",
            "client_cert",
            "forwarded",
            "_authorization",
        ] {
            let expected = name != "_authorization";
            assert_eq!(is_trusted(name), expected, "{name}");
        }
        for name in ["authorization", "dpop", "x-request-id", "x-keybound", "accept"] {
            assert!(!is_trusted(name), "{name}");
        }
    }

    #[test]
    fn cookies_become_one_field() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1"));
        headers.append(COOKIE, HeaderValue::from_static("b=2"));
        join_cookies(&mut headers);
        assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2"]);
    }

    #[test]
    fn texts_in_fields_stay_apart() {
        assert_eq!(escaped("auth0|12 é%"), "auth0|12%20%C3%A9%25");
        assert_ne!(escaped("a b"), escaped("a%20b"));
        assert_eq!(escaped("a\r\nb"), "a%0D%0Ab");
    }

    #[test]
    fn what_connection_names_ends_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "x-mine, close"), ("x-mine", "1"), ("keep-alive", "5"), ("etag", "1")]
        {
            headers.append(name, HeaderValue::from_static(value));
        }
        for_caller(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["etag"]);
    }
}
