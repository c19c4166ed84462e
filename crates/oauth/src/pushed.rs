//! Pushed authorization requests (RFC 9126). The request is an
//! [`AuthorizationRequest`](crate::authorization::AuthorizationRequest) as a form, with the client's authentication;
//! here is the answer to it, and the reference that travels in its place.

use keybound_dpop::jose::json::{Number, Object, Value};
use keybound_dpop::secret::Secret;

/// What a `request_uri` of a pushed request begins with (RFC 9126 §2.2).
pub const URI_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// The `request_uri` of a pushed request that is found by `reference`.
#[must_use]
pub fn request_uri(reference: &Secret) -> Secret {
    Secret::new(format!("{URI_PREFIX}{}", reference.reveal()))
}

/// The reference in a `request_uri`; `None` where it is not that of a pushed request.
#[must_use]
pub fn reference(request_uri: &str) -> Option<&str> {
    request_uri.strip_prefix(URI_PREFIX)
}

/// The answer to a pushed authorization request (RFC 9126 §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedResponse {
    /// `request_uri`: whoever has it can send a browser with it, once.
    pub request_uri: Secret,
    /// `expires_in`
    pub expires_in_secs: u64,
}

/// Why an answer cannot be used. The server's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushedResponseError {
    /// Not JSON, or not an object with distinct names.
    #[error("the answer is not a JSON object with distinct member names")]
    NotJson,
    /// A member is missing or malformed.
    #[error("`{0}` of the answer is missing or malformed")]
    Member(&'static str),
}

impl PushedResponse {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (request_uri, expires_in) = (self.request_uri.reveal(), self.expires_in_secs);
        serde_json::json!({ "request_uri": request_uri, "expires_in": expires_in }).to_string()
    }

    /// Reads the answer with status 201.
    ///
    /// # Errors
    /// [`PushedResponseError`]
    pub fn parse(json: &[u8]) -> Result<Self, PushedResponseError> {
        let object = Object::parse(json).map_err(|_| PushedResponseError::NotJson)?;
        let request_uri = object.string("request_uri").ok().flatten().filter(|text| !text.is_empty());
        let request_uri = request_uri.ok_or(PushedResponseError::Member("request_uri"))?;
        let Some(Value::Number(Number::Unsigned(expires_in_secs))) = object.get("expires_in") else {
            return Err(PushedResponseError::Member("expires_in"));
        };
        Ok(Self { request_uri: Secret::new(request_uri), expires_in_secs: *expires_in_secs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_par_07_what_is_written_is_read_back() {
        let uri = request_uri(&Secret::new("id.secret"));
        assert_eq!(reference(uri.reveal()), Some("id.secret"));
        let response = PushedResponse { request_uri: uri, expires_in_secs: 90 };
        assert_eq!(PushedResponse::parse(response.to_json().as_bytes()), Ok(response));
        for other in ["https://app.example/request.jwt", "URN:ietf:params:oauth:request_uri:a", ""] {
            assert_eq!(reference(other), None, "{other}");
        }
    }

    #[test]
    fn a_malformed_answer_is_told_by_its_member() {
        for (json, error) in [
            ("[]", PushedResponseError::NotJson),
            (r#"{"expires_in":90}"#, PushedResponseError::Member("request_uri")),
            (r#"{"request_uri":"","expires_in":90}"#, PushedResponseError::Member("request_uri")),
            (r#"{"request_uri":"urn:a","expires_in":"90"}"#, PushedResponseError::Member("expires_in")),
            (r#"{"request_uri":"urn:a","expires_in":-1}"#, PushedResponseError::Member("expires_in")),
        ] {
            assert_eq!(PushedResponse::parse(json.as_bytes()), Err(error), "{json}");
        }
    }
}
