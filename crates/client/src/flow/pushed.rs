//! Pushed authorization requests (RFC 9126), in two halves: what would go through the browser goes to the server
//! directly, with the client's authentication and a proof (RFC 9449 §10.1); the browser carries a reference only.

use crate::client_auth::ClientAuth;
use crate::flow::authorization_code::ask::{Parties, RequestKey};
use crate::flow::request_object;
use crate::outgoing::{Outgoing, OutgoingError, form_post};
use crate::prover::Prover;
use bytes::Bytes;
use http::{Response, StatusCode};
use keybound_oauth::authorization::AuthorizationRequest;
use keybound_oauth::error::{ErrorBody, ErrorCode};
use keybound_oauth::pushed::{PushedResponse, PushedResponseError};

/// The server did not take the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushedError {
    /// The server redirects; credentials are not sent after it (CL-RED-04).
    #[error(
        "the endpoint for pushed requests redirects ({0}), which is not followed; correct the server's metadata"
    )]
    Redirected(StatusCode),
    /// The server says no.
    #[error("the authorization server refused the pushed request ({status}): {body}{}", advice(body))]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it says.
        body: ErrorBody,
    },
    /// The server answers with something else.
    #[error(
        "the endpoint for pushed requests answered {0} without an error that RFC 9126 section 2.3 knows; is the URL right?"
    )]
    Unreadable(StatusCode),
    /// The answer has no reference.
    #[error("the endpoint for pushed requests gave no reference: {0}")]
    Response(#[from] PushedResponseError),
}

/// The request; to be made anew for each sending. With a key it goes as a signed object, alone (RFC 9126 §3).
///
/// # Errors
/// [`OutgoingError`]
pub fn request(
    parties: &Parties<'_>,
    request: &AuthorizationRequest,
    key: Option<&RequestKey>,
    prover: &Prover,
) -> Result<Outgoing, OutgoingError> {
    let server = parties.server;
    let endpoint = server.endpoints.pushed_authorization_request_endpoint.as_ref();
    let endpoint = endpoint.ok_or(OutgoingError::NoEndpoint("pushed_authorization_request_endpoint"))?;
    let object = match key {
        Some(key) => request_object::signed(parties, request, key, prover.now())?.request,
        None => None,
    };
    // `client_id` stands in what the client shows of itself, unless that is a header.
    let is_basic = matches!(parties.identity.auth, ClientAuth::SecretBasic(_));
    let client_id = request.client_id.clone().filter(|_| is_basic);
    let request = match object {
        Some(_) => AuthorizationRequest { client_id, request: object, ..AuthorizationRequest::default() },
        None => AuthorizationRequest { client_id, ..request.clone() },
    };
    form_post(endpoint, request.to_form(), parties.identity, &server.issuer, prover)
}

/// What the answer means.
///
/// # Errors
/// [`PushedError`]
pub fn judge(response: &Response<Bytes>) -> Result<PushedResponse, PushedError> {
    let status = response.status();
    if status.is_redirection() {
        return Err(PushedError::Redirected(status));
    }
    match status {
        // RFC 9126 §2.2 says 201; some servers say 200.
        StatusCode::CREATED | StatusCode::OK => Ok(PushedResponse::parse(response.body())?),
        _ => {
            let body = ErrorBody::parse(response.body()).map_err(|_| PushedError::Unreadable(status))?;
            Err(PushedError::Refused { status, body })
        }
    }
}

fn advice(body: &ErrorBody) -> &'static str {
    match body.code() {
        Some(ErrorCode::InvalidClient) => "; check the client identifier, its credentials and their method",
        Some(ErrorCode::InvalidDpopProof) => "; compare this machine's clock with the server's",
        Some(ErrorCode::InvalidRequest) => {
            "; are the redirect URI and the scopes registered for this client?"
        }
        _ => "",
    }
}
