//! Pushed authorization requests (RFC 9126), in two halves: what would go through the browser goes to the server
//! directly, with the client's authentication and a proof (RFC 9449 §10.1); the browser carries a reference only.

use crate::client_auth::ClientAuth;
use crate::discover::endpoint;
use crate::flow::authorization_code::ask::{Parties, RequestKey};
use crate::flow::request_object;
use crate::outgoing::{Outgoing, OutgoingError, form_post};
use crate::prover::Prover;
use bytes::Bytes;
use http::{Response, StatusCode};
use keybound_dpop::secret::Secret;
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

impl PushedError {
    /// Whether the server has something against the client, and not against what it asks for.
    #[must_use]
    pub fn is_of_the_client(&self) -> bool {
        let Self::Refused { body, .. } = self else { return false };
        matches!(body.code(), Some(ErrorCode::InvalidClient | ErrorCode::UnauthorizedClient))
    }

    /// The same without these secrets, which a server may repeat.
    #[must_use]
    pub fn without(self, secrets: &[&Secret]) -> Self {
        match self {
            Self::Refused { status, body } => Self::Refused { status, body: body.without(secrets) },
            other => other,
        }
    }
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
    let endpoint = endpoint(server, parties.identity, "pushed_authorization_request_endpoint", |at| {
        at.pushed_authorization_request_endpoint.as_ref()
    })?;
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
        Some(ErrorCode::InvalidClient | ErrorCode::UnauthorizedClient) => {
            "; check the client identifier, its credentials and their method; if the server takes pushed requests of \
             clients with credentials only, let the login not push"
        }
        Some(ErrorCode::InvalidDpopProof) => "; compare this machine's clock with the server's",
        Some(ErrorCode::InvalidRequest) => {
            "; are the redirect URI and the scopes registered for this client?"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::authorization_code::tests::World;
    use keybound_dpop::jose::algorithm::Algorithm;
    use keybound_dpop::jose::signer::SigningKey;
    use keybound_oauth::form::Form;
    use serde_json::json;
    use std::sync::Arc;

    fn world() -> World {
        World::new(&json!({ "pushed_authorization_request_endpoint": "https://id.example/par" }))
    }

    fn pushed(world: &World, key: Option<&RequestKey>) -> (Outgoing, Form) {
        let login = AuthorizationRequest {
            client_id: Some(world.identity.client_id.clone()),
            state: Some("s".to_owned()),
            dpop_jkt: Some(world.prover.jkt()),
            ..AuthorizationRequest::default()
        };
        let outgoing = request(&world.parties(), &login, key, &world.prover).expect("made");
        let form = Form::parse(outgoing.request.body()).expect("a form");
        (outgoing, form)
    }

    fn answer(status: u16, body: &str) -> Response<Bytes> {
        let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        response
    }

    #[test]
    fn cl_flw_09_a_pushed_request_has_a_proof_and_names_the_key() {
        let (outgoing, form) = pushed(&world(), None);
        assert_eq!(outgoing.request.uri(), "https://id.example/par");
        assert!(outgoing.proof.is_some() && outgoing.request.headers().contains_key("DPoP"));
        assert_eq!((form.get("client_id"), form.get("state")), (Some("app"), Some("s")));
        assert!(form.has("dpop_jkt") && !form.has("request"));
    }

    #[test]
    fn fapi_cl_05_a_client_with_a_certificate_pushes_to_the_endpoint_for_those() {
        let mut world = World::new(&json!({
            "pushed_authorization_request_endpoint": "https://id.example/par",
            "mtls_endpoint_aliases": { "pushed_authorization_request_endpoint": "https://mtls.id.example/par" },
        }));
        assert_eq!(pushed(&world, None).0.request.uri(), "https://id.example/par");
        world.identity.auth = ClientAuth::TlsCertificate;
        assert_eq!(pushed(&world, None).0.request.uri(), "https://mtls.id.example/par");
    }

    #[test]
    fn a_client_with_a_secret_in_the_header_is_named_in_the_form_too() {
        let mut world = world();
        world.identity.auth = ClientAuth::SecretBasic(Secret::new("s"));
        let (outgoing, form) = pushed(&world, None);
        assert!(outgoing.request.headers().contains_key("Authorization"));
        assert_eq!((form.get("client_id"), form.get("client_secret")), (Some("app"), None));
    }

    #[test]
    fn a_signed_request_is_pushed_alone_and_anew_each_time() {
        let signer = Arc::new(SigningKey::generate(Algorithm::Es256).expect("a key"));
        let key = RequestKey { signer, kid: None };
        let world = world();
        let objects = [0, 1].map(|_| {
            let (_, form) = pushed(&world, Some(&key));
            let mut names: Vec<&str> = form.names().collect();
            names.sort_unstable();
            assert_eq!(names, ["client_id", "request"]);
            form.secret("request")
        });
        assert_ne!(objects[0], objects[1], "each has a `jti` of its own");
    }

    #[test]
    fn answers_are_told_apart() {
        let good = r#"{"request_uri":"urn:ietf:params:oauth:request_uri:1","expires_in":60}"#;
        for status in [200, 201] {
            assert_eq!(judge(&answer(status, good)).expect("taken").expires_in_secs, 60);
        }
        let refused = judge(&answer(401, r#"{"error":"invalid_client"}"#)).expect_err("refused");
        assert!(refused.to_string().contains("credentials"), "{refused}");
        for status in [301, 302, 303, 307, 308] {
            assert!(matches!(judge(&answer(status, good)), Err(PushedError::Redirected(_))));
        }
        assert!(matches!(judge(&answer(404, "<html>")), Err(PushedError::Unreadable(_))));
        assert!(matches!(judge(&answer(201, "{}")), Err(PushedError::Response(_))));
    }
}
