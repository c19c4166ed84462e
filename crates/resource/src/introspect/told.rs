//! What an issuer said of a token that is active, read as strictly as a token's own claims (RFC 7662 §4, RS-INT-03).

use super::IntrospectionConfig;
use crate::token::{self, Token, TokenError};
use keybound_dpop::confirmation::Confirmation;
use keybound_dpop::time::UnixTime;
use keybound_oauth::introspection::{ActiveClaims, ActiveToken, IntrospectionError, IntrospectionResponse};
use keybound_oauth::token::TokenType;
use std::sync::Arc;

/// The answer.
pub(crate) struct Told {
    claims: ActiveClaims,
    /// As a token of its own; or why it is none, where it was said of a JWT that says more itself.
    pub(crate) token: Result<Arc<Token>, TokenError>,
}

impl Told {
    /// What to make of an answer. `now` is when it has come.
    pub(super) fn of(
        said: Result<IntrospectionResponse, IntrospectionError>,
        config: &IntrospectionConfig,
        now: UnixTime,
    ) -> Result<Arc<Self>, TokenError> {
        match said.map_err(TokenError::Answer)? {
            IntrospectionResponse::Inactive => Err(TokenError::Unknown),
            IntrospectionResponse::Active(active) => Self::read(&active, config, now).map(Arc::new),
        }
    }

    /// Believes an answer that says `active`.
    fn read(active: &ActiveToken, config: &IntrospectionConfig, now: UnixTime) -> Result<Self, TokenError> {
        let claims = active.claims().map_err(TokenError::Answer)?;
        if claims.iss.as_ref().is_some_and(|iss| iss != config.issuer.as_str()) {
            return Err(TokenError::Answer(IntrospectionError::Mismatch("iss")));
        }
        check_use(active)?;
        // Bound, and to nothing: whom would it keep out? (RFC 9449 §6.2, RS-DWN-05)
        if active.token_type == Some(TokenType::Dpop) && claims.confirmation == Confirmation::None {
            return Err(TokenError::Answer(IntrospectionError::Member("cnf")));
        }
        let token = token::of_answer(completed(active, &claims, config, now), claims.aud.is_none());
        Ok(Self { claims, token: token.map(Arc::new) })
    }

    pub(super) const fn exp(&self) -> Option<UnixTime> {
        self.claims.exp
    }

    /// Whether the token's time is not over.
    pub(super) fn check_time(&self, now: UnixTime) -> Result<(), TokenError> {
        if self.claims.exp.is_some_and(|exp| exp <= now) { Err(TokenError::Expired) } else { Ok(()) }
    }

    /// Whether the answer is about that JWT, and takes nothing of it back.
    pub(crate) fn agrees_with(&self, token: &Token, audience: &[String]) -> Result<(), TokenError> {
        let told = &self.claims;
        let mismatch = |name| Err(TokenError::Answer(IntrospectionError::Mismatch(name)));
        if let Some(aud) = &told.aud {
            token::check_audience(aud, audience)?;
        }
        if told.confirmation != Confirmation::None && told.confirmation != token.claims.confirmation {
            return mismatch("cnf");
        }
        if told.jti.is_some() && token.claims.jti.is_some() && told.jti != token.claims.jti {
            return mismatch("jti");
        }
        Ok(())
    }
}

/// Refresh tokens and ID tokens, which some issuers tell of as well, and by which name (RS-CHK-07).
fn check_use(active: &ActiveToken) -> Result<(), TokenError> {
    let text = |name| active.members.get(name).and_then(serde_json::Value::as_str);
    let is_other = text("token_use").is_some_and(|used| !["access_token", "access"].contains(&used))
        || text("typ").is_some_and(|typ| ["Refresh", "Offline", "ID"].contains(&typ));
    if is_other {
        return Err(TokenError::Kind { because: "the issuer says that it is a token of another kind" });
    }
    Ok(())
}

/// The members, with what the answer may leave out (RFC 7662 §2.2) and a token must hold. `iss` is who was asked; `sub` is
/// the client, where it acts for itself; without `exp` the token is good for as long as the answer is, and no shorter.
fn completed(
    active: &ActiveToken,
    claims: &ActiveClaims,
    config: &IntrospectionConfig,
    now: UnixTime,
) -> serde_json::Map<String, serde_json::Value> {
    let mut members = active.members.clone();
    let mut otherwise = |name: &str, value: serde_json::Value| {
        members.entry(name).or_insert(value);
    };
    otherwise("iss", config.issuer.as_str().into());
    if let Some(client_id) = &claims.client_id {
        otherwise("sub", client_id.as_str().into());
    }
    if claims.exp.is_none() {
        let life = u64::try_from(config.staleness.as_millis()).unwrap_or(u64::MAX).max(1000);
        otherwise("exp", now.as_millis().saturating_add(life).div_ceil(1000).into());
    }
    if config.issuer_minds_audience {
        otherwise("aud", serde_json::Value::Array(Vec::new()));
    }
    members
}
