//! What the metadata of an issuer says, of which only the name is known (RFC 8414 §3, OpenID Connect Discovery §4): where
//! its keys are, and where it is asked about tokens. Fetched when the first token comes, so that a guard starts before
//! its issuer does.

use crate::keys::KeysUnavailable;
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::time::Clock;
use keybound_fetch::{FetchError, Fetcher, JwksSource};
use keybound_oauth::identifier::{Endpoint, Issuer};
use keybound_oauth::provider_metadata::ProviderMetadata;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Between two attempts that fail.
const PAUSE: Duration = Duration::from_secs(1);

/// The keys of an issuer, by its metadata. Cheap to clone; clones share what was found.
#[derive(Clone, Debug)]
pub struct IssuerKeys(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    issuer: Issuer,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    found: OnceLock<Found>,
    /// The last attempt that failed; held by whoever makes the next.
    failure: tokio::sync::Mutex<Option<(Duration, KeysUnavailable)>>,
}

#[derive(Debug)]
struct Found {
    keys: Option<JwksSource>,
    #[cfg_attr(not(feature = "introspect"), expect(dead_code, reason = "nobody is asked about tokens"))]
    introspection: Option<Endpoint>,
}

impl IssuerKeys {
    /// The keys of that issuer. Nothing is fetched yet. The operator has chosen the issuer, and with it where its
    /// metadata leads.
    #[must_use]
    pub fn new(issuer: Issuer, fetcher: Fetcher, clock: Arc<dyn Clock>) -> Self {
        let (found, failure) = (OnceLock::new(), tokio::sync::Mutex::default());
        Self(Arc::new(Shared { issuer, fetcher, clock, found, failure }))
    }

    /// Why there are no keys. None where there are some, where nobody has asked for any, and while somebody asks.
    pub(crate) fn failure(&self) -> Option<String> {
        match self.0.found.get() {
            Some(found) => found.keys.as_ref()?.failure().map(|error| error.to_string()),
            None => self.0.failure.try_lock().ok()?.as_ref().map(|(_, error)| error.to_string()),
        }
    }

    pub(crate) async fn for_kid(&self, kid: Option<&str>) -> Result<Arc<KeySet>, KeysUnavailable> {
        let source = self.0.found().await?.keys.as_ref();
        let source = source.ok_or_else(|| KeysUnavailable("the metadata has no `jwks_uri`".to_owned()))?;
        Ok(source.keys(kid).await?)
    }

    /// Where the issuer is asked about tokens (RFC 7662 §2).
    #[cfg(feature = "introspect")]
    pub(crate) async fn introspection_endpoint(&self) -> Result<Endpoint, KeysUnavailable> {
        let endpoint = self.0.found().await?.introspection.clone();
        endpoint.ok_or_else(|| KeysUnavailable("the metadata has no `introspection_endpoint`".to_owned()))
    }
}

impl Shared {
    async fn found(&self) -> Result<&Found, KeysUnavailable> {
        match self.found.get() {
            Some(found) => Ok(found),
            // In a place of its own: it is large, and happens once.
            None => Box::pin(self.discover_once()).await,
        }
    }

    /// One attempt at a time, and a pause after one that fails.
    async fn discover_once(&self) -> Result<&Found, KeysUnavailable> {
        let mut failure = self.failure.lock().await;
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let now = self.clock.monotonic();
        if let Some((at, error)) = failure.as_ref()
            && now.saturating_sub(*at) < PAUSE
        {
            return Err(error.clone());
        }
        match self.discover().await {
            Ok(found) => Ok(self.found.get_or_init(|| found)),
            Err(error) => {
                tracing::warn!(issuer = self.issuer.as_str(), %error, "the issuer's metadata cannot be had");
                *failure = Some((now, error.clone()));
                Err(error)
            }
        }
    }

    async fn discover(&self) -> Result<Found, KeysUnavailable> {
        let json = match self.fetcher.get(&self.issuer.oauth_metadata_url()).await {
            Err(FetchError::Status { .. }) => self.fetcher.get(&self.issuer.openid_metadata_url()).await,
            other => other,
        };
        let metadata = ProviderMetadata::parse(&json?.body, &self.issuer)
            .map_err(|error| KeysUnavailable(error.to_string()))?;
        let source =
            |uri: Endpoint| JwksSource::new(self.fetcher.clone(), uri.url().clone(), Arc::clone(&self.clock));
        Ok(Found {
            keys: metadata.endpoints.jwks_uri.map(source),
            introspection: metadata.endpoints.introspection_endpoint,
        })
    }
}
