//! What crosses the agent, and what does not: its own token and what is for one hop stay here, and so do the proofs and
//! nonces, of which its callers know nothing.

use super::gate::TOKEN;
use http::header::{
    ALT_SVC, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use keybound_dpop::header::{DPOP, DPOP_NONCE};

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

/// Turns the fields that a caller sends into those for the server; token and proof are put in later.
pub(super) fn for_server(headers: &mut HeaderMap) {
    let takes_trailers = headers.get_all(TE).iter().any(names_trailers);
    remove_hop_by_hop(headers);
    for name in [&TOKEN, &AUTHORIZATION, &DPOP, &EXPECT, &HOST] {
        headers.remove(name);
    }
    join_cookies(headers);
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Turns the fields of an answer into those for the caller. A nonce is the agent's business, credentials are nobody's,
/// and another address of the server (RFC 7838) would lead around the agent.
pub(super) fn for_caller(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    for name in [&DPOP_NONCE, &AUTHORIZATION, &DPOP, &ALT_SVC] {
        headers.remove(name);
    }
}

/// Removes from trailers what no trailer may say (RFC 9110 §6.5.1).
pub(super) fn clean_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    for name in
        [&TOKEN, &AUTHORIZATION, &DPOP, &DPOP_NONCE, &HOST, &EXPECT, &COOKIE, &CONTENT_LENGTH, &CONTENT_TYPE]
    {
        trailers.remove(name);
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let lines = headers.get_all(CONNECTION).iter();
        let named: Vec<HeaderName> = lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    // RFC 9112 §6.3: where both say how long a message is, the coding does.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn atk_110_atk_126_neither_the_agents_token_nor_a_proxys_fields_go_on() {
        let mut headers = fields(&[
            ("accept", "*/*"),
            ("authorization", "Bearer theirs"),
            ("dpop", "theirs"),
            ("dpop", "theirs too"),
            ("keybound-agent-token", "t"),
            ("proxy-authorization", "Basic t"),
            ("proxy-connection", "keep-alive"),
            ("connection", "x-mine, close"),
            ("x-mine", "1"),
            ("host", "localhost"),
            ("te", "trailers, gzip"),
        ]);
        for_server(&mut headers);
        assert_eq!(names(&headers), ["accept", "te"]);
        assert_eq!(headers.get(TE).expect("kept"), "trailers");
    }

    #[test]
    fn atk_110_a_length_beside_a_coding_does_not_cross() {
        for turn in [for_server, for_caller] {
            let mut both = fields(&[("content-length", "5"), ("transfer-encoding", "chunked")]);
            turn(&mut both);
            assert!(both.is_empty());
            let mut one = fields(&[("content-length", "5")]);
            turn(&mut one);
            assert_eq!(names(&one), ["content-length"]);
        }
    }

    #[test]
    fn callers_learn_nothing_of_proofs() {
        let mut headers = fields(&[
            ("content-type", "text/plain"),
            ("dpop-nonce", "n"),
            ("dpop", "echoed"),
            ("authorization", "echoed"),
            ("alt-svc", "h3=\":443\""),
            ("keep-alive", "5"),
            ("www-authenticate", "DPoP error=\"insufficient_scope\""),
        ]);
        for_caller(&mut headers);
        assert_eq!(names(&headers), ["content-type", "www-authenticate"]);
    }
}
