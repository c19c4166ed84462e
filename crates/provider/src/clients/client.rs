//! One client, ready for use.

use super::KeyFetchers;
use crate::profile::Profile;
use crate::signing_keys::DEFAULT_ALGORITHM;
use crate::store::{Client as StoredClient, ClientSource};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::jose::known_key::KnownKey;
use keybound_dpop::time::{Now, UnixTime};
use keybound_fetch::{FetchError, Fetcher, JwksSource};
use keybound_oauth::client_metadata::ClientMetadata;
use keybound_oauth::identifier::ClientId;
use serde_json::Value;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A use that is written down counts for so long.
const USE_SECS: u64 = 6 * 60 * 60;

/// Who says what a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An operator, in a file or by command.
    Operator,
    /// The client, by dynamic registration (RFC 7591).
    Registered,
    /// The client, in a document at its `client_id`.
    Document,
}

/// A client that may ask for tokens.
#[derive(Debug)]
pub struct RegisteredClient {
    /// `client_id`
    pub id: ClientId,
    /// Who says what it is.
    pub origin: Origin,
    /// What its ID tokens are signed with: `id_token_signed_response_alg`, or what is the default for clients of its
    /// kind (DEC-28).
    pub id_token_algorithm: Algorithm,
    /// When its secret ends (RFC 7591 §3.2.1).
    pub secret_expires_at: Option<UnixTime>,
    /// What is known of the key that its proofs are by: of the first that comes again.
    pub proof_key: KnownKey,
    metadata: ClientMetadata,
    own_keys: Arc<KeySet>,
    remote_keys: Option<JwksSource>,
    fetcher: Fetcher,
    /// In seconds since 1970.
    used_at: AtomicU64,
}

impl Deref for RegisteredClient {
    type Target = ClientMetadata;

    fn deref(&self) -> &ClientMetadata {
        &self.metadata
    }
}

impl RegisteredClient {
    /// A client of the store. `known` is the same client as it was before.
    pub(super) fn read(
        stored: &StoredClient,
        fetchers: &KeyFetchers,
        profile: Profile,
        known: Option<&Self>,
    ) -> Result<Self, String> {
        let id = ClientId::parse(&stored.client_id).map_err(|error| error.to_string())?;
        let metadata = ClientMetadata::parse(&stored.metadata).map_err(|error| error.to_string())?;
        profile.check_client(&metadata)?;
        let origin = match stored.source {
            ClientSource::File | ClientSource::Command => Origin::Operator,
            ClientSource::Registered => Origin::Registered,
        };
        let expires_at = stored.metadata.get("client_secret_expires_at").and_then(Value::as_u64);
        Ok(Self {
            secret_expires_at: expires_at.filter(|at| *at > 0).map(UnixTime::from_secs),
            ..Self::new((id, origin), metadata, fetchers, profile, known)
        })
    }

    /// A client whose metadata are known to hold.
    pub(super) fn new(
        (id, origin): (ClientId, Origin),
        metadata: ClientMetadata,
        fetchers: &KeyFetchers,
        profile: Profile,
        known: Option<&Self>,
    ) -> Self {
        // The keys that were fetched stay, as long as they come from the same place.
        let remote_keys = match known.filter(|known| known.jwks_uri == metadata.jwks_uri) {
            Some(known) if known.origin == origin => known.remote_keys.clone(),
            _ => fetchers.keys(origin, &metadata),
        };
        let may_use_rs256 = profile.of(&metadata).signing_algorithms().contains(&Algorithm::Rs256);
        let id_token_algorithm = metadata.id_token_signed_response_alg.unwrap_or(match origin {
            // OpenID Connect Registration §2; not where the profile forbids it.
            Origin::Registered if may_use_rs256 => Algorithm::Rs256,
            Origin::Operator | Origin::Registered | Origin::Document => DEFAULT_ALGORITHM,
        });
        Self {
            id,
            origin,
            id_token_algorithm,
            secret_expires_at: None,
            proof_key: KnownKey::default(),
            own_keys: Arc::new(metadata.jwks.clone().unwrap_or_default()),
            metadata,
            remote_keys,
            fetcher: fetchers.of(origin).clone(),
            used_at: AtomicU64::new(known.map_or(0, |known| known.used_at.load(Relaxed))),
        }
    }

    /// What a person should read as its name.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.client_name.as_deref().unwrap_or(self.id.as_str())
    }

    /// What fetches documents from its URLs.
    #[must_use]
    pub const fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// Its public keys: as registered, or from its `jwks_uri`, where a `kid` that is not known yet is looked for once
    /// (AS-CA-14).
    ///
    /// # Errors
    /// [`FetchError`] where they cannot be had.
    pub async fn keys(&self, kid: Option<&str>) -> Result<Arc<KeySet>, FetchError> {
        match &self.remote_keys {
            // In a place of its own: what a fetch needs is more than all that others need.
            Some(source) => Box::pin(source.keys(kid)).await,
            None => Ok(Arc::clone(&self.own_keys)),
        }
    }

    /// Whether this use is worth writing down: the first in a while, of one that is forgotten otherwise.
    pub(super) fn is_used_again(&self, now: Now) -> bool {
        let now = now.unix.as_secs();
        let before = self.used_at.load(Relaxed);
        if self.origin != Origin::Registered || now < before.saturating_add(USE_SECS) {
            return false;
        }
        self.used_at.swap(now, Relaxed) == before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::time::SystemClock;
    use serde_json::json;

    #[tokio::test]
    async fn ops_ssrf_01_keys_are_fetched_by_who_the_client_is_of_now() {
        let fetchers = KeyFetchers::new(Arc::new(SystemClock::start()), false).unwrap();
        let metadata =
            json!({"redirect_uris": ["https://a.example/cb"], "jwks_uri": "http://127.0.0.1:1/jwks"});
        let metadata = ClientMetadata::parse(&metadata).unwrap();
        let new = |origin, known: Option<&RegisteredClient>| {
            let id = ClientId::parse("a").unwrap();
            RegisteredClient::new((id, origin), metadata.clone(), &fetchers, Profile::STANDARD, known)
        };
        let operators = new(Origin::Operator, None);
        assert!(matches!(operators.keys(None).await, Err(FetchError::Connect { .. })));
        for stranger in [Origin::Registered, Origin::Document] {
            let strangers = new(stranger, Some(&operators));
            assert!(matches!(strangers.keys(None).await, Err(FetchError::Url { .. })), "{stranger:?}");
            let taken_over = new(Origin::Operator, Some(&strangers));
            assert!(matches!(taken_over.keys(None).await, Err(FetchError::Connect { .. })));
        }
    }
}
