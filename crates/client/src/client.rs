//! A client at one authorization server. The ways to get tokens are in [`crate::flow`], one a file.

use crate::client_auth::Identity;
use crate::error::ClientError;
use crate::flow::authorization_code::ask::{LoginRules, Parties, Profile};
use crate::flow::authorization_code::fapi::{self, NotFapi};
use crate::id_token::{self, Asked, IdTokenRefused};
use crate::outgoing::Outgoing;
use crate::prover::Prover;
use crate::session::{Origins, Session};
use crate::token_exchange::{self, Wanted};
use crate::tokens::Tokens;
use crate::transport::Transport;
use bytes::Bytes;
use http::Response;
use keybound_dpop::jose::jws::{JwtError, UnverifiedJwt};
use keybound_dpop::nonce_cache::Role;
use keybound_fetch::JwksSource;
use keybound_oauth::id_token::IdTokenClaims;
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::token::{TokenRequest, TokenResponse};
use std::sync::Arc;

/// Bytes in an answer of an authorization server, at the most.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

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
        Self { transport, server: Arc::new(server), identity, prover, keys, wanted, login_rules }
    }

    /// The same client, which takes bearer tokens too where the server issues no others.
    #[must_use]
    pub fn allowing_bearer(self) -> Self {
        let wanted = match self.login_rules.profile {
            Profile::Fapi2 => Wanted::Bound,
            Profile::Open => Wanted::BearerToo,
        };
        Self { wanted, ..self }
    }

    /// The same client, whose logins go by these rules.
    #[must_use]
    pub fn with_login_rules(self, login_rules: LoginRules) -> Self {
        Self { login_rules, ..self }
    }

    /// The same client under another key.
    #[must_use]
    pub fn with_prover(self, prover: Prover) -> Self {
        Self { prover, ..self }
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
    pub(crate) async fn request_tokens(&self, grant: &TokenRequest) -> Result<TokenResponse, ClientError> {
        let make = || {
            let made = token_exchange::request(&self.server, &self.identity, grant, &self.prover);
            made.map_err(ClientError::from)
        };
        let response = self.ask_server(make).await?;
        Ok(token_exchange::judge(&response, self.wanted)?)
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
