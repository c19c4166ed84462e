//! What an issuer said of a token that is active, read as strictly as a token's own claims (RFC 7662 §4, RS-INT-03).

use super::IntrospectionConfig;
use crate::token::{self, Token, TokenError};
use keybound_dpop::confirmation::Confirmation;
use keybound_dpop::time::UnixTime;
use keybound_oauth::introspection::{ActiveClaims, ActiveToken, IntrospectionError};
use keybound_oauth::token::TokenType;
use std::sync::Arc;

/// The answer.
pub(crate) struct Told {
    claims: ActiveClaims,
    /// As a token of its own; or why it is none, where it was said of a JWT that says more itself.
    pub(crate) token: Result<Arc<Token>, TokenError>,
}

impl Told {
    /// Believes an answer that says `active`.
    pub(super) fn read(
        active: &ActiveToken,
        config: &IntrospectionConfig,
        now: UnixTime,
    ) -> Result<Self, TokenError> {
        let claims = active.claims().map_err(TokenError::Answer)?;
        if claims.iss.as_ref().is_some_and(|iss| iss != config.issuer.as_str()) {
            return Err(TokenError::Answer(IntrospectionError::Mismatch("iss")));
        }
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

/// The members, with what the answer may leave out (RFC 7662 §2.2) and a token must hold. `iss` is who was asked; `sub` is
/// the client, where it acts for itself; without `exp` the token is good for as long as the answer is.
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
        otherwise("exp", now.plus_secs(config.staleness.as_secs().max(1)).as_secs().into());
    }
    if config.issuer_minds_audience {
        otherwise("aud", serde_json::Value::Array(Vec::new()));
    }
    members
}
