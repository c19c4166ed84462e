//! From a configuration to a gateway: what is made once, and what is made anew whenever the configuration is read.

use crate::config::{Config, IssuerConfig, KeysFrom};
use crate::forward::Forwarder;
use crate::metrics::GatewayMetrics;
use crate::observe::Observations;
use crate::reload::Current;
use crate::service::{Gateway, GatewayService};
use crate::trace::Propagation;
use keybound_dpop::jose::crypto::CryptoError;
use keybound_dpop::time::Clock;
use keybound_fetch::{FetchError, Fetcher, JwksSource, Settings};
use keybound_resource::{Guard, GuardConfig, IssuerKeys, Keys, TrustedIssuer};
use std::sync::Arc;
use std::time::Duration;

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system has no entropy.
    #[error("no random bits can be had")]
    Entropy(#[from] CryptoError),
    /// The client for keys and metadata cannot be made.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The guard would take everybody, or nobody.
    #[error(transparent)]
    Guard(#[from] keybound_resource::ConfigError),
}

/// The gateway of this configuration. Keys of issuers are fetched when the first token comes.
///
/// # Errors
/// [`StartError`]
pub fn service(config: &Config, clock: Arc<dyn Clock>) -> Result<GatewayService, StartError> {
    service_in_trace(config, clock, Propagation::default())
}

/// The same for a process that collects traces: upstreams are told where in a trace their requests are.
///
/// # Errors
/// [`StartError`]
pub fn service_in_trace(
    config: &Config,
    clock: Arc<dyn Clock>,
    propagation: Propagation,
) -> Result<GatewayService, StartError> {
    let kept = Kept { propagation, ..Kept::new(config, clock)? };
    let gateway = kept.gateway(config, None)?;
    Ok(GatewayService(Arc::new(Current::new(kept, config.clone(), gateway))))
}

/// What stays while the process runs, whatever is configured: the record of used proofs with its salt, without which they
/// could be used again; the secret of nonces; what was counted.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Its log, salt, nonces, clock and metrics are those of every guard that follows.
    pub(crate) guard: GuardConfig,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) observations: Observations,
    pub(crate) started: Duration,
    propagation: Propagation,
    fetcher: Fetcher,
}

/// A gateway that is to be replaced, and what it was made of.
pub(crate) struct Before<'a> {
    pub(crate) config: &'a Config,
    pub(crate) gateway: &'a Gateway,
}

impl Kept {
    fn new(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let fetcher = Fetcher::for_operator(&Settings::default())?;
        let first = config.issuers.first().ok_or(keybound_resource::ConfigError::NoIssuer)?;
        let first = trusted(first, &fetcher, &clock);
        let audience = config.audience.first().map_or("", String::as_str);
        let started = clock.now().monotonic;
        let guard = GuardConfig::new(first, audience, clock)?;
        let observations = Observations::default();
        let metrics = GatewayMetrics::of(observations.clone());
        Ok(Self { guard, metrics, observations, started, propagation: Propagation::default(), fetcher })
    }

    /// The gateway of this configuration. Of the one before it takes over what the configuration did not change: the keys
    /// of issuers, what is remembered of their tokens, connections to upstreams.
    pub(crate) fn gateway(
        &self,
        config: &Config,
        before: Option<&Before<'_>>,
    ) -> Result<Gateway, StartError> {
        let mut guard = self.guard.clone();
        let known = |issuer| before.and_then(|before| before.keys(issuer));
        let trust = |issuer| known(issuer).unwrap_or_else(|| trusted(issuer, &self.fetcher, &guard.clock));
        guard.issuers = config.issuers.iter().map(trust).collect();
        guard.audience.clone_from(&config.audience);
        guard.dpop = config.dpop;
        guard.realm.clone_from(&config.realm);
        guard.proof = config.proof.clone();
        if !config.nonces {
            guard.nonce = None;
        }
        let guard = match before {
            Some(before) => before.gateway.guard.succeeding(guard)?,
            None => Guard::new(guard)?,
        };
        let forwarder = before.and_then(|before| before.forwarder(config));
        Ok(Gateway {
            guard,
            public: config.public_url.clone(),
            cors: config.cors.clone(),
            counts: self.metrics.routes(config.routes.iter().map(|route| route.path.as_str())),
            metrics: self.metrics.clone(),
            propagation: self.propagation,
            routes: config.routes.clone(),
            forwarder: forwarder.unwrap_or_else(|| Forwarder::new(config)),
        })
    }
}

impl Before<'_> {
    /// The keys of an issuer that is trusted as before.
    fn keys(&self, issuer: &IssuerConfig) -> Option<TrustedIssuer> {
        let is_same = |known: &IssuerConfig| known.issuer == issuer.issuer && known.keys == issuer.keys;
        let place = self.config.issuers.iter().position(is_same)?;
        let trusted = self.gateway.guard.config().issuers.get(place)?;
        Some(TrustedIssuer { tokens: issuer.tokens, ..trusted.clone() })
    }

    fn forwarder(&self, config: &Config) -> Option<Forwarder> {
        (self.config.connect_timeout == config.connect_timeout)
            .then(|| self.gateway.forwarder.patient(config.answer_timeout))
    }
}

fn trusted(issuer: &IssuerConfig, fetcher: &Fetcher, clock: &Arc<dyn Clock>) -> TrustedIssuer {
    let keys = match &issuer.keys {
        KeysFrom::Metadata => {
            Keys::Discovered(IssuerKeys::new(issuer.issuer.clone(), fetcher.clone(), Arc::clone(clock)))
        }
        KeysFrom::Url(url) => {
            Keys::Remote(JwksSource::new(fetcher.clone(), url.url().clone(), Arc::clone(clock)))
        }
        KeysFrom::Fixed(keys) => Keys::fixed(keys.clone()),
    };
    TrustedIssuer { issuer: issuer.issuer.as_str().to_owned(), keys, tokens: issuer.tokens }
}
