//! Answers to clients: JSON, uncacheable unless it is public, with the headers that other origins need.

use crate::audit;
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use axum::body::Body;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use keybound_dpop::header::DPOP_NONCE;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::sha256;
use keybound_dpop::nonce::Nonce;
use keybound_dpop::time::UnixTime;
use keybound_oauth::error::{ErrorBody, ErrorCode};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// JSON for this client alone: nothing may keep it (RFC 6749 §5.1).
#[must_use]
pub fn private_json(status: StatusCode, json: String) -> Response<Body> {
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// What an endpoint that takes proofs says to one client.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub json: String,
    /// Whether the nonce of the proof is no longer the newest (AS-NON-08).
    pub wants_new_nonce: bool,
}

/// The answer or the refusal of an endpoint that takes proofs, with a nonce where one is due.
#[must_use]
pub fn to_proof(provider: &Provider, result: Result<Answer, Refusal>, now: UnixTime) -> Response<Body> {
    match result {
        Ok(Answer { status, json, wants_new_nonce }) => {
            let mut response = private_json(status, json);
            if wants_new_nonce {
                put_nonce(response.headers_mut(), &provider.nonces.issue(now));
            }
            response
        }
        Err(denied) => {
            let nonce = provider.uses_nonces().then(|| provider.nonces.issue(now));
            refusal(&denied, nonce.as_ref())
        }
    }
}

/// Done, and nothing to say.
#[must_use]
pub fn done() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

/// JSON for everybody, for five minutes.
#[must_use]
pub fn public_json(json: String) -> Response<Body> {
    let mut response = Response::new(Body::from(json));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

/// JSON for everybody, for that long; whoever still has the same is told no more than that (RFC 9110 §13.1.2).
#[must_use]
pub fn revalidated_json(json: String, max_age_secs: u64, asked: &HeaderMap) -> Response<Body> {
    let tag = format!("\"{}\"", base64url::encode(&sha256(json.as_bytes())));
    let mut response = if has_tag(asked, &tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        public_json(json)
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={max_age_secs}")) {
        headers.insert(CACHE_CONTROL, value);
    }
    if let Ok(value) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, value);
    }
    response
}

/// Whether `If-None-Match` names the tag, strong or weak, or any (RFC 9110 §8.8.3.2).
fn has_tag(asked: &HeaderMap, tag: &str) -> bool {
    let lines = asked.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let mut named = lines.flat_map(|line| line.split(',')).map(str::trim);
    named.any(|name| name == "*" || name.strip_prefix("W/").unwrap_or(name) == tag)
}

/// Puts exactly one nonce on an answer, which is then nobody's to keep (RFC 9449 §8.2).
pub fn put_nonce(headers: &mut HeaderMap, nonce: &Nonce) {
    if let Ok(value) = HeaderValue::from_str(nonce.as_str()) {
        headers.insert(DPOP_NONCE, value);
        headers.insert(CACHE_CONTROL, NO_STORE);
    }
}

/// The error response of an endpoint that clients call directly (RFC 6749 §5.2). Writes the audit event.
#[must_use]
pub fn refusal(refusal: &Refusal, nonce: Option<&Nonce>) -> Response<Body> {
    match refusal {
        Refusal::Denied(denied) => {
            audit(denied);
            refused(denied, nonce)
        }
        Refusal::Unavailable(reason) => {
            tracing::error!(reason, "a request could not be served");
            unavailable()
        }
    }
}

/// The event of a refusal, with the row that was not met (OPS-LOG-02).
pub fn audit(denied: &Denied) {
    // Asked for every few seconds, and no refusal yet.
    if denied.code != ErrorCode::AuthorizationPending {
        audit::refused(denied);
    }
}

fn refused(denied: &Denied, nonce: Option<&Nonce>) -> Response<Body> {
    let mut response = private_json(denied.http_status(), denied.body().to_json());
    let headers = response.headers_mut();
    if denied.code == ErrorCode::InvalidClient && denied.by_header {
        headers
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"clients\", charset=\"UTF-8\""));
    }
    if denied.http_status() == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    if denied.http_status() == StatusCode::TOO_MANY_REQUESTS {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    if let Some(secs) = denied.retry_after_secs {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    if let Some(nonce) = nonce.filter(|_| speaks_of_dpop(denied.code)) {
        put_nonce(headers, nonce);
    }
    response
}

/// Refusals that have to do with a proof carry a nonce where nonces are asked for (AS-ERR-10).
fn speaks_of_dpop(code: ErrorCode) -> bool {
    use ErrorCode::{AuthorizationPending, InvalidDpopProof, InvalidGrant, SlowDown, UseDpopNonce};
    // A device that has to wait needs a good nonce the next time.
    matches!(code, InvalidDpopProof | UseDpopNonce | InvalidGrant | AuthorizationPending | SlowDown)
}

/// 503 (requirements 0.6).
fn unavailable() -> Response<Body> {
    let body = ErrorBody::new(ErrorCode::TemporarilyUnavailable, "try again in a few seconds");
    let mut response = private_json(StatusCode::SERVICE_UNAVAILABLE, body.to_json());
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
