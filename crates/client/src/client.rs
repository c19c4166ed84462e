//! A client at one authorization server. The ways to get tokens are in [`crate::flow`], one a file.

use crate::client_auth::Identity;
use crate::discover;
use crate::error::ClientError;
use crate::flow::authorization_code::ask::{LoginRules, Parties, Profile};
use crate::flow::authorization_code::fapi::{self, NotFapi};
use crate::id_token::{self, Asked, IdTokenRefused};
use crate::outgoing::{Outgoing, OutgoingError, form_post};
use crate::prover::Prover;
use crate::session::{Origins, Session};
use crate::token_endpoint::{self, Wanted};
use crate::tokens::Tokens;
use crate::transport::Transport;
use bytes::Bytes;
use http::Response;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::{JwtError, UnverifiedJwt, VerifiedJwt};
use keybound_dpop::nonce_cache::Role;
use keybound_dpop::secret::Secret;
use keybound_fetch::JwksSource;
use keybound_oauth::form::FormWriter;
use keybound_oauth::id_token::IdTokenClaims;
use keybound_oauth::identifier::Endpoint;
use keybound_oauth::provider_metadata::{Endpoints, ProviderMetadata};
use keybound_oauth::scope::Scope;
use keybound_oauth::token::{GrantRequest, TokenRequest, TokenResponse};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes in an answer of an authorization server, at the most.
pub(crate) const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// A client at one authorization server, with one key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
    server: Arc<ProviderMetadata>,
    identity: Identity,
    prover: Prover,
    keys: Option<JwksSource>,
    wanted: Wanted,
    login_rules: LoginRules,
    /// Whether no login has begun under the key that was made for one.
    new_key: Option<Arc<AtomicBool>>,
}

impl Client {
    /// A client at the server that says this of itself ([`Transport::discover`]). Its tokens are bound to the
    /// prover's key.
    #[must_use]
    pub fn new(transport: Transport, server: ProviderMetadata, identity: Identity, prover: Prover) -> Self {
        let keys = server
            .endpoints
            .jwks_uri
            .as_ref()
            .map(|url| JwksSource::new(transport.fetcher().clone(), url.url().clone(), prover.clock()));
        let (wanted, login_rules) = (Wanted::Bound, LoginRules::default());
        let server = Arc::new(server);
        Self { transport, server, identity, prover, keys, wanted, login_rules, new_key: None }
    }

    /// The same client, which takes bearer tokens too where the server issues no others; not under FAPI 2.0.
    #[must_use]
    pub fn allowing_bearer(self) -> Self {
        self.expecting(Wanted::BearerToo)
    }

    /// The same client, whose logins go by these rules.
    #[must_use]
    pub fn with_login_rules(self, login_rules: LoginRules) -> Self {
        let wanted = self.wanted;
        Self { login_rules, ..self }.expecting(wanted)
    }

    /// The same client under another key.
    #[must_use]
    pub fn with_prover(self, prover: Prover) -> Self {
        Self { prover, new_key: None, ..self }
    }

    /// The same client under a key that was made for one login, and that nobody has used:
    /// [`Client::under_new_key`] makes one.
    #[must_use]
    pub fn with_new_key(self, prover: Prover) -> Self {
        Self { prover, new_key: Some(Arc::new(AtomicBool::new(true))), ..self }
    }

    /// Whether the key was made for one login, and this is that login.
    pub(crate) fn spend_new_key(&self) -> bool {
        self.new_key.as_ref().is_some_and(|is_new| is_new.swap(false, Ordering::Relaxed))
    }

    /// The same client, held to FAPI 2.0: pushed requests, `private_key_jwt` or a certificate, bound tokens, `iss` in
    /// each answer.
    ///
    /// # Errors
    /// [`NotFapi`] where this client cannot do that at this server.
    pub fn under_fapi2(self) -> Result<Self, NotFapi> {
        let login_rules = LoginRules { profile: Profile::Fapi2, ..self.login_rules };
        let client = Self { login_rules, wanted: Wanted::Bound, ..self };
        fapi::check(&client.parties(), &client.prover)?;
        Ok(client)
    }

    /// The same client, which takes the tokens that the server is known to issue. Under FAPI 2.0 these are bound ones.
    #[must_use]
    pub fn expecting(self, wanted: Wanted) -> Self {
        let wanted = match self.login_rules.profile {
            Profile::Fapi2 => Wanted::Bound,
            Profile::Open => wanted,
        };
        Self { wanted, ..self }
    }

    /// Which tokens it takes.
    #[must_use]
    pub const fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// The driver.
    #[must_use]
    pub const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The server's metadata.
    #[must_use]
    pub fn server(&self) -> &ProviderMetadata {
        &self.server
    }

    /// Who the client is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The rules of its logins.
    #[must_use]
    pub const fn login_rules(&self) -> &LoginRules {
        &self.login_rules
    }

    /// Who takes part in its logins, for the pure halves.
    #[must_use]
    pub fn parties(&self) -> Parties<'_> {
        Parties { server: &self.server, identity: &self.identity, rules: &self.login_rules }
    }

    /// The keys of the issuer, where it publishes some.
    pub(crate) const fn keys(&self) -> Option<&JwksSource> {
        self.keys.as_ref()
    }

    /// The key.
    #[must_use]
    pub const fn prover(&self) -> &Prover {
        &self.prover
    }

    /// A session out of tokens of this client: what they are bound to, and where they may be sent. `key` names the key
    /// where it is kept.
    #[must_use]
    pub fn session(&self, key: &str, tokens: Tokens, origins: Origins) -> Session {
        Session {
            issuer: self.server.issuer.clone(),
            client_id: self.identity.client_id.clone(),
            key: key.to_owned(),
            jkt: self.prover.jkt(),
            tokens,
            origins,
        }
    }

    /// A round to the token endpoint. On a nonce challenge the same grant is sent again, with a new proof and, where the
    /// client has one, a new assertion (RFC 9449 §8).
    pub(crate) async fn ask_for_tokens(&self, grant: &TokenRequest) -> Result<Response<Bytes>, ClientError> {
        let make = || {
            let made = token_endpoint::request(&self.server, &self.identity, grant, &self.prover);
            made.map_err(ClientError::from)
        };
        self.ask_server(make).await
    }

    /// The same, and its answer judged.
    pub(crate) async fn request_tokens(&self, grant: &TokenRequest) -> Result<TokenResponse, ClientError> {
        let response = self.ask_for_tokens(grant).await?;
        let wanted = match (self.wanted, &grant.grant) {
            // The refresh token that is bound stays where no new one comes.
            (Wanted::RefreshBound, GrantRequest::RefreshToken { .. }) => Wanted::BearerToo,
            (wanted, _) => wanted,
        };
        self.judge_tokens(&response, wanted, grant)
    }

    /// What an answer of the token endpoint to that grant means; a refusal does not show what was handed in.
    pub(crate) fn judge_tokens(
        &self,
        response: &Response<Bytes>,
        wanted: Wanted,
        grant: &TokenRequest,
    ) -> Result<TokenResponse, ClientError> {
        let judged = token_endpoint::judge(response, wanted);
        Ok(judged.map_err(|error| error.without(&self.secrets(grant.grant.secrets())))?)
    }

    /// These secrets and the client's own: what was sent, and is not to be shown.
    pub(crate) fn secrets<'s>(&'s self, mut sent: Vec<&'s Secret>) -> Vec<&'s Secret> {
        sent.extend(self.identity.secret());
        sent
    }

    /// Where this client meets that endpoint; `name` is its member in the metadata.
    pub(crate) fn endpoint(
        &self,
        name: &'static str,
        of: impl Fn(&Endpoints) -> Option<&Endpoint>,
    ) -> Result<&Endpoint, OutgoingError> {
        discover::endpoint(&self.server, &self.identity, name, of)
    }

    /// A round to another endpoint that takes a form, with what shows the client and a proof.
    pub(crate) async fn post_form(
        &self,
        name: &'static str,
        of: impl Fn(&Endpoints) -> Option<&Endpoint>,
        form: impl Fn() -> FormWriter,
    ) -> Result<Response<Bytes>, ClientError> {
        let endpoint = self.endpoint(name, of)?;
        let make = || {
            let made = form_post(endpoint, form(), &self.identity, &self.server.issuer, &self.prover);
            made.map_err(ClientError::from)
        };
        self.ask_server(make).await
    }

    /// The tokens of a response to a grant without a redirect. An ID token among them is checked where one was asked for,
    /// and dropped where not.
    pub(crate) async fn granted(
        &self,
        response: TokenResponse,
        asked: Option<&Scope>,
    ) -> Result<Tokens, ClientError> {
        let mut tokens = Tokens::granted(response, asked, self.prover.now());
        if !asked.is_some_and(|scope| scope.contains("openid")) {
            tokens.id_token = None;
        }
        if tokens.id_token.is_some() {
            tokens.subject = Some(self.check_id_token(&tokens, &Asked::default()).await?.sub);
        }
        Ok(tokens)
    }

    /// Verifies a JWT of the server under one of the algorithms that it names.
    pub(crate) async fn verify_jwt(
        &self,
        token: &str,
        accepted: AlgorithmSet,
    ) -> Result<VerifiedJwt, ClientError> {
        let jwt = UnverifiedJwt::parse(token).map_err(IdTokenRefused::from)?;
        let kid = jwt.kid().map_err(IdTokenRefused::from)?;
        let header = jwt.header().map_err(IdTokenRefused::from)?;
        let named = header.string("alg").ok().flatten();
        let algorithm =
            named.and_then(Algorithm::parse).ok_or(IdTokenRefused::Signature(JwtError::Algorithm))?;
        let source = self.keys.as_ref().ok_or(IdTokenRefused::Signature(JwtError::UnknownKey))?;
        let keys = source.keys(kid.as_deref()).await?;
        let verified = jwt.verify(accepted, keys.candidates(kid.as_deref(), algorithm));
        Ok(verified.map_err(IdTokenRefused::from)?)
    }

    /// A round to the server.
    pub(crate) async fn ask_server(
        &self,
        make: impl Fn() -> Result<Outgoing, ClientError>,
    ) -> Result<Response<Bytes>, ClientError> {
        let role = Role::AuthorizationServer;
        self.transport.exchange(&self.prover, role, MAX_ANSWER_BYTES, make).await
    }

    /// Checks the ID token among these tokens.
    pub(crate) async fn check_id_token(
        &self,
        tokens: &Tokens,
        asked: &Asked<'_>,
    ) -> Result<IdTokenClaims, ClientError> {
        let id_token = tokens.id_token.as_ref().ok_or(IdTokenRefused::Missing)?;
        let unknown = IdTokenRefused::Signature(JwtError::UnknownKey);
        let source = self.keys.as_ref().ok_or(unknown)?;
        let kid = UnverifiedJwt::parse(id_token.reveal()).and_then(|jwt| jwt.kid());
        let keys = source.keys(kid.map_err(IdTokenRefused::from)?.as_deref()).await?;
        let parties = self.parties();
        let expected = asked.expected(&parties, &tokens.access_token, self.prover.now());
        Ok(id_token::verify(id_token, parties.id_token_algorithms(), &keys, &expected)?)
    }
}
