//! Requests to the provider, and their parts.

use crate::settings::{API, REDIRECT_URI, VERIFIER};
use axum::body::Body;
use http::Request;
use http::header::CONTENT_TYPE;
use keybound_dpop::jose::base64url;
use keybound_dpop::secret::Secret;
use keybound_oauth::form::FormWriter;

/// `code_challenge` of a verifier.
pub fn challenge(verifier: &str) -> String {
    base64url::encode(&keybound_dpop::jose::crypto::sha256(verifier.as_bytes()))
}

/// The body of a token request for a client itself.
pub fn client_credentials_form() -> FormWriter {
    FormWriter::new().pair("grant_type", "client_credentials").pair("scope", "read")
}

/// The body of a token request with a code, without the client.
pub fn code_form(code: &Secret) -> FormWriter {
    FormWriter::new()
        .pair("grant_type", "authorization_code")
        .pair("code", code.reveal())
        .pair("redirect_uri", REDIRECT_URI)
        .pair("code_verifier", VERIFIER)
}

/// The body of a refresh, without the client.
pub fn refresh_form(token: &str) -> FormWriter {
    FormWriter::new().pair("grant_type", "refresh_token").pair("refresh_token", token)
}

/// The value of `Authorization` for a client's secret (RFC 6749 §2.3.1).
pub fn basic(client_id: &str, secret: &str) -> String {
    let pair =
        format!("{}:{}", keybound_oauth::form::encode(client_id), keybound_oauth::form::encode(secret));
    format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
}

/// The parameters of a good authorization request, without the client.
pub fn authorization_form() -> FormWriter {
    FormWriter::new()
        .pair("response_type", "code")
        .pair("redirect_uri", REDIRECT_URI)
        .pair("scope", "openid email read")
        .pair("resource", API)
        .pair("state", "some state")
        .pair("code_challenge", &challenge(VERIFIER))
        .pair("code_challenge_method", "S256")
}

/// A posted form.
pub fn post(url: &str, form: FormWriter, headers: &[(&str, &str)]) -> Request<Body> {
    let request = Request::post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Body::from(form.finish())).expect("a request")
}

/// A GET.
pub fn get(url: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request =
        headers.iter().fold(Request::get(url), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).expect("a request")
}

/// Adds a proof to headers.
pub fn with_proof(
    mut headers: Vec<(&'static str, String)>,
    proof: Option<&str>,
) -> Vec<(&'static str, String)> {
    headers.extend(proof.map(|proof| ("dpop", proof.to_owned())));
    headers
}

/// Headers as [`post`] and [`get`] take them.
pub fn borrow<'h>(headers: &'h [(&'static str, String)]) -> Vec<(&'static str, &'h str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
