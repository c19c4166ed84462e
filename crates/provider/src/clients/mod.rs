//! The clients: kept in the store, held in memory; what changed is read again when the store's version changes. Those
//! whose `client_id` is the URL of their metadata are in [`documents`].

mod client;
mod documents;
mod fetchers;

pub use client::{Origin, RegisteredClient};
pub use documents::is_document_url;
pub use fetchers::KeyFetchers;

use crate::config::Config;
use crate::profile::Profile;
use crate::provider::StartError;
use crate::signing_keys::{Slots, needed_by_client};
use crate::store::{Client as StoredClient, ClientChanges, ClientSource, Fault, Store};
use documents::Documents;
use keybound_dpop::time::Now;
use parking_lot::{Mutex, RwLock};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How long the clients in memory are trusted without a look at the store's version. A client that is not in memory
/// is looked for at once.
const TRUST: Duration = Duration::from_millis(200);

/// All of them.
#[derive(Debug)]
pub struct Clients {
    held: RwLock<Held>,
    /// When the store's version was looked at last, in milliseconds of the monotonic clock.
    looked_at: AtomicU64,
    /// Those that registered themselves and showed who they are, or got tokens, since this was written down.
    used: Mutex<HashSet<String>>,
    documents: Option<Documents>,
    fetchers: KeyFetchers,
    profile: Profile,
}

#[derive(Debug, Default)]
struct Held {
    by_id: HashMap<String, Arc<RegisteredClient>>,
    version: u64,
    legacy: usize,
    /// What was ever wanted: a signing key that is no longer needed does no harm.
    signing: Slots,
}

impl Held {
    fn put(&mut self, client: Arc<RegisteredClient>) {
        self.legacy += usize::from(client.legacy_oidc);
        self.signing = self.signing.or(needed_by_client(&client));
        if let Some(before) = self.by_id.insert(client.id.to_string(), client) {
            self.legacy = self.legacy.saturating_sub(usize::from(before.legacy_oidc));
        }
    }

    fn remove(&mut self, client_id: &str) {
        if let Some(before) = self.by_id.remove(client_id) {
            self.legacy = self.legacy.saturating_sub(usize::from(before.legacy_oidc));
        }
    }
}

impl Clients {
    /// Reads them all.
    ///
    /// # Errors
    /// [`StartError`] where the store does not answer or an operator's client in it cannot be used.
    pub async fn load(
        store: &Store,
        fetchers: KeyFetchers,
        config: &Config,
        now: Now,
    ) -> Result<Self, StartError> {
        let profile = config.profile;
        let mut held = Held { version: store.version().await?, ..Held::default() };
        for stored in store.clients().await? {
            match RegisteredClient::read(&stored, &fetchers, profile, None) {
                Ok(client) => held.put(Arc::new(client)),
                // No operator can put it right.
                Err(what) if stored.source == ClientSource::Registered => cannot_be_used(&stored, &what),
                Err(what) => return Err(StartError::Client { client_id: stored.client_id, what }),
            }
        }
        Ok(Self {
            held: RwLock::new(held),
            looked_at: AtomicU64::new(millis(now)),
            used: Mutex::default(),
            documents: Documents::of(config),
            fetchers,
            profile,
        })
    }

    /// Whether some client may use bearer tokens at UserInfo.
    #[must_use]
    pub fn any_legacy(&self) -> bool {
        self.held.read().legacy > 0 || self.documents.as_ref().is_some_and(Documents::may_be_legacy)
    }

    /// The signing keys that their registrations call for.
    #[must_use]
    pub fn signing_slots(&self) -> Slots {
        let of_documents = self.documents.as_ref().map(Documents::signing_slots).unwrap_or_default();
        self.held.read().signing.or(of_documents)
    }

    /// What fetches the URLs of clients.
    #[must_use]
    pub const fn fetchers(&self) -> &KeyFetchers {
        &self.fetchers
    }

    /// Reads again what has changed.
    ///
    /// # Errors
    /// [`Fault`] where the store does not answer.
    pub async fn renew(&self, store: &Store, now: Now) -> Result<(), Fault> {
        let version = store.version().await?;
        let held = self.held.read().version;
        if version != held {
            self.take(store.clients_since(held).await?);
        }
        self.looked_at.store(millis(now), Relaxed);
        Ok(())
    }

    /// The client of that identifier.
    ///
    /// # Errors
    /// [`Fault`] where the store does not answer, or no more documents can be fetched now.
    pub async fn find(
        &self,
        store: &Store,
        client_id: &str,
        now: Now,
    ) -> Result<Option<Arc<RegisteredClient>>, Fault> {
        let known = self.held(client_id);
        let is_trusted = millis(now).saturating_sub(self.looked_at.load(Relaxed)) < as_millis(TRUST);
        if known.is_some() && is_trusted {
            return Ok(known);
        }
        self.renew(store, now).await?;
        match (self.held(client_id), &self.documents) {
            (None, Some(documents)) if is_document_url(client_id, &documents.rules) => {
                // In a place of its own: what it needs to fetch is more than all that others need.
                Box::pin(documents.find(client_id, &self.fetchers, now)).await
            }
            (found, _) => Ok(found),
        }
    }

    /// Whether what was given to that client can still be used: nothing is fetched for it.
    ///
    /// # Errors
    /// [`Fault`] where the store does not answer.
    pub async fn is_there(&self, store: &Store, client_id: &str, now: Now) -> Result<bool, Fault> {
        match &self.documents {
            Some(documents) if is_document_url(client_id, &documents.rules) => Ok(true),
            _ => Ok(self.find(store, client_id, now).await?.is_some()),
        }
    }

    /// Notes that a client showed who it is, or got tokens, so that it is not forgotten (AS-DCR-12).
    pub fn note_use(&self, client: &RegisteredClient, now: Now) {
        if client.is_used_again(now) {
            self.used.lock().insert(client.id.to_string());
        }
    }

    /// Those that were noted since the last time.
    #[must_use]
    pub fn take_used(&self) -> Vec<String> {
        self.used.lock().drain().collect()
    }

    fn held(&self, client_id: &str) -> Option<Arc<RegisteredClient>> {
        self.held.read().by_id.get(client_id).cloned()
    }

    /// Takes up what changed. A client that cannot be used is left out, with an error in the log: the others must go on.
    fn take(&self, changes: ClientChanges) {
        let read: Vec<_> = changes.changed.iter().map(|stored| (stored, self.read(stored))).collect();
        let mut held = self.held.write();
        // Somebody else was quicker, and saw more.
        if changes.version < held.version {
            return;
        }
        match changes.removed {
            Some(removed) => {
                // One that went and came again stands among the changed, too.
                removed.iter().for_each(|client_id| held.remove(client_id));
            }
            None => {
                held.by_id.clear();
                held.legacy = 0;
            }
        }
        for (stored, client) in read {
            match client {
                Ok(client) => held.put(Arc::new(client)),
                Err(what) => {
                    held.remove(&stored.client_id);
                    cannot_be_used(stored, &what);
                }
            }
        }
        held.version = changes.version;
    }

    fn read(&self, stored: &StoredClient) -> Result<RegisteredClient, String> {
        let known = self.held(&stored.client_id);
        RegisteredClient::read(stored, &self.fetchers, self.profile, known.as_deref())
    }
}

fn cannot_be_used(stored: &StoredClient, what: &str) {
    tracing::error!(client_id = stored.client_id, what, "a client cannot be used");
}

fn millis(now: Now) -> u64 {
    as_millis(now.monotonic)
}

fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
