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
    /// Held by whoever replaces the gateway.
    config: Mutex<Config>,
}

impl Current {
    pub(crate) fn new(kept: Kept, config: Config, gateway: Gateway) -> Self {
        Self { gateway: ArcSwap::from_pointee(gateway), kept, config: Mutex::new(config) }
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
        let mut held = self.0.config.lock();
        let outcome = self.replace(&held, config);
        self.0.kept.metrics.reloaded(outcome.is_ok());
        outcome?;
        let without_effect = needs_restart(&held, config);
        *held = config.clone();
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

    fn replace(&self, before: &Config, after: &Config) -> Result<(), ReloadError> {
        if let Some(key) = would_forget(before, after) {
            return Err(ReloadError::Records(key));
        }
        let gateway = self.0.gateway();
        let before = Before { config: before, gateway: &gateway };
        let next = self.0.kept.gateway(after, Some(&before))?;
        self.0.gateway.store(Arc::new(next));
        Ok(())
    }
}

/// A record is kept until the proof is too old, and under a name; both follow from these (OPS-REP-09, DPOP-JTI-05).
fn would_forget(before: &Config, after: &Config) -> Option<&'static str> {
    let ages = |config: &Config| (config.proof.past_window_secs, config.proof.future_window_secs);
    if before.replay != after.replay {
        Some("replay")
    } else if before.nonces != after.nonces || nonces_differ(&before.routes, &after.routes) {
        Some("nonce.mode")
    } else if ages(before) != ages(after) {
        Some("proof.window_secs")
    } else if before.audience.first() != after.audience.first() {
        Some("audience (the first one)")
    } else {
        None
    }
}

/// Whether a path is asked for nonces by one list of routes and not by the other. Where a path leads changes at the paths
/// of routes alone, so that those are all there is to look at.
fn nonces_differ(before: &[Route], after: &[Route]) -> bool {
    let asks = |routes: &[Route], path: &str| match &route::find(routes, path)?.rule {
        Rule::Guarded(demand) | Rule::Observed(demand) => Some(demand.nonces),
        Rule::Public => None,
    };
    before.iter().chain(after).any(|route| match (asks(before, &route.path), asks(after, &route.path)) {
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
