//! From a configuration to a gateway.

use crate::assertion::Assertions;
use crate::config::{Config, IssuerConfig, KeysFrom};
use crate::headers::Entrance;
use crate::publish;
use crate::replay;
use crate::route::Identity;
use crate::service::{Gateway, GatewayService};
use keybound_dpop::jose::crypto::CryptoError;
use keybound_dpop::jose::signer::{SignError, SigningKey};
use keybound_dpop::time::Clock;
use keybound_fetch::{FetchError, Fetcher, JwksSource, Settings};
use keybound_resource::{
    Guard, GuardConfig, Introspection, IntrospectionConfig, IntrospectionEndpoint, Introspector, IssuerKeys,
    Keys, ReplayLogError, TrustedIssuer,
};
use std::sync::Arc;

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
    let fetcher = Fetcher::for_operator(&Settings::default())?;
    let mut issuers = config.issuers.iter().map(|issuer| trusted(issuer, &fetcher, &clock));
    let first = issuers.next().ok_or(keybound_resource::ConfigError::NoIssuer)?;
    let audience = config.audience.first().map_or("", String::as_str);
    let mut guard = GuardConfig::new(first, audience, Arc::clone(&clock))?;
    replay::install(&config.replay, &mut guard)?;
    guard.issuers.extend(issuers);
    guard.audience.clone_from(&config.audience);
    guard.dpop = config.dpop;
    guard.realm.clone_from(&config.realm);
    guard.proof = config.proof.clone();
    if !config.nonces {
        guard.nonce = None;
    }
    let metadata = publish::metadata(config, &mut guard);
    let public = &config.public_url;
    Ok(GatewayService(Arc::new(Gateway {
        metadata,
        guard: Guard::new(guard)?,
        public: public.clone(),
        entrance: Entrance::new(public).ok_or(StartError::PublicUrl)?,
        cors: config.cors.clone(),
        routes: config.routes.clone(),
        assertions: assertions(config)?,
    })))
}

/// There where a route wants them.
fn assertions(config: &Config) -> Result<Option<Assertions>, StartError> {
    if !config.routes.iter().any(|route| route.identity == Identity::Assertion) {
        return Ok(None);
    }
    let key = config.assertion_key.as_ref().map(|key| SigningKey::from_private_jwk(key.reveal().as_bytes()));
    let key = key.transpose().map_err(|error| SignError(error.to_string()))?;
    let issuer = format!("{}{}", config.public_url.origin(), config.public_url.prefix());
    Ok(Some(Assertions::new(issuer, key)?))
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
