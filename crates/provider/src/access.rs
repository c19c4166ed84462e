//! Access tokens of ours, found by their text, whichever form they have: for introspection, revocation, exchange and
//! UserInfo.

use crate::issue;
use crate::provider::Provider;
use crate::signing_keys::KeyUse;
use crate::store::{AccessToken, Credential, Fault, Id};
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::{UnverifiedJwt, VerifiedJwt};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::Now;
use keybound_oauth::access_token::{AccessTokenClaims, has_access_token_type};
use serde_json::{Map, Value};

/// An access token of ours that is good now.
#[derive(Clone, Debug)]
pub struct LiveToken {
    /// What it says.
    pub claims: AccessTokenClaims,
    /// The same, and what we do not need to know of it.
    pub all: Map<String, Value>,
    /// The grant that it belongs to; none where the client acts for itself.
    pub grant: Option<Id>,
    /// Its row, where it is opaque.
    pub row: Option<Id>,
}

impl LiveToken {
    /// The client that it was issued to.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.claims.client_id.as_deref().unwrap_or_default()
    }

    /// Its `jti`.
    #[must_use]
    pub fn jti(&self) -> &str {
        self.claims.jti.as_deref().unwrap_or_default()
    }
}

/// The access token with that text; none where it is not one of ours, has ended, or was revoked.
///
/// # Errors
/// [`Fault`] where the store does not answer.
pub async fn find(provider: &Provider, text: &str, now: Now) -> Result<Option<LiveToken>, Fault> {
    let found = match Credential::parse(text) {
        Some((id, hash)) => provider.store.find_access_token(id, &hash).await?.and_then(kept),
        None => signed(provider, text, now),
    };
    let Some(token) = found.filter(|token| now.unix < token.claims.exp) else { return Ok(None) };
    if provider.store.is_revoked(token.grant, token.jti()).await? {
        return Ok(None);
    }
    // What a client was given ends with it.
    let is_there = provider.clients.is_there(&provider.store, token.client_id(), now).await?;
    Ok(is_there.then_some(token))
}

/// What an opaque token stands for, as a guard asks for it.
///
/// # Errors
/// Why that cannot be found out, for the log.
pub async fn look_up(provider: &Provider, token: Secret) -> keybound_resource::LookedUp {
    let found = find(provider, token.reveal(), provider.now()).await;
    let found = found.map_err(|fault| fault.reason().to_owned())?;
    Ok(found.map(|token| Value::Object(token.all).to_string().into_bytes()))
}

fn kept(token: AccessToken) -> Option<LiveToken> {
    let json = Value::Object(token.claims);
    let claims = AccessTokenClaims::parse(json.to_string().as_bytes()).ok()?;
    let Value::Object(all) = json else { return None };
    Some(LiveToken { claims, all, grant: token.grant_id, row: Some(token.id) })
}

fn signed(provider: &Provider, text: &str, now: Now) -> Option<LiveToken> {
    let jwt = UnverifiedJwt::parse(text).ok()?;
    let verified = verify(provider, &jwt, now)?;
    let claims = AccessTokenClaims::read(&verified).ok()?;
    if !has_access_token_type(&verified) || claims.iss != provider.config.issuer.as_str() {
        return None;
    }
    let all = serde_json::from_slice(verified.payload()).ok()?;
    let grant = claims.jti.as_deref().and_then(issue::grant_of);
    Some(LiveToken { claims, all, grant, row: None })
}

fn verify(provider: &Provider, jwt: &UnverifiedJwt<'_>, now: Now) -> Option<VerifiedJwt> {
    let header = jwt.header().ok()?;
    let algorithm = Algorithm::parse(header.string("alg").ok()??)?;
    let keys = provider.signing_keys.key_set_of(KeyUse::Tokens, now.unix);
    let kid = jwt.kid().ok()?;
    jwt.verify(AlgorithmSet::of(&Algorithm::ALL), keys.candidates(kid.as_deref(), algorithm)).ok()
}
