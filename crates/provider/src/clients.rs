//! The registered clients: kept in the store, held in memory, read again when the store's version changes.

use crate::profile::Profile;
use crate::provider::StartError;
use crate::signing_keys::{DEFAULT_ALGORITHM, Slots, needed_by_client};
use crate::store::{Client as StoredClient, ClientSource, Fault, Store};
use arc_swap::ArcSwap;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::time::{Clock, Now};
use keybound_fetch::{FetchError, Fetcher, JwksSource, Settings};
use keybound_oauth::client_metadata::ClientMetadata;
use keybound_oauth::identifier::ClientId;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// How long the clients in memory are trusted without a look at the store's version. A client that is not in memory
/// is looked for at once.
const TRUST: Duration = Duration::from_millis(200);

/// Who says what a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An operator, in a file or by command.
    Operator,
    /// The client, by dynamic registration (RFC 7591).
    Registered,
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
    metadata: ClientMetadata,
    own_keys: Arc<KeySet>,
    remote_keys: Option<JwksSource>,
    fetcher: Fetcher,
}

impl Deref for RegisteredClient {
    type Target = ClientMetadata;

    fn deref(&self) -> &ClientMetadata {
        &self.metadata
    }
}

impl RegisteredClient {
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
            Some(source) => source.keys(kid).await,
            None => Ok(Arc::clone(&self.own_keys)),
        }
    }
}

/// How the keys of clients are fetched: as the operator's URLs, or, for clients that registered themselves, with
/// every guard up (OPS-SSRF-01).
#[derive(Clone, Debug)]
pub struct KeyFetchers {
    operator: Fetcher,
    strangers: Fetcher,
    clock: Arc<dyn Clock>,
}

impl KeyFetchers {
    /// Both.
    ///
    /// # Errors
    /// [`FetchError`] where TLS cannot be set up.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, FetchError> {
        let settings = Settings::default();
        Ok(Self {
            operator: Fetcher::for_operator(&settings)?,
            strangers: Fetcher::for_strangers(&settings)?,
            clock,
        })
    }

    fn source(&self, stored: &StoredClient, metadata: &ClientMetadata) -> Option<JwksSource> {
        let url = metadata.jwks_uri.as_ref()?.url().clone();
        Some(JwksSource::new(self.fetcher(stored).clone(), url, Arc::clone(&self.clock)))
    }

    const fn fetcher(&self, stored: &StoredClient) -> &Fetcher {
        match stored.source {
            ClientSource::File | ClientSource::Command => &self.operator,
            ClientSource::Registered => &self.strangers,
        }
    }
}

/// All of them.
#[derive(Debug)]
pub struct Clients {
    held: ArcSwap<Held>,
    fetchers: KeyFetchers,
    profile: Profile,
}

#[derive(Debug)]
struct Held {
    by_id: HashMap<String, Arc<RegisteredClient>>,
    any_legacy: bool,
    signing: Slots,
    version: u64,
    looked_at: Duration,
}

impl Held {
    fn new(by_id: HashMap<String, Arc<RegisteredClient>>, version: u64, now: Now) -> Self {
        let any_legacy = by_id.values().any(|client| client.legacy_oidc);
        let signing = by_id.values().map(|client| needed_by_client(client)).fold(Slots::default(), Slots::or);
        Self { by_id, any_legacy, signing, version, looked_at: now.monotonic }
    }
}

impl Clients {
    /// Reads them all.
    ///
    /// # Errors
    /// [`StartError`] where the store does not answer or a client in it cannot be used.
    pub async fn load(
        store: &Store,
        fetchers: KeyFetchers,
        profile: Profile,
        now: Now,
    ) -> Result<Self, StartError> {
        let version = store.version().await?;
        let mut by_id = HashMap::new();
        for stored in store.clients().await? {
            let client = read(&stored, &fetchers, profile, None)
                .map_err(|what| StartError::Client { client_id: stored.client_id.clone(), what })?;
            by_id.insert(stored.client_id, Arc::new(client));
        }
        Ok(Self { held: ArcSwap::from_pointee(Held::new(by_id, version, now)), fetchers, profile })
    }

    /// Whether some client may use bearer tokens at UserInfo.
    #[must_use]
    pub fn any_legacy(&self) -> bool {
        self.held.load().any_legacy
    }

    /// The signing keys that their registrations call for.
    #[must_use]
    pub fn signing_slots(&self) -> Slots {
        self.held.load().signing
    }

    /// Reads them again where they have changed.
    ///
    /// # Errors
    /// [`Fault`] where the store does not answer.
    pub async fn renew(&self, store: &Store, now: Now) -> Result<(), Fault> {
        let held = self.held.load();
        let version = store.version().await?;
        if version != held.version {
            self.held.store(Arc::new(self.reread(store, &held, version, now).await?));
        }
        Ok(())
    }

    /// The client of that identifier.
    ///
    /// # Errors
    /// [`Fault`] where the store does not answer.
    pub async fn find(
        &self,
        store: &Store,
        client_id: &str,
        now: Now,
    ) -> Result<Option<Arc<RegisteredClient>>, Fault> {
        let held = self.held.load();
        let known = held.by_id.get(client_id);
        if known.is_some() && now.monotonic.saturating_sub(held.looked_at) < TRUST {
            return Ok(known.cloned());
        }
        let version = store.version().await?;
        if version == held.version {
            let by_id = held.by_id.clone();
            let found = known.cloned();
            self.held.store(Arc::new(Held::new(by_id, version, now)));
            return Ok(found);
        }
        let held = self.reread(store, &held, version, now).await?;
        let found = held.by_id.get(client_id).cloned();
        self.held.store(Arc::new(held));
        Ok(found)
    }

    /// A client that cannot be used is left out, with an error in the log: the others must go on.
    async fn reread(&self, store: &Store, before: &Held, version: u64, now: Now) -> Result<Held, Fault> {
        let mut by_id = HashMap::new();
        for stored in store.clients().await? {
            let known = before.by_id.get(&stored.client_id);
            match read(&stored, &self.fetchers, self.profile, known) {
                Ok(client) => {
                    by_id.insert(stored.client_id, Arc::new(client));
                }
                Err(what) => tracing::error!(client_id = stored.client_id, what, "a client cannot be used"),
            }
        }
        Ok(Held::new(by_id, version, now))
    }
}

fn read(
    stored: &StoredClient,
    fetchers: &KeyFetchers,
    profile: Profile,
    known: Option<&Arc<RegisteredClient>>,
) -> Result<RegisteredClient, String> {
    let id = ClientId::parse(&stored.client_id).map_err(|error| error.to_string())?;
    let metadata = ClientMetadata::parse(&stored.metadata).map_err(|error| error.to_string())?;
    profile.check_client(&metadata)?;
    // The keys that were fetched stay, as long as they come from the same place.
    let known = known.filter(|known| known.jwks_uri == metadata.jwks_uri);
    let remote_keys = match known {
        Some(known) => known.remote_keys.clone(),
        None => fetchers.source(stored, &metadata),
    };
    let id_token_algorithm = metadata.id_token_signed_response_alg.unwrap_or(match stored.source {
        // OpenID Connect Registration §2; not where the profile forbids it.
        ClientSource::Registered
            if profile.of(&metadata).signing_algorithms().contains(&Algorithm::Rs256) =>
        {
            Algorithm::Rs256
        }
        ClientSource::File | ClientSource::Command | ClientSource::Registered => DEFAULT_ALGORITHM,
    });
    let origin = match stored.source {
        ClientSource::File | ClientSource::Command => Origin::Operator,
        ClientSource::Registered => Origin::Registered,
    };
    let own_keys = Arc::new(metadata.jwks.clone().unwrap_or_default());
    let fetcher = fetchers.fetcher(stored).clone();
    Ok(RegisteredClient { id, origin, id_token_algorithm, metadata, own_keys, remote_keys, fetcher })
}
