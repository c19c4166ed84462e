//! What the gateway itself refuses. The body is JSON and says what was expected; what came is in the log.

use crate::forward::NoAnswer;
use crate::route::Route;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use http_body_util::Full;
use keybound_dpop::jose::signer::SignError;

/// A refusal of the gateway itself.
pub(crate) struct Refusal {
    status: StatusCode,
    error: &'static str,
    why: String,
    field: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    fn new(status: StatusCode, error: &'static str, why: impl Into<String>) -> Self {
        Self { status, error, why: why.into(), field: None }
    }

    /// One audit event, and 400. On HTTP/1 it is the last of its connection: what follows may be the rest of a request that
    /// was read otherwise.
    pub(crate) fn bad_request(request: &Parts, row: &'static str, why: impl ToString) -> Self {
        Self::bad_request_on(None, request, row, why)
    }

    /// The same where it is known which route the request would have taken.
    pub(crate) fn bad_request_on(
        route: Option<&Route>,
        request: &Parts,
        row: &'static str,
        why: impl ToString,
    ) -> Self {
        let path: String = request.uri.path().chars().take(200).flat_map(char::escape_default).collect();
        let why = why.to_string();
        let method = request.method.as_str().escape_default();
        let route = route.map(Route::shown);
        tracing::warn!(
            target: "audit", event = "malformed_request", row, status = 400, %method, route, path, why, "request refused"
        );
        let close = (CONNECTION, HeaderValue::from_static("close"));
        let field = (request.version < Version::HTTP_2).then_some(close);
        Self { field, ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", format!("{row}: {why}")) }
    }

    /// RFC 8470 §5.2
    pub(crate) fn too_early() -> Self {
        let why = "RS-GW-10: a request in early data can be replayed: send it again after the handshake";
        Self::new(StatusCode::TOO_EARLY, "too_early", why)
    }

    /// RFC 6585 §4
    pub(crate) fn too_many(wait_secs: u64) -> Self {
        let why = format!("OPS-LIM-05: too many requests; ask again in {wait_secs} s");
        let field = Some((RETRY_AFTER, HeaderValue::from(wait_secs)));
        Self { field, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", why) }
    }

    pub(crate) fn not_listed() -> Self {
        Self::new(StatusCode::FORBIDDEN, "access_denied", "BCP-PRX-01: only listed proxies may ask")
    }

    pub(crate) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "no route leads to this path")
    }

    /// RFC 9110 §15.5.6
    pub(crate) fn wrong_method(allowed: &[Method]) -> Self {
        let names = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let allow = HeaderValue::try_from(names).ok().map(|names| (ALLOW, names));
        let why = "this path takes other methods only";
        Self { field: allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", why) }
    }

    pub(crate) fn internal(error: &SignError) -> Self {
        tracing::error!(%error, "an assertion could not be signed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "the gateway cannot say who calls")
    }

    pub(crate) fn into_answer(self) -> Response<Full<Bytes>> {
        let body = serde_json::json!({ "error": self.error, "error_description": self.why });
        let mut answer = Response::new(Full::from(body.to_string()));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.field);
        answer
    }
}

impl From<NoAnswer> for Refusal {
    fn from(no_answer: NoAnswer) -> Self {
        let (status, error, why) = match no_answer {
            NoAnswer::Away | NoAnswer::Broken => {
                (StatusCode::BAD_GATEWAY, "bad_gateway", "the service behind this gateway cannot be reached")
            }
            NoAnswer::TooSlow => (
                StatusCode::GATEWAY_TIMEOUT,
                "gateway_timeout",
                "the service behind this gateway did not answer in time",
            ),
            NoAnswer::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "content_too_large",
                "the request body is longer than this path takes",
            ),
        };
        Self::new(status, error, why)
    }
}
