//! A client at one authorization server. The ways to get tokens are in [`crate::flow`], one a file.

use crate::client_auth::Identity;
use crate::error::ClientError;
use crate::id_token::{self, IdTokenRefused, SKEW_SECS};
use crate::prover::Prover;
use crate::session::{Origins, Session};
use crate::token_exchange::{self, Wanted};
use crate::tokens::Tokens;
use crate::transport::Transport;
use keybound_dpop::jose::jws::{JwtError, UnverifiedJwt};
use keybound_dpop::nonce_cache::Role;
use keybound_fetch::JwksSource;
use keybound_oauth::id_token::{Expected, IdTokenClaims};
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
        Self { transport, server: Arc::new(server), identity, prover, keys, wanted: Wanted::Bound }
    }

    /// The same client, which takes bearer tokens too where the server issues no others.
    #[must_use]
    pub fn allowing_bearer(self) -> Self {
        Self { wanted: Wanted::BearerToo, ..self }
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
        let role = Role::AuthorizationServer;
        let response = self.transport.exchange(&self.prover, role, MAX_ANSWER_BYTES, make).await?;
        Ok(token_exchange::judge(&response, self.wanted)?)
    }

    /// Checks the ID token among these tokens.
    pub(crate) async fn check_id_token(
        &self,
        tokens: &Tokens,
        nonce: Option<&str>,
        max_age_secs: Option<u64>,
    ) -> Result<IdTokenClaims, ClientError> {
        let id_token = tokens.id_token.as_ref().ok_or(IdTokenRefused::Missing)?;
        let unknown = IdTokenRefused::Signature(JwtError::UnknownKey);
        let source = self.keys.as_ref().ok_or(unknown)?;
        let kid = UnverifiedJwt::parse(id_token.reveal()).and_then(|jwt| jwt.kid());
        let keys = source.keys(kid.map_err(IdTokenRefused::from)?.as_deref()).await?;
        let expected = Expected {
            issuer: &self.server.issuer,
            client_id: &self.identity.client_id,
            nonce,
            access_token: Some(&tokens.access_token),
            max_age_secs,
            now: self.prover.now(),
            skew_secs: SKEW_SECS,
        };
        Ok(id_token::verify(id_token, &self.server, &keys, &expected)?)
    }
}
