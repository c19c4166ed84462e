//! Answers of an authorization server that are not what was asked for, at any endpoint but the token endpoint
//! ([`crate::token_endpoint`]): who refused what, and what to do.

use bytes::Bytes;
use http::{Response, StatusCode};
use keybound_dpop::secret::Secret;
use keybound_oauth::error::{ErrorBody, ErrorCode};

/// An endpoint of an authorization server did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The server redirects; credentials are not sent after it (CL-RED-04).
    #[error("the `{endpoint}` redirects ({status}), which is not followed; correct the server's metadata")]
    Redirected {
        /// The member of the metadata that names the endpoint.
        endpoint: &'static str,
        /// The status.
        status: StatusCode,
    },
    /// The server says no.
    #[error("the authorization server refused at its `{endpoint}` ({status}): {body}{}", advice(body))]
    Refused {
        /// The member of the metadata that names the endpoint.
        endpoint: &'static str,
        /// The status.
        status: StatusCode,
        /// What it says.
        body: ErrorBody,
    },
    /// The server answers with something else.
    #[error("the `{endpoint}` answered {status} without an error that RFC 6749 section 5.2 knows{}", hint(*.status))]
    Unreadable {
        /// The member of the metadata that names the endpoint.
        endpoint: &'static str,
        /// The status.
        status: StatusCode,
    },
    /// The server wants another token than the one that came, or one at all.
    #[error(
        "the `{endpoint}` does not take the token that came with the request, or asks for one (401): an initial access \
         token to register, the registration access token to manage, an access token that is still good for UserInfo"
    )]
    TokenRefused {
        /// The member of the metadata that names the endpoint.
        endpoint: &'static str,
    },
    /// The status is right, and the body is not.
    #[error("the answer of the `{endpoint}` cannot be used: {detail}; tell the server's operator")]
    Malformed {
        /// The member of the metadata that names the endpoint.
        endpoint: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl EndpointError {
    /// The same without these secrets, which a server may repeat.
    #[must_use]
    pub fn without(self, secrets: &[&Secret]) -> Self {
        match self {
            Self::Refused { endpoint, status, body } => {
                Self::Refused { endpoint, status, body: body.without(secrets) }
            }
            other => other,
        }
    }
}

/// Whether an answer has one of the statuses of success; any will do that begins with 2.
///
/// # Errors
/// [`EndpointError`] says what it is instead.
pub fn expect_success(endpoint: &'static str, response: &Response<Bytes>) -> Result<(), EndpointError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(EndpointError::Redirected { endpoint, status });
    }
    match ErrorBody::parse(response.body()) {
        Ok(body) => Err(EndpointError::Refused { endpoint, status, body }),
        Err(_) => Err(EndpointError::Unreadable { endpoint, status }),
    }
}

/// The same for an endpoint that refuses like a resource does where the token is not good: with 401, and perhaps no body.
///
/// # Errors
/// [`EndpointError`] says what it is instead.
pub fn expect_with_token(endpoint: &'static str, response: &Response<Bytes>) -> Result<(), EndpointError> {
    match expect_success(endpoint, response) {
        Err(EndpointError::Unreadable { status: StatusCode::UNAUTHORIZED, .. }) => {
            Err(EndpointError::TokenRefused { endpoint })
        }
        judged => judged,
    }
}

/// What to do about an error of an authorization server, whichever endpoint said it.
pub(crate) fn advice(body: &ErrorBody) -> &'static str {
    match body.code() {
        Some(ErrorCode::InvalidGrant) => "; log in again",
        Some(ErrorCode::InvalidClient) => "; check the client identifier, its credentials and their method",
        Some(ErrorCode::UnauthorizedClient) => "; have the client registered for this grant type",
        Some(ErrorCode::UnsupportedGrantType) => "; use another way to get tokens from this server",
        Some(ErrorCode::InvalidScope) => "; ask for scopes that the client is registered for",
        Some(ErrorCode::InvalidTarget) => "; name a resource that the server knows",
        Some(ErrorCode::InvalidToken) => "; the token is no longer good, get another one",
        Some(ErrorCode::TemporarilyUnavailable | ErrorCode::ServerError) => "; try again later",
        Some(ErrorCode::InvalidDpopProof) => {
            "; compare this machine's clock with the server's, and the key's algorithm with \
             `dpop_signing_alg_values_supported`"
        }
        _ => "",
    }
}

/// What a status alone tells.
pub(crate) fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        404 | 405 | 501 => "; is the URL right?",
        429 => "; the server is asked too often, try again later",
        500..=599 => "; the server, or a proxy before it, is out of order: try again later",
        _ => "; is there something between this machine and the server?",
    }
}
