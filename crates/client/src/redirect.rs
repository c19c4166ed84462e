//! Redirects of resources (RFC 9110 §15.4). A proof is for one URL and one method, so none is ever sent along; a client
//! that follows makes a new request.

use crate::answer::Answer;
use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, LOCATION,
};
use http::{Method, Request, StatusCode};
use url::Url;

/// Redirects followed for one request, at the most.
pub const MAX_REDIRECTS: u8 = 5;

/// What to do about an answer that redirects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// Hand it to the caller.
    #[default]
    Surface,
    /// Make a new request, with a new proof, where it stays on the same origin; else hand it to the caller.
    SameOrigin,
}

/// The request that follows from a redirect; `None` where there is none, or it leads to another origin. It carries no
/// `Authorization` and no proof of the old one.
#[must_use]
pub fn follow<'a>(request: &Request<Bytes>, answer: impl Into<Answer<'a>>) -> Option<Request<Bytes>> {
    let answer = answer.into();
    let method = next_method(request.method(), answer.status)?;
    let from = Url::parse(&request.uri().to_string()).ok()?;
    let mut locations = answer.headers.get_all(LOCATION).iter();
    let (location, None) = (locations.next()?.to_str().ok()?, locations.next()) else { return None };
    let mut to = from.join(location).ok()?;
    if to.origin() != from.origin() {
        return None;
    }
    to.set_fragment(None);
    let mut next = Request::new(Bytes::new());
    *next.uri_mut() = to.as_str().parse().ok()?;
    *next.headers_mut() = request.headers().clone();
    next.headers_mut().remove(http::header::AUTHORIZATION);
    next.headers_mut().remove(keybound_dpop::header::DPOP);
    if method == *request.method() {
        *next.body_mut() = request.body().clone();
    } else {
        for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION] {
            next.headers_mut().remove(name);
        }
    }
    *next.method_mut() = method;
    Some(next)
}

fn next_method(method: &Method, status: StatusCode) -> Option<Method> {
    match status.as_u16() {
        303 if *method != Method::HEAD => Some(Method::GET),
        301 | 302 if *method == Method::POST => Some(Method::GET),
        301 | 302 | 303 | 307 | 308 => Some(method.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;

    fn after(method: Method, status: u16, location: &str) -> Option<Request<Bytes>> {
        let request = Request::builder()
            .method(method)
            .uri("https://api.example/a/b?q=1")
            .header("Authorization", "DPoP token")
            .header("DPoP", "proof")
            .header("Content-Type", "text/plain")
            .header("Accept", "text/html")
            .body(Bytes::from_static(b"body"))
            .expect("a request");
        let response = Response::builder().status(status).header("Location", location).body(Bytes::new());
        follow(&request, &response.expect("a response"))
    }

    #[test]
    fn cl_red_02_the_next_request_is_a_new_one() {
        let seen_other = after(Method::POST, 303, "../c").expect("followed");
        assert_eq!((seen_other.method(), seen_other.uri().path()), (&Method::GET, "/c"));
        assert!(seen_other.body().is_empty() && !seen_other.headers().contains_key("Content-Type"));
        let permanent = after(Method::POST, 308, "https://api.example:443/d").expect("followed");
        assert_eq!((permanent.method(), permanent.body().as_ref()), (&Method::POST, &b"body"[..]));
        for next in [seen_other, permanent] {
            assert!(next.headers().contains_key("Accept"));
            assert!(!next.headers().contains_key("Authorization") && !next.headers().contains_key("DPoP"));
        }
    }

    #[test]
    fn cl_red_03_another_origin_is_not_followed() {
        for elsewhere in ["https://evil.example/", "http://api.example/", "https://api.example:8443/", "//h/"]
        {
            assert!(after(Method::GET, 307, elsewhere).is_none(), "{elsewhere}");
        }
        assert!(after(Method::GET, 200, "/x").is_none() && after(Method::GET, 304, "/x").is_none());
    }
}
