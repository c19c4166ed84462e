//! From an HTTP request to what the steps work on. Nothing is believed here; size and form are.

use crate::refusal::{Denied, Refusal};
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use keybound_dpop::target::Target;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::form::{Form, MAX_FORM_BYTES};
use std::net::SocketAddr;

/// A form that was posted to an endpoint which clients call directly.
#[derive(Debug)]
pub struct Call {
    /// The method, as it came.
    pub method: Method,
    /// The URI of the endpoint, from configuration.
    pub target: Target,
    /// The headers.
    pub headers: HeaderMap,
    /// The parameters.
    pub form: Form,
    /// Who is at the other end of the connection.
    pub peer: Option<SocketAddr>,
}

/// Parameters that belong into the body and nowhere else (RFC 6749 §2.3.1, §3.2).
const BODY_ONLY: [&str; 14] = [
    "grant_type",
    "code",
    "code_verifier",
    "refresh_token",
    "device_code",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "redirect_uri",
    "scope",
    "token",
    "subject_token",
    "actor_token",
];

/// Reads a posted form (RFC 6749 §3.2).
///
/// # Errors
/// [`Denied`] for another method, content type or size, for parameters in the query, and for a repeated parameter.
pub async fn form_call(request: Request<Body>, target: Target) -> Result<Call, Refusal> {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        let denied = Denied::new(ErrorCode::InvalidRequest, "AS-TOK-12", "this endpoint takes POST only");
        return Err(denied.status(StatusCode::METHOD_NOT_ALLOWED).into());
    }
    let in_query = Form::parse_query(parts.uri.query().unwrap_or_default()).map_err(Denied::from)?;
    if BODY_ONLY.iter().any(|name| in_query.has(name)) {
        let wire = "parameters belong into the body, not into the query";
        return Err(Denied::new(ErrorCode::InvalidRequest, "AS-TOK-12", wire).into());
    }
    let form = form_body(&parts.headers, body).await?;
    let peer = parts.extensions.get::<SocketAddr>().copied();
    Ok(Call { method: parts.method, target, headers: parts.headers, form, peer })
}

/// Reads a form from a body.
///
/// # Errors
/// [`Denied`] for another content type or size, and for a repeated parameter.
pub async fn form_body(headers: &HeaderMap, body: Body) -> Result<Form, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let wire = "the body must be application/x-www-form-urlencoded";
        return Err(Denied::new(ErrorCode::InvalidRequest, "AS-TOK-12", wire).into());
    }
    let body = whole(headers, body, MAX_FORM_BYTES).await?;
    Ok(Form::parse(&body).map_err(Denied::from)?)
}

/// Reads a JSON body.
///
/// # Errors
/// [`Denied`] for another content type or size.
pub async fn json_body(headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<Bytes, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let wire = "the body must be application/json";
        return Err(Denied::new(ErrorCode::InvalidRequest, "AS-DCR-03", wire).into());
    }
    whole(headers, body, max_bytes).await
}

async fn whole(headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<Bytes, Refusal> {
    let too_large = || {
        let wire = format!("the body must be at most {max_bytes} octets");
        Denied::new(ErrorCode::InvalidRequest, "OPS-LIM-01", wire).status(StatusCode::PAYLOAD_TOO_LARGE)
    };
    let declared =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|v| v.parse().ok());
    if declared.is_some_and(|length: usize| length > max_bytes) {
        return Err(too_large().into());
    }
    match Limited::new(body, max_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large().into()),
        Err(error) => {
            let wire = "the body could not be read to its end";
            Err(Denied::new(ErrorCode::InvalidRequest, "AS-TOK-12", wire).log(&error.to_string()).into())
        }
    }
}
