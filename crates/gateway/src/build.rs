//! From a configuration to a gateway: what is made once, and what is made anew whenever the configuration is read.

use crate::assertion::Assertions;
use crate::config::{Config, IssuerConfig, KeysFrom};
use crate::headers::Entrance;
use crate::limits::Limits;
use crate::metrics::GatewayMetrics;
use crate::observe::Observations;
use crate::publish;
use crate::reload::Current;
use crate::replay;
use crate::route::{Identity, Route};
use crate::service::{Gateway, GatewayService};
use crate::trace::Propagation;
use crate::upstream::Upstream;
use keybound_dpop::jose::crypto::CryptoError;
use keybound_dpop::jose::signer::{SignError, SigningKey};
use keybound_dpop::time::Clock;
use keybound_fetch::{FetchError, Fetcher, JwksSource, Settings};
use keybound_resource::{
    Guard, GuardConfig, Introspection, IntrospectionConfig, IntrospectionEndpoint, Introspector, IssuerKeys,
    Keys, ReplayLogError, TrustedIssuer,
};
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
    /// No key for assertions.
    #[error(transparent)]
    Assertions(#[from] SignError),
    /// The public URL cannot be said to an upstream.
    #[error("the public URL has a host that no field of a message can hold")]
    PublicUrl,
    /// The log of used proofs cannot be used.
    #[error("`replay`: {0}")]
    Replay(#[from] ReplayLogError),
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
        let started = clock.monotonic();
        let mut guard = GuardConfig::new(first, audience, clock)?;
        replay::install(&config.replay, &mut guard)?;
        let observations = Observations::default();
        let metrics = GatewayMetrics::of(observations.clone());
        Ok(Self { guard, metrics, observations, started, propagation: Propagation::default(), fetcher })
    }

    /// The gateway of this configuration. Of the one before it takes over what the configuration did not change: the keys
    /// of issuers, what is remembered of their tokens, connections to upstreams, the key of assertions.
    pub(crate) fn gateway(
        &self,
        config: &Config,
        before: Option<&Before<'_>>,
    ) -> Result<Gateway, StartError> {
        let mut guard = self.guard.clone();
        let known = |issuer| before.and_then(|before| before.issuer(issuer));
        let trust = |issuer| known(issuer).unwrap_or_else(|| trusted(issuer, &self.fetcher, &guard.clock));
        guard.issuers = config.issuers.iter().map(trust).collect();
        guard.audience.clone_from(&config.audience);
        guard.dpop = config.dpop;
        guard.realm.clone_from(&config.realm);
        guard.proof = config.proof.clone();
        if !config.nonces {
            guard.nonce = None;
        }
        let metadata = publish::metadata(config, &mut guard);
        let guard = match before {
            Some(before) => before.gateway.guard.succeeding(guard)?,
            None => Guard::new(guard)?,
        };
        let mut routes = config.routes.clone();
        if let Some(before) = before {
            before.connect(&mut routes);
        }
        let public = &config.public_url;
        let assertions = before.and_then(|before| before.assertions(config));
        Ok(Gateway {
            metadata,
            guard,
            public: public.clone(),
            entrance: Entrance::new(public).ok_or(StartError::PublicUrl)?,
            cors: config.cors.clone(),
            limits: Limits::new(&config.limits, self.metrics.limited()),
            assertions: assertions.map_or_else(|| self::assertions(config), |kept| Ok(Some(kept)))?,
            // Nothing fails after this.
            counts: self.metrics.routes(routes.iter().map(|route| route.path.as_str())),
            routes,
            metrics: self.metrics.clone(),
            observations: self.observations.clone(),
            propagation: self.propagation,
        })
    }
}

impl Before<'_> {
    /// An issuer that is trusted as before. One that is asked about tokens is asked anew.
    fn issuer(&self, issuer: &IssuerConfig) -> Option<TrustedIssuer> {
        let is_same = |known: &IssuerConfig| {
            known.issuer == issuer.issuer
                && known.keys == issuer.keys
                && known.asked.is_none()
                && issuer.asked.is_none()
        };
        let place = self.config.issuers.iter().position(is_same)?;
        let trusted = self.gateway.guard.config().issuers.get(place)?;
        Some(TrustedIssuer { tokens: issuer.tokens, ..trusted.clone() })
    }

    /// Gives routes to the same servers the connections that there are.
    fn connect(&self, routes: &mut [Route]) {
        let known: Vec<&Arc<Upstream>> =
            self.gateway.routes.iter().filter_map(|route| route.upstream.as_ref()).collect();
        for upstream in routes.iter_mut().filter_map(|route| route.upstream.as_mut()) {
            if let Some(same) = known.iter().find(|known| known.is_same(upstream)) {
                *upstream = Arc::clone(same);
            }
        }
    }

    /// What signs assertions, where its key and name are as before.
    fn assertions(&self, config: &Config) -> Option<Arc<Assertions>> {
        let wanted = config.routes.iter().any(|route| route.identity == Identity::Assertion);
        let key = |config: &Config| config.assertion_key.as_ref().map(|key| key.reveal().to_owned());
        let is_same = key(self.config) == key(config) && self.config.public_url == config.public_url;
        self.gateway.assertions.clone().filter(|_| wanted && is_same)
    }
}

/// There where a route wants them.
fn assertions(config: &Config) -> Result<Option<Arc<Assertions>>, StartError> {
    if !config.routes.iter().any(|route| route.identity == Identity::Assertion) {
        return Ok(None);
    }
    let key = config.assertion_key.as_ref().map(|key| SigningKey::from_private_jwk(key.reveal().as_bytes()));
    let key = key.transpose().map_err(|error| SignError(error.to_string()))?;
    let issuer = format!("{}{}", config.public_url.origin(), config.public_url.prefix());
    Ok(Some(Arc::new(Assertions::new(issuer, key)?)))
}

fn trusted(issuer: &IssuerConfig, fetcher: &Fetcher, clock: &Arc<dyn Clock>) -> TrustedIssuer {
    let by_metadata = IssuerKeys::new(issuer.issuer.clone(), fetcher.clone(), Arc::clone(clock));
    let keys = match &issuer.keys {
        KeysFrom::Metadata => Keys::Discovered(by_metadata.clone()),
        KeysFrom::Url(url) => {
            Keys::Remote(JwksSource::new(fetcher.clone(), url.url().clone(), Arc::clone(clock)))
        }
        KeysFrom::Fixed(keys) => Keys::fixed(keys.clone()),
    };
    let mut trusted = TrustedIssuer::new(issuer.issuer.as_str(), keys, issuer.tokens);
    if let Some(asked) = &issuer.asked {
        let endpoint = match &asked.endpoint {
            Some(endpoint) => IntrospectionEndpoint::Url(endpoint.clone()),
            None => IntrospectionEndpoint::Metadata(by_metadata),
        };
        let (client_id, auth) = (asked.client_id.clone(), asked.auth.clone());
        let mut config = IntrospectionConfig::new(issuer.issuer.clone(), endpoint, client_id, auth);
        config.prefix.clone_from(&asked.prefix);
        config.staleness = asked.staleness;
        config.issuer_minds_audience = asked.issuer_minds_audience;
        if asked.signed {
            config = config.signed(trusted.keys.clone());
        }
        let introspector = Introspector::new(config, fetcher.clone(), Arc::clone(clock));
        trusted.introspection = match asked.every {
            true => Introspection::Every(introspector),
            false => Introspection::Opaque(introspector),
        };
    }
    trusted
}
