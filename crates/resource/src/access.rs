//! What the guard found: who calls, for whom, with which key.

use crate::denied::TokenId;
use crate::token::Token;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::proof::check::{FreshProof, NonceUse};
use keybound_dpop::time::UnixTime;
use keybound_dpop::token_hash::TokenHash;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::scope::Scope;
use serde_json::{Map, Value};
use std::any::Any;
use std::sync::Arc;

/// An access token that the guard let through, and the key that was proven beside it. Only the guard makes one; a
/// guarded service finds it among the request's extensions.
#[derive(Clone, Debug)]
pub struct Access {
    token: Arc<Token>,
    jkt: Option<Thumbprint>,
    hash: TokenHash,
    asked_for_nonce: bool,
    wants_new_nonce: bool,
}

impl Access {
    pub(crate) fn of_proof(token: Arc<Token>, hash: TokenHash, proof: &FreshProof) -> Self {
        let asked_for_nonce = proof.nonce() != NonceUse::NotAsked;
        let (jkt, wants_new_nonce) = (Some(*proof.jkt()), proof.wants_new_nonce());
        Self { token, jkt, hash, asked_for_nonce, wants_new_nonce }
    }

    pub(crate) const fn of_bearer(token: Arc<Token>, hash: TokenHash, asked_for_nonce: bool) -> Self {
        Self { token, jkt: None, hash, asked_for_nonce, wants_new_nonce: false }
    }

    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    pub(crate) const fn was_asked_for_nonce(&self) -> bool {
        self.asked_for_nonce
    }

    /// `iss`: who issued the token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.token.claims.iss
    }

    /// `sub`: on whose behalf the client calls.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.token.subject
    }

    /// The client that the token was issued to: `client_id`, or, of issuers with other tokens, `azp` or `cid`.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.token.client_id.as_deref()
    }

    /// The scope of the token.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.token.claims.scope
    }

    /// The thumbprint of the key that the token is bound to and that was proven; `None` for a bearer token, where the
    /// guard allows them.
    #[must_use]
    pub const fn jkt(&self) -> Option<&Thumbprint> {
        self.jkt.as_ref()
    }

    /// The hash of the token as it came, which the proof names as `ath`.
    #[must_use]
    pub const fn token_hash(&self) -> &TokenHash {
        &self.hash
    }

    /// What the token is known by, however it is written: [`Guard::deny`](crate::Guard::deny) cuts it off by that.
    #[must_use]
    pub fn token_id(&self) -> TokenId {
        self.token.id.unwrap_or(TokenId::of_opaque(self.hash))
    }

    /// `acr`: how the user signed in (RFC 9470).
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.token.claims.acr.as_deref()
    }

    /// `auth_time`: when the user signed in.
    #[must_use]
    pub fn auth_time(&self) -> Option<UnixTime> {
        self.token.claims.auth_time
    }

    /// `authorization_details` (RFC 9396 §9.1); none where they are malformed, so that nobody relies on them.
    #[must_use]
    pub fn authorization_details(&self) -> AuthorizationDetails {
        let details = self.token.all.get("authorization_details").map(AuthorizationDetails::from_json);
        details.and_then(Result::ok).unwrap_or_default()
    }

    /// All claims of the token.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.token.all
    }

    /// What the service derives from the token, kept beside it for as long as the guard remembers it: made by whoever asks
    /// first, and of the token alone, because every request with it gets the same. `None` where something of another type
    /// is kept already.
    pub fn derived<T: Any + Send + Sync>(&self, make: impl FnOnce(&Self) -> T) -> Option<&T> {
        self.token.derived.get_or_init(|| Box::new(make(self))).downcast_ref()
    }

    /// `exp`: from this moment on the token is refused.
    #[must_use]
    pub fn expires_at(&self) -> UnixTime {
        self.token.claims.exp
    }

    /// Whether the answer should bring a new nonce (RFC 9449 §8.2).
    #[must_use]
    pub const fn wants_new_nonce(&self) -> bool {
        self.wants_new_nonce
    }
}
