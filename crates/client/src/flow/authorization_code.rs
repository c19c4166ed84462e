//! The authorization code grant with PKCE (RFC 6749 §4.1, RFC 7636, RFC 9700 §2.1): the browser is sent to the server,
//! and comes back with a code.

use crate::client::Client;
use crate::error::ClientError;
use crate::id_token::IdTokenRefused;
use crate::outgoing::OutgoingError;
use crate::prover::ProveError;
use crate::tokens::Tokens;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::{self, CryptoError};
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::secret::Secret;
use keybound_oauth::authorization::{
    AuthorizationRequest, AuthorizationResponse, NotAnAuthorizationResponse, Prompt,
};
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::error::ErrorBody;
use keybound_oauth::form::{Form, FormError};
use keybound_oauth::identifier::{ClientId, Issuer, ResourceId};
use keybound_oauth::pkce::{CodeChallenge, CodeVerifier, S256};
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::scope::Scope;
use keybound_oauth::token::{GrantRequest, TokenRequest};
use std::fmt;

/// What a login asks for.
#[derive(Clone, Debug, Default)]
pub struct LoginAsk {
    /// `scope`
    pub scope: Option<Scope>,
    /// `resource`, any number of times (RFC 8707 §2)
    pub resources: Vec<ResourceId>,
    /// `prompt`
    pub prompt: Vec<Prompt>,
    /// `max_age`, in seconds.
    pub max_age_secs: Option<u64>,
    /// `login_hint`
    pub login_hint: Option<String>,
    /// `acr_values`, as text.
    pub acr_values: Option<String>,
}

/// The random parts of one login.
pub struct LoginEntropy {
    /// Becomes `state`.
    pub state: [u8; 32],
    /// Becomes the PKCE verifier.
    pub verifier: [u8; 32],
    /// Becomes the `nonce` of the ID token, which has nothing to do with that of proofs.
    pub nonce: [u8; 32],
}

impl LoginEntropy {
    /// Draws them.
    ///
    /// # Errors
    /// [`CryptoError`] where the system has no entropy to give.
    pub fn draw() -> Result<Self, CryptoError> {
        Ok(Self { state: crypto::random()?, verifier: crypto::random()?, nonce: crypto::random()? })
    }
}

/// A login that has begun: what the browser is sent to, and what its answer is held against. It ends with one answer.
pub struct PendingLogin {
    url: String,
    issuer: Issuer,
    is_iss_promised: bool,
    redirect_uri: String,
    state: Secret,
    verifier: CodeVerifier,
    ask: LoginAsk,
    nonce: Option<String>,
}

/// The answer that the browser brought is refused; the code in it, if any, was not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectRefused {
    /// It cannot be read.
    #[error("the browser's answer cannot be read ({0}); start the login again")]
    Unreadable(#[from] FormError),
    /// It is not an authorization response.
    #[error("the browser's answer is none ({0}); start the login again")]
    NotAResponse(#[from] NotAnAuthorizationResponse),
    /// `state` is missing or not ours.
    #[error("the browser's answer does not belong to this login (`state`); start the login again")]
    State,
    /// `iss` is another issuer: a mix-up attack, or a server that is set up wrong (RFC 9207 §2.4).
    #[error("the browser's answer is not from {expected} (`iss`); the code was not used")]
    Issuer {
        /// The issuer that was asked.
        expected: Issuer,
    },
    /// `iss` is missing, though the server promises it.
    #[error("the browser's answer lacks `iss`, which {expected} promises to send; the code was not used")]
    IssuerMissing {
        /// The issuer that was asked.
        expected: Issuer,
    },
    /// The server, or the user, said no.
    #[error("the login was refused: {0}")]
    Denied(ErrorBody),
}

/// Begins a login: the first half. `jkt` is the thumbprint of the key that the code shall be bound to (RFC 9449 §10).
///
/// # Errors
/// [`OutgoingError::NoEndpoint`] where the server has no authorization endpoint.
pub fn begin(
    server: &ProviderMetadata,
    client_id: &ClientId,
    redirect_uri: &str,
    ask: LoginAsk,
    jkt: Thumbprint,
    entropy: &LoginEntropy,
) -> Result<PendingLogin, OutgoingError> {
    let endpoint = server.endpoints.authorization_endpoint.as_ref();
    let endpoint = endpoint.ok_or(OutgoingError::NoEndpoint("authorization_endpoint"))?;
    let verifier = CodeVerifier::from_entropy(&entropy.verifier);
    let state = base64url::encode(&entropy.state);
    let is_openid = ask.scope.as_ref().is_some_and(|scope| scope.contains("openid"));
    let nonce = is_openid.then(|| base64url::encode(&entropy.nonce));
    let request = AuthorizationRequest {
        client_id: Some(client_id.clone()),
        response_type: Some("code".to_owned()),
        redirect_uri: Some(redirect_uri.to_owned()),
        scope: ask.scope.clone(),
        state: Some(state.clone()),
        code_challenge: Some(CodeChallenge::of(&verifier)),
        code_challenge_method: Some(S256.to_owned()),
        dpop_jkt: server.supports_dpop().then_some(jkt),
        resources: ask.resources.clone(),
        nonce: nonce.clone(),
        prompt: ask.prompt.clone(),
        max_age_secs: ask.max_age_secs,
        acr_values: ask.acr_values.clone(),
        login_hint: ask.login_hint.clone(),
        ..AuthorizationRequest::default()
    };
    Ok(PendingLogin {
        url: request.to_url(endpoint),
        issuer: server.issuer.clone(),
        is_iss_promised: server.flags.authorization_response_iss_parameter_supported == Some(true),
        redirect_uri: redirect_uri.to_owned(),
        state: Secret::new(state),
        verifier,
        ask,
        nonce,
    })
}

impl PendingLogin {
    /// Where to send the browser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The second half: what the query of the redirect means. `state` and `iss` come first; only then is it looked at
    /// whether the answer is a code or an error (RFC 9207 §2.4).
    ///
    /// # Errors
    /// [`RedirectRefused`]
    pub fn judge(&self, query: &Secret) -> Result<TokenRequest, RedirectRefused> {
        let form = Form::parse_query(query.reveal())?;
        if form.secret("state").as_ref() != Some(&self.state) {
            return Err(RedirectRefused::State);
        }
        let expected = || self.issuer.clone();
        match form.get("iss") {
            Some(iss) if iss != self.issuer.as_str() => {
                return Err(RedirectRefused::Issuer { expected: expected() });
            }
            None if self.is_iss_promised => {
                return Err(RedirectRefused::IssuerMissing { expected: expected() });
            }
            _ => {}
        }
        let code = AuthorizationResponse::parse(&form)?.outcome.map_err(RedirectRefused::Denied)?;
        let grant = GrantRequest::AuthorizationCode {
            code,
            redirect_uri: Some(self.redirect_uri.clone()),
            code_verifier: Some(self.verifier.clone()),
        };
        Ok(TokenRequest {
            grant,
            resources: self.ask.resources.clone(),
            authorization_details: AuthorizationDetails::default(),
        })
    }
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Client {
    /// Begins a login whose answer goes to `redirect_uri` ([`crate::loopback::Loopback::redirect_uri`]).
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn begin_login(&self, ask: LoginAsk, redirect_uri: &str) -> Result<PendingLogin, ClientError> {
        let entropy = LoginEntropy::draw().map_err(ProveError::from)?;
        let client_id = &self.identity().client_id;
        Ok(begin(self.server(), client_id, redirect_uri, ask, self.prover().jkt(), &entropy)?)
    }

    /// Ends a login with the query of the redirect: judges it, redeems the code, checks the ID token. A login can end
    /// once.
    ///
    /// # Errors
    /// [`ClientError`]; where the answer is refused, no request was sent.
    pub async fn finish_login(&self, login: PendingLogin, query: &Secret) -> Result<Tokens, ClientError> {
        let grant = login.judge(query)?;
        let response = self.request_tokens(&grant).await?;
        let mut tokens = Tokens::granted(response, login.ask.scope.as_ref(), self.prover().now());
        let is_openid = tokens.scope.as_ref().is_some_and(|scope| scope.contains("openid"));
        match (login.nonce.is_some(), tokens.id_token.is_some()) {
            (true, true) => {
                let checked =
                    self.check_id_token(&tokens, login.nonce.as_deref(), login.ask.max_age_secs).await?;
                tokens.subject = Some(checked.sub);
            }
            (true, false) if is_openid => return Err(IdTokenRefused::Missing.into()),
            _ => tokens.id_token = None,
        }
        Ok(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example";

    fn server(promises_iss: bool) -> ProviderMetadata {
        let json = serde_json::json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example/authorize",
            "authorization_response_iss_parameter_supported": promises_iss,
            "dpop_signing_alg_values_supported": ["ES256"],
        });
        let issuer = Issuer::parse(ISSUER).expect("an issuer");
        ProviderMetadata::parse(json.to_string().as_bytes(), &issuer).expect("metadata")
    }

    fn login(promises_iss: bool) -> PendingLogin {
        let ask = LoginAsk { scope: Scope::parse("openid read").ok(), ..LoginAsk::default() };
        let jkt = crate::session::tests::jkt();
        let client_id = ClientId::parse("app").expect("a client");
        let entropy = LoginEntropy::draw().expect("entropy");
        begin(&server(promises_iss), &client_id, "http://127.0.0.1:1/cb", ask, jkt, &entropy).expect("begun")
    }

    fn judge(login: &PendingLogin, query: &str) -> Result<TokenRequest, RedirectRefused> {
        login.judge(&Secret::new(query.replace("STATE", login.state.reveal())))
    }

    #[test]
    fn cl_flw_01_every_login_has_a_new_verifier_under_s256() {
        let (one, other) = (login(true), login(true));
        assert_ne!(one.verifier, other.verifier);
        assert_ne!(one.state, other.state);
        let query = one.url.split_once('?').expect("a query").1;
        let sent =
            AuthorizationRequest::parse(&Form::parse_query(query).expect("a form")).expect("a request");
        assert_eq!(sent.code_challenge, Some(CodeChallenge::of(&one.verifier)));
        assert_eq!(sent.code_challenge_method.as_deref(), Some("S256"));
        assert_eq!(sent.dpop_jkt, Some(crate::session::tests::jkt()));
        assert!(sent.nonce.is_some_and(|nonce| nonce.len() <= 64));
        assert_eq!(one.verifier.secret().reveal().len(), 43);
        assert!(!one.url.contains(one.verifier.secret().reveal()));
    }

    #[test]
    fn cl_flw_02_bcp_inj_05_bcp_inj_07_another_state_or_none_aborts() {
        let login = login(false);
        assert!(judge(&login, "code=c&state=STATE").is_ok());
        for bad in
            ["code=c", "code=c&state=other", "code=c&state=STATEx", "error=access_denied", "code=c&state="]
        {
            assert_eq!(judge(&login, bad), Err(RedirectRefused::State), "{bad}");
        }
        assert!(judge(&login, "code=c&state=STATE&state=STATE").is_err());
    }

    #[test]
    fn cl_flw_03_iss_is_compared_as_text_and_needed_where_promised() {
        let expected = Issuer::parse(ISSUER).expect("an issuer");
        let wrong = RedirectRefused::Issuer { expected: expected.clone() };
        for promised in [true, false] {
            let login = login(promised);
            assert!(judge(&login, "code=c&state=STATE&iss=https%3A%2F%2Fid.example").is_ok());
            for bad in
                ["https%3A%2F%2Fid.example%2F", "https%3A%2F%2FID.example", "https%3A%2F%2Fevil.example"]
            {
                let query = format!("code=c&state=STATE&iss={bad}");
                assert_eq!(judge(&login, &query), Err(wrong.clone()), "{bad}");
            }
        }
        let missing = judge(&login(true), "code=c&state=STATE");
        assert_eq!(missing, Err(RedirectRefused::IssuerMissing { expected }));
        assert!(judge(&login(false), "code=c&state=STATE").is_ok());
    }

    #[test]
    fn cl_flw_04_errors_count_only_after_state_and_iss() {
        let login = login(true);
        let wrong = judge(&login, "error=access_denied&state=STATE&iss=https%3A%2F%2Fevil.example");
        assert!(matches!(wrong, Err(RedirectRefused::Issuer { .. })));
        assert_eq!(judge(&login, "error=access_denied&state=x"), Err(RedirectRefused::State));
        let denied = judge(&login, "error=access_denied&state=STATE&iss=https%3A%2F%2Fid.example");
        assert!(matches!(denied, Err(RedirectRefused::Denied(body)) if body.error == "access_denied"));
    }

    #[test]
    fn debug_shows_neither_state_nor_verifier() {
        let login = login(true);
        let shown = format!("{login:?}");
        assert!(!shown.contains(login.state.reveal()) && !shown.contains(login.verifier.secret().reveal()));
    }
}
