//! Another configuration for a gateway that runs. The new one is made beside the old one and takes its place between two
//! requests; those that have begun end under the old one.
//!
//! What was recorded of used proofs stays, and means what it meant: a change after which a used proof would be good again
//! is refused.

use crate::build::{Before, Kept, StartError};
use crate::config::Config;
use crate::metrics::GatewayMetrics;
use crate::observe::Observations;
use crate::route::{self, Route, Rule};
use crate::service::{Gateway, GatewayService};
use arc_swap::ArcSwap;
use keybound_resource::GuardMetrics;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Why another configuration is not taken while the gateway runs. The old one stays in use.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It could not be started with either.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The record of used proofs would not hold under it.
    #[error(
        "`{0}` cannot change while the gateway runs, because proofs that were used would be good again: restart it"
    )]
    Records(&'static str),
}

/// The gateway of now, and what those to come will keep.
#[derive(Debug)]
pub(crate) struct Current {
    gateway: ArcSwap<Gateway>,
    kept: Kept,
    /// Locked by whoever replaces the gateway.
    held: Mutex<Held>,
}

/// What the next configuration is compared with.
#[derive(Debug)]
struct Held {
    config: Config,
    /// Which paths were asked for nonces by those before, and until when (by the monotonic clock) a proof may be good that
    /// was used under them.
    earlier: Vec<(Duration, Asked)>,
}

/// Paths of routes, and whether proofs there must carry a nonce; none where nobody looks for a proof.
type Asked = Vec<(String, Option<bool>)>;

impl Current {
    pub(crate) fn new(kept: Kept, config: Config, gateway: Gateway) -> Self {
        let held = Mutex::new(Held { config, earlier: Vec::new() });
        Self { gateway: ArcSwap::from_pointee(gateway), kept, held }
    }

    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The gateway that a request which begins now goes through.
    pub(crate) fn gateway(&self) -> Arc<Gateway> {
        self.gateway.load_full()
    }
}

impl GatewayService {
    /// Takes another configuration, for requests from now on. Gives the keys whose change needs a restart: they have no
    /// effect.
    ///
    /// # Errors
    /// [`ReloadError`]; then nothing has changed.
    pub fn reload(&self, config: &Config) -> Result<Vec<&'static str>, ReloadError> {
        let mut held = self.0.held.lock();
        let now = self.0.kept.guard.clock.monotonic();
        held.earlier.retain(|(until, _)| now <= *until);
        let outcome = self.replace(&held, config);
        self.0.kept.metrics.reloaded(outcome.is_ok());
        outcome?;
        let without_effect = needs_restart(&held.config, config);
        let proof = &held.config.proof;
        let until = now + Duration::from_secs(proof.past_window_secs + proof.future_window_secs + 1);
        let asked = asked(&held.config.routes);
        held.earlier.push((until, asked));
        held.config = config.clone();
        Ok(without_effect)
    }

    /// What it counts, and its guard.
    #[must_use]
    pub fn metrics(&self) -> (GatewayMetrics, GuardMetrics) {
        (self.0.kept.metrics.clone(), self.0.kept.guard.metrics.clone())
    }

    /// Who would pass, on routes that only look on.
    #[must_use]
    pub fn observations(&self) -> Observations {
        self.0.kept.observations.clone()
    }

    fn replace(&self, held: &Held, after: &Config) -> Result<(), ReloadError> {
        if let Some(key) = held.would_forget(after) {
            return Err(ReloadError::Records(key));
        }
        let gateway = self.0.gateway();
        let before = Before { config: &held.config, gateway: &gateway };
        let next = self.0.kept.gateway(after, Some(&before))?;
        self.0.gateway.store(Arc::new(next));
        Ok(())
    }
}

impl Held {
    /// A record is kept until the proof is too old, and under a name; both follow from these (OPS-REP-09, DPOP-JTI-05).
    fn would_forget(&self, after: &Config) -> Option<&'static str> {
        let before = &self.config;
        let ages = |config: &Config| (config.proof.past_window_secs, config.proof.future_window_secs);
        if before.replay != after.replay {
            Some("replay")
        } else if before.nonces != after.nonces || self.nonces_differ(&asked(&after.routes)) {
            Some("nonce.mode")
        } else if ages(before) != ages(after) {
            Some("proof.window_secs")
        } else if before.audience.first() != after.audience.first() {
            Some("audience (the first one)")
        } else {
            None
        }
    }

    /// Whether a path is asked for nonces by these and was not lately, or the other way round, also where nobody looked
    /// for proofs in between.
    fn nonces_differ(&self, after: &Asked) -> bool {
        let now = asked(&self.config.routes);
        let lately = self.earlier.iter().map(|(_, asked)| asked);
        lately.chain([&now]).any(|before| nonces_differ(before, after))
    }
}

fn asked(routes: &[Route]) -> Asked {
    let nonces = |route: &Route| match &route.rule {
        Rule::Guarded(demand) | Rule::Observed(demand) => Some(demand.nonces),
        Rule::Public => None,
    };
    routes.iter().map(|route| (route.path.clone(), nonces(route))).collect()
}

/// Where a path leads changes at the paths of routes alone, so that those are all there is to look at.
fn nonces_differ(before: &Asked, after: &Asked) -> bool {
    let at = |all: &Asked, path: &str| all.iter().find(|(of, _)| route::is_below(path, of))?.1;
    before.iter().chain(after).any(|(path, _)| match (at(before, path), at(after, path)) {
        (Some(before), Some(after)) => before != after,
        _ => false,
    })
}

fn needs_restart(before: &Config, after: &Config) -> Vec<&'static str> {
    let changed = [
        ("listen", before.listen != after.listen),
        ("admin", before.admin != after.admin),
        ("tls", before.tls != after.tls),
        ("decision", before.decision != after.decision),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}
