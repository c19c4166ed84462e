//! What fetches the documents of clients.

use super::Origin;
use keybound_dpop::time::Clock;
use keybound_fetch::{FetchError, Fetcher, JwksSource, Settings};
use keybound_oauth::client_metadata::ClientMetadata;
use std::sync::Arc;
use url::Url;

/// How the URLs of clients are fetched: as the operator's, or, for clients that registered themselves, with every guard
/// up (OPS-SSRF-01).
#[derive(Clone, Debug)]
pub struct KeyFetchers {
    operator: Fetcher,
    strangers: Fetcher,
    clock: Arc<dyn Clock>,
}

impl KeyFetchers {
    /// Both. `loopback_urls` is whether those of strangers may lead to this machine (OPS-SSRF-02).
    ///
    /// # Errors
    /// [`FetchError`] where TLS cannot be set up.
    pub fn new(clock: Arc<dyn Clock>, loopback_urls: bool) -> Result<Self, FetchError> {
        let settings = Settings { strangers_may_name_loopback: loopback_urls, ..Settings::default() };
        Ok(Self {
            operator: Fetcher::for_operator(&settings)?,
            strangers: Fetcher::for_strangers(&settings)?,
            clock,
        })
    }

    /// For URLs that strangers chose.
    #[must_use]
    pub const fn strangers(&self) -> &Fetcher {
        &self.strangers
    }

    /// Keys at a URL that the operator wrote.
    #[must_use]
    pub fn operators_keys(&self, url: &Url) -> JwksSource {
        JwksSource::new(self.operator.clone(), url.clone(), Arc::clone(&self.clock))
    }

    pub(super) fn keys(&self, origin: Origin, metadata: &ClientMetadata) -> Option<JwksSource> {
        let url = metadata.jwks_uri.as_ref()?.url().clone();
        Some(JwksSource::new(self.of(origin).clone(), url, Arc::clone(&self.clock)))
    }

    pub(super) const fn of(&self, origin: Origin) -> &Fetcher {
        match origin {
            Origin::Operator => &self.operator,
            Origin::Registered | Origin::Document => &self.strangers,
        }
    }
}
