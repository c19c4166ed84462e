//! The first half of an exchange: a request, ready to be sent once.

use crate::client_auth::{ClientAuth, Identity};
use crate::destination::{Destination, DestinationError};
use crate::prover::{Proof, ProofFor, ProveError, Prover};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use keybound_dpop::jose::signer::Signer as _;
use keybound_dpop::secret::Secret;
use keybound_oauth::form::FormWriter;
use keybound_oauth::identifier::{Endpoint, Issuer};
use std::fmt;

/// A request with its proof. For a second sending it is made anew. `Debug` does not show the body, which may hold
/// credentials.
pub struct Outgoing {
    /// The request.
    pub request: Request<Bytes>,
    /// Where it goes.
    pub to: Destination,
    /// The proof in it; a request with a bearer token has none.
    pub proof: Option<Proof>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} {} {:?})", self.request.method(), self.to.htu(), self.proof)
    }
}

/// A request could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    /// The server does not say where to send it.
    #[error("the authorization server's metadata has no `{0}`, so this cannot be done there")]
    NoEndpoint(&'static str),
    /// The URL cannot be used.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// No proof or assertion could be made.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// A token or secret holds characters that no header has.
    #[error("a token or secret cannot be sent in a header: it holds characters that no header has")]
    Header,
    /// A key has one use (RFC 8725 §3.1).
    #[error(
        "one key makes the proofs and signs the client assertions; a key has one use, so make one for each"
    )]
    OneKeyForBoth,
}

/// A POST of a form to an authorization server, with what shows the client and a proof without `ath`.
///
/// # Errors
/// [`OutgoingError`]
pub fn form_post(
    endpoint: &Endpoint,
    form: FormWriter,
    identity: &Identity,
    issuer: &Issuer,
    prover: &Prover,
) -> Result<Outgoing, OutgoingError> {
    if let ClientAuth::PrivateKeyJwt { signer, .. } = &identity.auth
        && signer.public_jwk().thumbprint() == prover.jkt()
    {
        return Err(OutgoingError::OneKeyForBoth);
    }
    let to = Destination::parse(endpoint.as_str())?;
    let (form, authorization) = identity.present(issuer, prover.now_at(&to))?.write(form);
    let proof = prover.prove(ProofFor::AuthorizationServer, &Method::POST, &to)?;
    let mut request = Request::new(Bytes::from(form.finish()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = to.uri().clone();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(credentials) = authorization {
        headers.insert(AUTHORIZATION, sensitive(&credentials)?);
    }
    proof.put(headers);
    Ok(Outgoing { request, to, proof: Some(proof) })
}

/// A header value that is not shown in Debug.
///
/// # Errors
/// [`OutgoingError::Header`]
pub(crate) fn sensitive(text: &Secret) -> Result<HeaderValue, OutgoingError> {
    let mut value = HeaderValue::from_str(text.reveal()).map_err(|_| OutgoingError::Header)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::jose::algorithm::Algorithm;
    use keybound_dpop::jose::signer::SigningKey;
    use keybound_dpop::time::SystemClock;
    use keybound_oauth::identifier::ClientId;
    use std::sync::Arc;

    fn post(auth: ClientAuth) -> Outgoing {
        let key = Arc::new(SigningKey::generate(Algorithm::Es256).expect("a key"));
        post_with(auth, key).expect("made")
    }

    fn post_with(auth: ClientAuth, key: Arc<SigningKey>) -> Result<Outgoing, OutgoingError> {
        let endpoint = Endpoint::parse("https://id.example/token").expect("an endpoint");
        let issuer = Issuer::parse("https://id.example").expect("an issuer");
        let identity = Identity { client_id: ClientId::parse("app").expect("a client"), auth };
        let prover = Prover::new(key, Arc::default(), Arc::new(SystemClock::start()));
        let form = FormWriter::new().pair("refresh_token", "hunter2");
        form_post(&endpoint, form, &identity, &issuer, &prover)
    }

    #[test]
    fn cl_key_06_the_key_of_the_proofs_does_not_authenticate_the_client() {
        let [one, other] = [0; 2].map(|_| Arc::new(SigningKey::generate(Algorithm::Es256).expect("a key")));
        let auth = |key: &Arc<SigningKey>| ClientAuth::PrivateKeyJwt {
            signer: Arc::<SigningKey>::clone(key),
            kid: None,
        };
        assert!(post_with(auth(&one), Arc::clone(&other)).is_ok());
        assert_eq!(post_with(auth(&one), one).err(), Some(OutgoingError::OneKeyForBoth));
    }

    #[test]
    fn cl_key_02_debug_shows_no_credentials() {
        for auth in
            [ClientAuth::SecretBasic(Secret::new("hunter2")), ClientAuth::SecretPost(Secret::new("hunter2"))]
        {
            let outgoing = post(auth);
            assert!(!format!("{outgoing:?}").contains("hunter2"));
            assert!(!format!("{:?}", outgoing.request.headers()).contains("Basic"));
        }
    }
}
