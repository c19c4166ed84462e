//! Whom a client means: `id_token_hint` (OpenID Connect Core §3.1.2.1). Nobody else's answer goes back (§3.1.2.2).

use crate::clients::RegisteredClient;
use crate::hint::{self, HintRefused};
use crate::provider::Provider;
use crate::refusal::Denied;
use crate::signing_keys::KeyUse;
use crate::subject;
use keybound_dpop::secret::Secret;
use keybound_oauth::error::ErrorCode;

/// Whom a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    /// Whoever is there.
    Anybody,
    /// The user whom this client knows by that `sub`.
    User(String),
    /// Nobody can tell any more: the key of the hint has left our key set. Whoever signs in now.
    Unclear,
}

impl Meant {
    /// Reads the hint.
    ///
    /// # Errors
    /// `invalid_request` where it is no ID token that we issued to this client.
    pub(super) fn of(
        provider: &Provider,
        client: &RegisteredClient,
        hint: Option<&Secret>,
    ) -> Result<Self, Denied> {
        let Some(hint) = hint else { return Ok(Self::Anybody) };
        let invalid = |why: &str| {
            let wire = "`id_token_hint` must be an ID token that was issued to this client here";
            Denied::new(ErrorCode::InvalidRequest, "OIDC-AUT-15", wire).log(why)
        };
        let keys = provider.signing_keys.key_set_of(KeyUse::Tokens, provider.unix());
        match hint::verify(hint, &keys, &provider.config.issuer) {
            Ok(hint) if hint.is_for(&client.id) => Ok(Self::User(hint.sub)),
            Ok(_) => Err(invalid("it was issued to another client")),
            Err(HintRefused::UnknownKey) => Ok(Self::Unclear),
            Err(refused) => Err(invalid(&refused.to_string())),
        }
    }

    /// Whether an answer about the user of that subject is one that the client asked for.
    pub(super) fn is(
        &self,
        provider: &Provider,
        client: &RegisteredClient,
        subject: &str,
        has_just_signed_in: bool,
    ) -> bool {
        match self {
            Self::Anybody => true,
            Self::User(sub) => subject::is_seen_as(provider, client, subject, sub),
            Self::Unclear => has_just_signed_in,
        }
    }
}
