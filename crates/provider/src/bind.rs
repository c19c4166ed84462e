//! Which key a token is bound to (RFC 9449 §5). No token is issued without a [`Binding`].

use crate::clients::RegisteredClient;
use crate::config::{Config, DpopMode};
use crate::prove;
use crate::refusal::Denied;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::proof::check::FreshProof;
use keybound_oauth::token::TokenType;

/// What the tokens of one answer are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The access token is bound to this key.
    Key(Thumbprint),
    /// The access token is a bearer token. A proof, where there was one, still binds a public client's refresh token.
    Bearer {
        /// The key of the proof.
        refresh_key: Option<Thumbprint>,
    },
}

impl Binding {
    /// `cnf.jkt` of the access token.
    #[must_use]
    pub const fn access_key(self) -> Option<Thumbprint> {
        match self {
            Self::Key(jkt) => Some(jkt),
            Self::Bearer { .. } => None,
        }
    }

    /// The key of a public client's refresh token.
    #[must_use]
    pub const fn refresh_key(self) -> Option<Thumbprint> {
        match self {
            Self::Key(jkt) => Some(jkt),
            Self::Bearer { refresh_key } => refresh_key,
        }
    }

    /// `token_type`: DPoP if and only if the token is bound (AS-TOK-07).
    #[must_use]
    pub const fn token_type(self) -> TokenType {
        match self {
            Self::Key(_) => TokenType::Dpop,
            Self::Bearer { .. } => TokenType::Bearer,
        }
    }
}

/// The stricter of client and audience wins: a bearer token needs both to say so.
///
/// # Errors
/// `invalid_dpop_proof` where a proof is needed and there is none.
pub fn decide(
    config: &Config,
    client: &RegisteredClient,
    audience: &[String],
    proof: Option<&FreshProof>,
) -> Result<Binding, Denied> {
    let mode = strictest(config, client, audience);
    match proof {
        Some(proof) if mode == DpopMode::RefreshOnly && !client.dpop_bound_access_tokens => {
            Ok(Binding::Bearer { refresh_key: Some(*proof.jkt()) })
        }
        Some(proof) => Ok(Binding::Key(*proof.jkt())),
        None if client.dpop_bound_access_tokens => Err(prove::missing("AS-TOK-04")),
        None if mode == DpopMode::Required => Err(prove::missing("DPOP-HDR-08")),
        None => Ok(Binding::Bearer { refresh_key: None }),
    }
}

/// UserInfo is a resource like any other: only a `legacy_oidc` client may call it with a bearer token.
fn strictest(config: &Config, client: &RegisteredClient, audience: &[String]) -> DpopMode {
    let mode = |name: &String| match config.resource(name) {
        Some(resource) => resource.dpop,
        None if client.legacy_oidc => DpopMode::Allowed,
        None => DpopMode::Required,
    };
    let modes: Vec<DpopMode> = audience.iter().map(mode).collect();
    if modes.contains(&DpopMode::Required) {
        DpopMode::Required
    } else if modes.contains(&DpopMode::Allowed) || modes.is_empty() {
        DpopMode::Allowed
    } else {
        DpopMode::RefreshOnly
    }
}
