//! What one route asks of its requests, where it is not what the guard asks of all.

use crate::config::{DpopUse, GuardConfig};
use crate::token::{SKEW_SECS, Token};
use keybound_dpop::time::UnixTime;
use keybound_oauth::scope::Scope;

/// What is asked of a request. [`Guard::demand`](crate::Guard::demand) is what the guard asks where nobody says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// What the log calls the route that asks, such as its path as it is configured.
    pub route: Option<String>,
    /// Which tokens are taken.
    pub dpop: DpopUse,
    /// Whether proofs must carry a nonce of this guard.
    pub nonces: bool,
    /// The scope that the token must hold (RFC 6750 §3.1).
    pub scope: Scope,
    /// The identifiers of which `aud` must hold one, instead of the guard's.
    pub audience: Option<Vec<String>>,
    /// How the user must have signed in (RFC 9470).
    pub authentication: Option<Authentication>,
    /// What is done while the log of used proofs is out of reach.
    pub without_replay_log: WithoutReplayLog,
}

/// How, and how lately, the user must have signed in (RFC 9470 §3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authentication {
    /// `acr` must be one of these, the best liked first; empty where any will do.
    pub acr_values: Vec<String>,
    /// How many seconds ago, at the most. A token takes a moment to come: with 0, hardly any will do.
    pub max_age_secs: Option<u64>,
}

/// What a route does while the log of used proofs is out of reach (RS-GW-09).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithoutReplayLog {
    /// 503, with `Retry-After`.
    #[default]
    Refuse,
    /// A proof with a nonce of the current step is let through.
    Nonce,
}

impl Demand {
    /// What a guard asks by its configuration.
    pub(crate) fn of(config: &GuardConfig) -> Self {
        Self {
            route: None,
            dpop: config.dpop,
            nonces: config.nonce.is_some(),
            scope: Scope::default(),
            audience: None,
            authentication: None,
            without_replay_log: WithoutReplayLog::Refuse,
        }
    }
}

impl Authentication {
    /// Whether a token says that its user signed in so. What it leaves out, it does not say.
    pub(crate) fn is_met_by(&self, token: &Token, now: UnixTime) -> bool {
        let acr = token.claims.acr.as_deref();
        let strong = self.acr_values.is_empty()
            || acr.is_some_and(|acr| self.acr_values.iter().any(|wanted| wanted == acr));
        let lately = self.max_age_secs.is_none_or(|max_age| {
            token.claims.auth_time.is_some_and(|at| {
                at <= now.plus_secs(SKEW_SECS) && now < at.plus_secs(max_age.saturating_add(1))
            })
        });
        strong && lately
    }
}
