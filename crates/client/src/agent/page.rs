//! Pages in a browser that may use the agent, where it is called like an API (Fetch §3.3, "CORS protocol"). They show the
//! agent's token like any other program; what is here lets their browser send it, and lets them read the answer.

use super::body::AnswerBody;
use super::gate::TOKEN;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, AUTHORIZATION,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

const ASKS_FOR_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const GIVES_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
const ANY: HeaderValue = HeaderValue::from_static("*");
/// Seconds for which a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Not the origin of a page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no origin of a page: it has a scheme and a host, and nothing after them, as http://localhost:3000"
)]
pub struct NotAnOrigin(String);

/// One origin as a browser sends it (RFC 6454 §6.2). `null` is what any sandboxed page sends, so that it is nobody's.
pub(super) fn origin(text: &str) -> Result<HeaderValue, NotAnOrigin> {
    let not = || NotAnOrigin(text.to_owned());
    let (scheme, host) = text.split_once("://").ok_or_else(not)?;
    let is_plain = |part: &str, marks: &[u8]| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || marks.contains(&byte);
        !part.is_empty() && part.bytes().all(fits)
    };
    if !is_plain(scheme, b"+-.") || !is_plain(host, b"-._:[]") {
        return Err(not());
    }
    HeaderValue::from_str(text).map_err(|_| not())
}

/// The answer to a browser that asks what a page may send: everything, and by name what `*` does not stand for.
pub(super) fn preflight(asked: &HeaderMap) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::text(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, ANY);
    headers.append(ACCESS_CONTROL_ALLOW_HEADERS, ANY);
    headers.append(ACCESS_CONTROL_ALLOW_HEADERS, AUTHORIZATION.into());
    headers.append(ACCESS_CONTROL_ALLOW_HEADERS, TOKEN.into());
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if asked.contains_key(ASKS_FOR_NETWORK) {
        headers.insert(GIVES_NETWORK, HeaderValue::from_static("true"));
    }
    response
}

/// Lets that page read an answer, whatever the server says of pages: it knows nothing of this one. No cookies go with it.
pub(super) fn let_read(headers: &mut HeaderMap, page: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, page);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANY);
    headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
    headers.append(VARY, ORIGIN.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_125_an_origin_is_one_pages_and_never_anybodys() {
        for good in
            ["http://localhost:3000", "https://tool.example", "http://[::1]:80", "chrome-extension://abc"]
        {
            assert_eq!(origin(good).expect(good), good);
        }
        for bad in
            ["null", "*", "https://*", "https://a.example/", "a.example", "https://", "https://A.example", ""]
        {
            assert_eq!(origin(bad), Err(NotAnOrigin(bad.to_owned())));
        }
    }

    #[test]
    fn what_a_server_says_of_pages_does_not_count() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        let_read(&mut headers, HeaderValue::from_static("https://tool.example"));
        assert_eq!(headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).expect("one"), "https://tool.example");
        assert_eq!(headers.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().count(), 1);
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
        assert_eq!(headers.get(VARY).expect("one"), "origin");
    }
}
