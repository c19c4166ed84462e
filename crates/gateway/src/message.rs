//! Requests that two readers could understand differently are refused before anything is computed from them (RS-GW-05,
//! RS-GW-06): what is smuggled past the guard would arrive at the upstream without a proof.

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Uri};
use keybound_dpop::header::DPOP;

/// Refuses a request head that is ambiguous; the error is the reason, safe to send.
pub(crate) fn check(request: &Parts) -> Result<(), &'static str> {
    if request.method == Method::CONNECT {
        return Err("CONNECT is not forwarded");
    }
    check_connection(&request.headers)?;
    check_length(&request.headers)?;
    check_host(&request.headers, &request.uri)
}

/// RFC 8470 §5.1: something in front took the request up before the handshake was done. Anybody on the way can send it
/// again (RS-GW-10).
pub(crate) fn is_early(request: &Parts) -> bool {
    request.headers.contains_key("early-data")
}

/// RFC 9110 §7.6.1: what `Connection` names ends at this hop. What the guard reads, and what says where a request goes
/// and ends, must not (RS-GW-03).
fn check_connection(headers: &HeaderMap) -> Result<(), &'static str> {
    let kept = [&DPOP, &AUTHORIZATION, &HOST, &CONTENT_LENGTH, &TRANSFER_ENCODING];
    let options =
        headers.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    for option in options.map(<[u8]>::trim_ascii) {
        if kept.iter().any(|name| option.eq_ignore_ascii_case(name.as_str().as_bytes())) {
            return Err("Connection names a field that must not end at this hop");
        }
    }
    Ok(())
}

/// RFC 9112 §6.1, §6.3: one way to tell where the body ends.
fn check_length(headers: &HeaderMap) -> Result<(), &'static str> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (codings.next(), lengths.next()) {
        (Some(_), Some(_)) => Err("both Content-Length and Transfer-Encoding"),
        (Some(coding), None) => {
            let plain = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
            if plain { Ok(()) } else { Err("the only transfer coding known here is chunked, once") }
        }
        (None, Some(_)) if lengths.next().is_some() => Err("more than one Content-Length"),
        _ => Ok(()),
    }
}

/// RFC 9112 §3.2, RFC 9113 §8.3.1: one host, and it agrees with the target's authority.
fn check_host(headers: &HeaderMap, target: &Uri) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err("more than one Host");
    }
    match (host, target.authority()) {
        (Some(host), Some(authority)) => {
            let port = if target.scheme_str() == Some("https") { ":443" } else { ":80" };
            let bare = |text: &str| text.strip_suffix(port).unwrap_or(text).to_ascii_lowercase();
            let host = host.to_str().map_err(|_| "Host is not a host")?;
            if bare(host) == bare(authority.as_str()) { Ok(()) } else { Err("Host and target disagree") }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn verdict(target: &str, fields: &[(&str, &str)]) -> Result<(), &'static str> {
        let mut builder = Request::builder().uri(target);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        check(&builder.body(()).expect("a request").into_parts().0)
    }

    #[test]
    fn rs_gw_05_one_host_that_agrees() {
        assert_eq!(verdict("/", &[("host", "a")]), Ok(()));
        assert_eq!(verdict("http://a/", &[("host", "A:80")]), Ok(()));
        assert_eq!(verdict("https://a/", &[]), Ok(()));
        for (target, hosts) in [("/", vec!["a", "a"]), ("http://a/", vec!["b"]), ("https://a/", vec!["a:80"])]
        {
            let fields: Vec<(&str, &str)> = hosts.into_iter().map(|host| ("host", host)).collect();
            assert!(verdict(target, &fields).is_err(), "{target}");
        }
    }

    #[test]
    fn rs_gw_05_one_length() {
        assert_eq!(verdict("/", &[("content-length", "1")]), Ok(()));
        assert_eq!(verdict("/", &[("transfer-encoding", "Chunked")]), Ok(()));
        for fields in [
            vec![("content-length", "1"), ("transfer-encoding", "chunked")],
            vec![("content-length", "1"), ("content-length", "1")],
            vec![("transfer-encoding", "gzip, chunked")],
            vec![("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        ] {
            assert!(verdict("/", &fields).is_err(), "{fields:?}");
        }
    }

    #[test]
    fn rs_gw_03_connection_cannot_take_the_proof_away() {
        for options in ["DPoP", "close, authorization", "x,\tHost", "content-length", "Transfer-Encoding"] {
            assert!(verdict("/", &[("connection", options)]).is_err(), "{options}");
        }
        assert_eq!(verdict("/", &[("connection", "keep-alive, x-mine")]), Ok(()));
    }
}
