//! How a login begins: the request, and how it travels: in the URL, signed, or pushed.

use crate::flow::authorization_code::ask::{LoginAsk, Parties, Profile, RESERVED, RequestKey, When};
use crate::flow::authorization_code::fapi::{self, NotFapi};
use crate::flow::authorization_code::pending::{Defence, OidcNonce, PendingLogin};
use crate::flow::request_object;
use crate::outgoing::OutgoingError;
use crate::prover::{ProveError, Prover};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::{self, CryptoError};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization::AuthorizationRequest;
use keybound_oauth::identifier::{ClientId, Endpoint};
use keybound_oauth::pkce::{CodeChallenge, CodeVerifier, S256};
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::pushed::PushedResponse;
use keybound_oauth::response_mode::ResponseMode;

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

/// A login cannot begin; nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginImpossible {
    /// The server has no authorization endpoint.
    #[error(
        "the authorization server's metadata has no `authorization_endpoint`, so nobody can log in there"
    )]
    NoEndpoint,
    /// A pushed request is needed, and the server has no endpoint for it.
    #[error(
        "the request has to be pushed, and the authorization server's metadata has no \
         `pushed_authorization_request_endpoint`"
    )]
    CannotPush,
    /// The server takes pushed requests only, and the login must not push.
    #[error("the authorization server takes pushed requests only; let the login push its request")]
    MustPush,
    /// A signed request is needed, and there is no key for it.
    #[error(
        "the request has to be signed, and the client has no key for that; give it one, or use private_key_jwt"
    )]
    CannotSign,
    /// The server takes signed requests only, and the login must not sign.
    #[error("the authorization server takes signed requests only; let the login sign its request")]
    MustSign,
    /// The server does not list the response mode.
    #[error("the authorization server does not list the response mode `{0}`")]
    ResponseMode(&'static str),
    /// Nothing would tell this server's answer from another one's (RFC 9700 §4.4.2).
    #[error(
        "the authorization server does not say that it sends `iss`, and other servers answer to the same redirect URI; \
         give it a redirect URI of its own, or ask for a signed answer"
    )]
    MixUp,
    /// A parameter of the client's own has the name of one that is ours to set.
    #[error("the parameter `{0}` is set by the login itself, and not by hand")]
    Reserved(String),
    /// The profile does not allow it.
    #[error(transparent)]
    Fapi(#[from] NotFapi),
    /// Nothing can be signed.
    #[error(transparent)]
    Prove(#[from] ProveError),
}

impl From<LoginImpossible> for crate::error::ClientError {
    fn from(error: LoginImpossible) -> Self {
        match error {
            LoginImpossible::NoEndpoint => OutgoingError::NoEndpoint("authorization_endpoint").into(),
            other => Self::Login(other),
        }
    }
}

/// For how long a login waits for its answer, at the most: people look for passwords, and no code lives that long.
const LIFE_SECS: u64 = 3600;

/// What comes next.
#[derive(Debug)]
pub enum Begun {
    /// The browser goes to the login's URL.
    Ready(Box<PendingLogin>),
    /// The request is pushed first.
    ToPush(Box<Unpushed>),
}

/// A login whose request is to be pushed ([`crate::flow::pushed`]).
#[derive(Debug)]
pub struct Unpushed {
    request: AuthorizationRequest,
    key: Option<RequestKey>,
    client_id: ClientId,
    endpoint: Endpoint,
    is_optional: bool,
    login: PendingLogin,
}

impl Unpushed {
    /// What is to be pushed.
    #[must_use]
    pub const fn request(&self) -> &AuthorizationRequest {
        &self.request
    }

    /// What it is to be signed with, if it is.
    #[must_use]
    pub const fn key(&self) -> Option<&RequestKey> {
        self.key.as_ref()
    }

    /// Whether the request may go through the browser where the server takes pushed requests of no client without
    /// credentials, though it lists its endpoint: nobody demands the push, and the client is such a one.
    #[must_use]
    pub const fn is_optional(&self) -> bool {
        self.is_optional
    }

    /// The login with its request in the URL.
    ///
    /// # Errors
    /// [`ProveError`] where it cannot be signed.
    pub fn in_url(self, parties: &Parties<'_>, now: UnixTime) -> Result<PendingLogin, ProveError> {
        in_url(parties, (&self.endpoint, self.key.as_ref()), (self.login, self.request), now)
    }

    /// The login, now that the server has answered. Only `client_id` and `request_uri` go through the browser
    /// (FAPI 2.0 §5.3.3.2).
    #[must_use]
    pub fn pushed(self, response: &PushedResponse, now: UnixTime) -> PendingLogin {
        let reference = AuthorizationRequest {
            client_id: Some(self.client_id),
            request_uri: Some(response.request_uri.reveal().to_owned()),
            ..AuthorizationRequest::default()
        };
        let url_expires_at = Some(now.plus_secs(response.expires_in_secs));
        PendingLogin { url: reference.to_url(&self.endpoint), url_expires_at, ..self.login }
    }
}

/// Begins a login: the first half. The code shall be bound to the prover's key (RFC 9449 §10).
///
/// # Errors
/// [`LoginImpossible`]
pub fn begin(
    parties: &Parties<'_>,
    redirect_uri: &str,
    ask: LoginAsk,
    prover: &Prover,
    entropy: &LoginEntropy,
) -> Result<Begun, LoginImpossible> {
    let server = parties.server;
    let endpoint = server.endpoints.authorization_endpoint.clone().ok_or(LoginImpossible::NoEndpoint)?;
    if parties.rules.profile == Profile::Fapi2 {
        fapi::check_login(parties, prover)?;
    }
    if let Some((name, _)) = ask.more.iter().find(|(name, _)| RESERVED.contains(&name.as_str())) {
        return Err(LoginImpossible::Reserved(name.clone()));
    }
    check_response_mode(server, ask.response)?;
    if parties.rules.shares_redirect_uri && !promises_iss(server) && !ask.response.is_signed() {
        return Err(LoginImpossible::MixUp);
    }
    let is_optional = ask.pushed == When::Auto && !must_push(parties) && !parties.identity.is_confidential();
    let (is_pushed, key) = (is_pushed(parties, ask.pushed)?, signing_key(parties, ask.signed)?);
    let login = pending(parties, redirect_uri, ask, prover, entropy);
    let request = login.request(server);
    if is_pushed {
        let client_id = parties.identity.client_id.clone();
        return Ok(Begun::ToPush(Box::new(Unpushed {
            request,
            key,
            client_id,
            endpoint,
            is_optional,
            login,
        })));
    }
    let login = in_url(parties, (&endpoint, key.as_ref()), (login, request), prover.now())?;
    Ok(Begun::Ready(Box::new(login)))
}

fn in_url(
    parties: &Parties<'_>,
    (endpoint, key): (&Endpoint, Option<&RequestKey>),
    (login, request): (PendingLogin, AuthorizationRequest),
    now: UnixTime,
) -> Result<PendingLogin, ProveError> {
    let request = match key {
        Some(key) => request_object::signed(parties, &request, key, now)?,
        None => request,
    };
    Ok(PendingLogin { url: request.to_url(endpoint), ..login })
}

fn promises_iss(server: &ProviderMetadata) -> bool {
    server.flags.authorization_response_iss_parameter_supported == Some(true)
}

fn pending(
    parties: &Parties<'_>,
    redirect_uri: &str,
    ask: LoginAsk,
    prover: &Prover,
    entropy: &LoginEntropy,
) -> PendingLogin {
    let server = parties.server;
    let nonce = ask.is_openid().then(|| OidcNonce::new(base64url::encode(&entropy.nonce)));
    PendingLogin {
        url: String::new(),
        url_expires_at: None,
        expires_at: prover.now().plus_secs(LIFE_SECS),
        issuer: server.issuer.clone(),
        client_id: parties.identity.client_id.clone(),
        is_iss_needed: promises_iss(server) || parties.rules.profile == Profile::Fapi2,
        redirect_uri: redirect_uri.to_owned(),
        jkt: prover.jkt(),
        defence: defence(server, nonce.is_some()),
        state: Secret::new(base64url::encode(&entropy.state)),
        verifier: CodeVerifier::from_entropy(&entropy.verifier),
        nonce,
        ask,
    }
}

impl PendingLogin {
    fn request(&self, server: &ProviderMetadata) -> AuthorizationRequest {
        let ask = self.ask.clone();
        // `query` is what a code comes in anyway.
        let response_mode = Some(ask.response).filter(|mode| *mode != ResponseMode::Query);
        AuthorizationRequest {
            client_id: Some(self.client_id.clone()),
            response_type: Some("code".to_owned()),
            redirect_uri: Some(self.redirect_uri.clone()),
            response_mode: response_mode.map(|mode| mode.as_str().to_owned()),
            scope: ask.scope,
            state: Some(self.state.reveal().to_owned()),
            code_challenge: Some(CodeChallenge::of(&self.verifier)),
            code_challenge_method: Some(S256.to_owned()),
            dpop_jkt: server.supports_dpop().then_some(self.jkt),
            resources: ask.resources,
            authorization_details: ask.authorization_details,
            nonce: self.nonce.as_ref().map(|nonce| nonce.as_str().to_owned()),
            prompt: ask.prompt,
            max_age_secs: ask.max_age_secs,
            acr_values: ask.acr_values,
            claims: ask.claims,
            display: ask.display,
            ui_locales: ask.ui_locales,
            claims_locales: ask.claims_locales,
            login_hint: ask.login_hint,
            id_token_hint: ask.id_token_hint,
            request: None,
            request_uri: None,
            more: ask.more,
        }
    }
}

fn must_push(parties: &Parties<'_>) -> bool {
    parties.server.flags.require_pushed_authorization_requests == Some(true)
        || parties.rules.profile == Profile::Fapi2
}

fn is_pushed(parties: &Parties<'_>, wanted: When) -> Result<bool, LoginImpossible> {
    let is_possible = parties.server.endpoints.pushed_authorization_request_endpoint.is_some();
    let is_required = must_push(parties);
    match wanted {
        When::Never if is_required => Err(LoginImpossible::MustPush),
        When::Never => Ok(false),
        When::Always | When::Auto if is_possible => Ok(true),
        When::Auto if !is_required => Ok(false),
        When::Always | When::Auto => Err(LoginImpossible::CannotPush),
    }
}

fn signing_key(parties: &Parties<'_>, wanted: When) -> Result<Option<RequestKey>, LoginImpossible> {
    let is_required = parties.server.flags.require_signed_request_object == Some(true);
    match wanted {
        When::Never if is_required => Err(LoginImpossible::MustSign),
        When::Never => Ok(None),
        When::Auto if !is_required => Ok(parties.rules.request_key.clone()),
        When::Always | When::Auto => parties.request_key().map(Some).ok_or(LoginImpossible::CannotSign),
    }
}

/// A mode that the server does not list; where it lists none, the plain ones are taken for granted.
fn check_response_mode(server: &ProviderMetadata, mode: ResponseMode) -> Result<(), LoginImpossible> {
    let listed = &server.supported.response_modes_supported;
    let is_listed = listed.iter().any(|name| ResponseMode::parse(name) == Some(mode));
    let is_unknown = listed.is_empty() && !mode.is_signed();
    if mode == ResponseMode::Query || is_listed || is_unknown {
        Ok(())
    } else {
        Err(LoginImpossible::ResponseMode(mode.as_str()))
    }
}

/// RFC 9700 §4.7.1: PKCE is relied on where the metadata says that the server checks it.
fn defence(server: &ProviderMetadata, has_nonce: bool) -> Defence {
    let methods = &server.supported.code_challenge_methods_supported;
    if methods.iter().any(|method| method == S256) {
        Defence::Pkce
    } else if has_nonce {
        Defence::OidcNonce
    } else if server.supports_dpop() {
        Defence::Key
    } else {
        Defence::StateOnly
    }
}
