//! From a configuration to a gateway.

use crate::assertion::Assertions;
use crate::config::{Config, IssuerConfig, KeysFrom};
use crate::headers::Entrance;
use crate::route::Identity;
use crate::service::{Gateway, GatewayService};
use keybound_dpop::jose::crypto::CryptoError;
use keybound_dpop::jose::signer::{SignError, SigningKey};
use keybound_dpop::time::Clock;
use keybound_fetch::{FetchError, Fetcher, JwksSource, Settings};
use keybound_resource::{Guard, GuardConfig, IssuerKeys, Keys, TrustedIssuer};
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
    guard.issuers.extend(issuers);
    guard.audience.clone_from(&config.audience);
    guard.dpop = config.dpop;
    guard.realm.clone_from(&config.realm);
    guard.proof = config.proof.clone();
    if !config.nonces {
        guard.nonce = None;
    }
    let public = &config.public_url;
    Ok(GatewayService(Arc::new(Gateway {
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
