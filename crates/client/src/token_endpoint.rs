//! The token endpoint (RFC 6749 §3.2, RFC 9449 §5), in two halves: the request, and what the answer means.

use crate::client_auth::Identity;
use crate::discover::endpoint;
use crate::endpoint_error::{advice, hint};
use crate::outgoing::{Outgoing, OutgoingError, form_post};
use crate::prover::Prover;
use bytes::Bytes;
use http::{Response, StatusCode};
use keybound_dpop::secret::Secret;
use keybound_oauth::error::ErrorBody;
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::token::{TokenRequest, TokenResponse, TokenResponseError, TokenType};

/// Which tokens the client takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Tokens that are bound to the client's key, no others.
    #[default]
    Bound,
    /// Access tokens may be bearer tokens, and the refresh token beside them is bound to the key: some servers bind that
    /// one alone. An answer that brings none, and a login that has none, is refused.
    RefreshBound,
    /// Bearer tokens too.
    BearerToo,
}

/// The server did not give a token that the client takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The server redirects; credentials are not sent after it (CL-RED-04).
    #[error("the token endpoint redirects ({0}), which is not followed; correct the server's metadata")]
    Redirected(StatusCode),
    /// The server says no.
    #[error("the authorization server refused ({status}): {body}{}", advice(body))]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it says.
        body: ErrorBody,
    },
    /// The server answers with something else.
    #[error("the token endpoint answered {0} without an error that RFC 6749 section 5.2 knows{advice}", advice = hint(*.0))]
    Unreadable(StatusCode),
    /// The answer is no token response.
    #[error("{0}; tell the server's operator")]
    Response(#[from] TokenResponseError),
    /// The token is not bound to the key.
    #[error(
        "the authorization server issued a bearer token, which is thrown away; have it bind tokens for this client \
         (dpop_bound_access_tokens), or allow bearer tokens"
    )]
    NotBound,
    /// A bearer token for a login whose tokens are bound.
    #[error(
        "the authorization server issued a bearer token for a login whose tokens are bound to a key; it is thrown away: \
         tell the server's operator, or log in again"
    )]
    Downgraded,
}

impl TokenError {
    /// The same without these secrets, which a server may repeat.
    #[must_use]
    pub fn without(self, secrets: &[&Secret]) -> Self {
        match self {
            Self::Refused { status, body } => Self::Refused { status, body: body.without(secrets) },
            other => other,
        }
    }
}

/// The request; to be made anew for each sending.
///
/// # Errors
/// [`OutgoingError`]
pub fn request(
    server: &ProviderMetadata,
    identity: &Identity,
    request: &TokenRequest,
    prover: &Prover,
) -> Result<Outgoing, OutgoingError> {
    let endpoint = endpoint(server, identity, "token_endpoint", |at| at.token_endpoint.as_ref())?;
    form_post(endpoint, request.to_form(), identity, &server.issuer, prover)
}

/// What the answer means.
///
/// # Errors
/// [`TokenError`]
pub fn judge(response: &Response<Bytes>, wanted: Wanted) -> Result<TokenResponse, TokenError> {
    let status = response.status();
    if status.is_redirection() {
        return Err(TokenError::Redirected(status));
    }
    if !status.is_success() {
        let body = ErrorBody::parse(response.body()).map_err(|_| TokenError::Unreadable(status))?;
        return Err(TokenError::Refused { status, body });
    }
    let tokens = match TokenResponse::parse(response.body()) {
        Ok(tokens) => tokens,
        // Some servers say no with a status of success.
        Err(error) => match ErrorBody::parse(response.body()) {
            Ok(body) => return Err(TokenError::Refused { status, body }),
            Err(_) => return Err(error.into()),
        },
    };
    match (tokens.token_type, wanted) {
        (TokenType::Bearer, Wanted::Bound) => Err(TokenError::NotBound),
        (TokenType::Bearer, Wanted::RefreshBound) if tokens.refresh_token.is_none() => {
            Err(TokenError::NotBound)
        }
        _ => Ok(tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Response<Bytes> {
        let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        response
    }

    #[test]
    fn cl_tok_01_the_type_must_be_dpop_in_any_case() {
        let typed = |name: &str| answer(200, &format!(r#"{{"access_token":"a","token_type":"{name}"}}"#));
        assert!(judge(&typed("dPoP"), Wanted::Bound).is_ok());
        assert_eq!(judge(&typed("Bearer"), Wanted::Bound), Err(TokenError::NotBound));
        assert!(judge(&typed("bearer"), Wanted::BearerToo).is_ok());
        assert!(judge(&typed("mac"), Wanted::BearerToo).is_err());
    }

    #[test]
    fn cl_tok_04_expires_in_may_be_missing() {
        let tokens = judge(&answer(200, r#"{"access_token":"a","token_type":"DPoP"}"#), Wanted::Bound);
        assert_eq!(tokens.expect("a token").expires_in_secs, None);
    }

    #[test]
    fn cl_red_04_redirects_are_errors() {
        for status in [301, 302, 303, 307, 308] {
            let error = judge(&answer(status, ""), Wanted::Bound).expect_err("refused");
            assert!(matches!(error, TokenError::Redirected(_)));
        }
    }

    #[test]
    fn cl_prf_09_a_refused_proof_comes_with_advice() {
        let body = r#"{"error":"invalid_dpop_proof","error_description":"alg is not accepted"}"#;
        let told = judge(&answer(400, body), Wanted::Bound).expect_err("refused").to_string();
        assert!(told.contains("alg is not accepted") && told.contains("dpop_signing_alg_values_supported"));
    }

    #[test]
    fn other_answers_are_told_apart() {
        assert!(matches!(judge(&answer(502, "<html>"), Wanted::Bound), Err(TokenError::Unreadable(_))));
        assert!(matches!(judge(&answer(200, "{}"), Wanted::Bound), Err(TokenError::Response(_))));
        assert!(matches!(judge(&answer(201, "{}"), Wanted::Bound), Err(TokenError::Response(_))));
    }
}
