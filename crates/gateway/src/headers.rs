//! What crosses the gateway, what does not, and what it says of the caller.

use crate::route::{Identity, Route};
use crate::upstream::MAX_HEAD_BYTES;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap,
    HeaderName, HeaderValue, TE,
};
use keybound_dpop::header::DPOP;
use keybound_resource::{Access, PublicUrl};
use std::fmt::Write as _;
use std::net::SocketAddr;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const ISSUER: HeaderName = HeaderName::from_static("keybound-issuer");
const SUBJECT: HeaderName = HeaderName::from_static("keybound-subject");
const SCOPE: HeaderName = HeaderName::from_static("keybound-scope");
const CLIENT_ID: HeaderName = HeaderName::from_static("keybound-client-id");
const JKT: HeaderName = HeaderName::from_static("keybound-jkt");
/// All that an upstream is told in fields of who calls.
pub(crate) const IDENTITY: [HeaderName; 5] = [ISSUER, SUBJECT, SCOPE, CLIENT_ID, JKT];
const ASSERTION: HeaderName = HeaderName::from_static("keybound-assertion");

/// What begins so, `_` and other signs read as `-`, is said by a gateway or proxy, never by a caller: an upstream that folds
/// names as CGI does would otherwise take the caller's word for ours (RS-GW-01).
const TRUSTED_PREFIXES: [&str; 6] =
    ["keybound-", "x-forwarded-", "x-original-", "x-dpop-", "x-ssl-client", "x-client-cert"];
/// And these.
const TRUSTED_NAMES: [&str; 10] = [
    "forwarded",
    "x-forwarded",
    "x-real-ip",
    "x-rewrite-url",
    "x-client-ip",
    "true-client-ip",
    "client-cert",
    "client-cert-chain",
    "ssl-client-cert",
    "proxy",
];

/// What the upstream is told of a request besides what the caller says.
pub(crate) struct Said<'a> {
    pub(crate) who: Who<'a>,
    pub(crate) assertion: Option<HeaderValue>,
    pub(crate) public: &'a Entrance,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) route: &'a Route,
}

/// Who calls, as far as the gateway knows.
#[derive(Clone, Copy)]
pub(crate) enum Who<'a> {
    /// Whom the guard let through.
    Caller(&'a Access),
    /// Whom it only looked at: token and proof go on as they came.
    Unjudged,
    /// Anybody.
    Anybody,
}

/// Where all requests come in, in the words of the fields for the upstream.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    scheme: HeaderValue,
    host: HeaderValue,
    prefix: String,
    forwarded: String,
}

impl Entrance {
    pub(crate) fn new(public: &PublicUrl) -> Option<Self> {
        let scheme = if public.is_https() { "https" } else { "http" };
        let host = public.origin().split_once("://").map_or("", |(_, host)| host);
        Some(Self {
            scheme: HeaderValue::from_static(scheme),
            host: HeaderValue::from_str(host).ok()?,
            prefix: public.prefix().to_owned(),
            forwarded: format!("host=\"{host}\";proto={scheme}"),
        })
    }
}

/// Turns the fields of a request that goes on into those for the upstream. `Host` is that of its address.
pub(crate) fn for_upstream(headers: &mut HeaderMap, said: &Said<'_>) {
    let takes_trailers = headers.get_all(TE).iter().any(names_trailers);
    remove_what_connection_names(headers);
    remove_all(headers, |name| is_for_one_hop(name) || is_trusted(name.as_str()) || *name == EXPECT);
    join_cookies(headers);
    let kept = Kept::of(said.who, said.route);
    if !kept.token {
        headers.remove(AUTHORIZATION);
    }
    if !kept.proof {
        headers.remove(DPOP);
    }
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    say_where_it_came_in(headers, said);
    match (said.who, said.route.identity) {
        (Who::Caller(access), Identity::Headers) => say_who_calls(headers, access),
        (Who::Caller(_), Identity::Assertion) => {
            if let Some(assertion) = &said.assertion {
                headers.insert(ASSERTION, assertion.clone());
            }
        }
        _ => {}
    }
}

/// What of a caller's credentials goes on.
pub(crate) struct Kept {
    pub(crate) token: bool,
    pub(crate) proof: bool,
}

impl Kept {
    pub(crate) fn of(who: Who<'_>, route: &Route) -> Self {
        match who {
            Who::Unjudged => Self { token: true, proof: true },
            // A proof that the guard did not look at is not passed on either.
            Who::Caller(access) => {
                Self { token: route.forward_token, proof: route.forward_token && access.jkt().is_some() }
            }
            Who::Anybody => Self { token: route.forward_token, proof: false },
        }
    }
}

/// Removes from an answer what is for one hop only.
pub(crate) fn for_caller(headers: &mut HeaderMap) {
    remove_what_connection_names(headers);
    remove_all(headers, is_for_one_hop);
}

/// Whether they take more octets than the head of an answer may have. The HTTP library has one bound for a head and for a
/// piece of a body, and pieces are better longer.
pub(crate) fn is_too_long(headers: &HeaderMap) -> bool {
    let octets =
        |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + ": \r\n".len();
    headers.iter().map(octets).sum::<usize>() > MAX_HEAD_BYTES as usize
}

/// Removes from trailers what no trailer may say (RFC 9110 §6.5.1): upstreams may merge them into the fields.
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) {
    const NEVER: [HeaderName; 7] = [AUTHORIZATION, DPOP, HOST, EXPECT, COOKIE, CONTENT_LENGTH, CONTENT_TYPE];
    remove_what_connection_names(trailers);
    remove_all(trailers, |name| is_for_one_hop(name) || is_trusted(name.as_str()) || NEVER.contains(name));
}

fn remove_what_connection_names(headers: &mut HeaderMap) {
    let lines = headers.get_all(CONNECTION).iter();
    let named: Vec<HeaderName> = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// Removes the fields of such names. Most messages have none: to look at each name once is cheaper than to ask the map for
/// each of those that could be there.
fn remove_all(headers: &mut HeaderMap, which: impl Fn(&HeaderName) -> bool) {
    while let Some(name) = headers.keys().find(|name| which(name)).cloned() {
        headers.remove(name);
    }
}

/// RFC 9110 §7.6.1.
fn is_for_one_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Compared without a copy: every field of every request comes by here.
fn is_trusted(name: &str) -> bool {
    TRUSTED_NAMES.iter().any(|trusted| is_folded(name, trusted))
        || TRUSTED_PREFIXES
            .iter()
            .any(|prefix| name.get(..prefix.len()).is_some_and(|start| is_folded(start, prefix)))
}

/// As names are in HTTP; some servers fold every other sign into `_`.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// Whether a name is `known`, which is in lower case, once case and signs are folded.
fn is_folded(name: &str, known: &str) -> bool {
    let fold = |byte: u8| if is_plain(byte) { byte.to_ascii_lowercase() } else { b'-' };
    // Nearly all names differ in their length or in their first sign.
    name.len() == known.len()
        && name.bytes().next().map(fold) == known.bytes().next()
        && name.bytes().zip(known.bytes()).all(|(byte, known)| fold(byte) == known)
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
    let public = said.public;
    let mut forwarded = String::with_capacity(public.forwarded.len() + 48);
    if let Some(peer) = said.peer {
        let address = peer.ip().to_canonical();
        let text = address.to_string();
        let (before, after) = if address.is_ipv6() { ("for=\"[", "]\";") } else { ("for=", ";") };
        forwarded.extend([before, &text, after]);
        put(headers, X_FORWARDED_FOR, text);
    }
    forwarded.push_str(&public.forwarded);
    put(headers, FORWARDED, forwarded);
    headers.insert(X_FORWARDED_PROTO, public.scheme.clone());
    headers.insert(X_FORWARDED_HOST, public.host.clone());
    let stripped = said.route.stripped();
    if !public.prefix.is_empty() || !stripped.is_empty() {
        put(headers, X_FORWARDED_PREFIX, format!("{}{stripped}", public.prefix));
    }
}

/// Who calls, with which key: what a token says, and nothing of what the caller says. It is written once for each token.
pub(crate) fn say_who_calls(headers: &mut HeaderMap, access: &Access) {
    let written;
    let fields = match access.derived(Caller::of) {
        Some(kept) => kept,
        None => {
            written = Caller::of(access);
            &written
        }
    };
    for (name, value) in fields.0.iter().flatten() {
        headers.insert(name, value.clone());
    }
}

/// The fields that say who calls.
struct Caller([Option<(HeaderName, HeaderValue)>; 5]);

impl Caller {
    fn of(access: &Access) -> Self {
        let field = |name: &HeaderName, text: String| Some((name.clone(), value(text)?));
        Self([
            field(&ISSUER, escaped(access.issuer())),
            field(&SUBJECT, escaped(access.subject())),
            field(&SCOPE, access.scope().to_string()),
            access.client_id().and_then(|client_id| field(&CLIENT_ID, escaped(client_id))),
            access.jkt().and_then(|jkt| field(&JKT, jkt.to_string())),
        ])
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Some(value) = value(text) {
        headers.insert(name, value);
    }
}

/// The text becomes the value without a copy.
fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}

/// Visible ASCII as it is; `%` and all else percent-encoded, so that two texts never look alike.
fn escaped(text: &str) -> String {
    // Nearly always.
    if text.bytes().fold(true, |plain, byte| plain & byte.is_ascii_graphic() & (byte != b'%')) {
        return text.to_owned();
    }
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
