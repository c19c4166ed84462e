//! The keys that tokens and answers are signed with: kept in the store, held in memory. Which signs when is
//! [`schedule`]'s rule; [`SigningKeys::tend`] carries it out, [`command`] what an operator asks for.

pub mod command;
pub mod schedule;
pub mod slot;
mod tend;

pub use crate::store::KeyUse;
pub use schedule::{JWKS_MAX_AGE_SECS, Lives};
pub use slot::{ALGORITHMS, Slot, Slots};

use crate::clients::RegisteredClient;
use crate::config::{Config, RegistrationMode};
use crate::provider::StartError;
use crate::store::{Fault, SigningKey as StoredKey, Store};
use arc_swap::ArcSwap;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{SignError, Signer, SigningKey};
use keybound_dpop::time::UnixTime;
use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// The algorithm where nothing else is asked for.
pub const DEFAULT_ALGORITHM: Algorithm = Algorithm::Es256;

/// The keys, as of the last look at the store.
#[derive(Debug)]
pub struct SigningKeys {
    held: ArcSwap<Held>,
    wanted: AtomicU8,
    lives: Lives,
}

/// A key in memory.
#[derive(Debug)]
pub struct HeldKey {
    /// `kid`
    pub kid: String,
    /// What it signs.
    pub key_use: KeyUse,
    /// The key itself.
    pub key: SigningKey,
    publish_at: UnixTime,
    use_from: UnixTime,
    retire_at: Option<UnixTime>,
}

#[derive(Debug, Default)]
struct Held {
    stored: Vec<StoredKey>,
    all: Vec<Arc<HeldKey>>,
    /// By slot; the one that signs last comes first.
    by_slot: [Vec<Arc<HeldKey>>; Slot::COUNT],
}

/// The keys that the configuration calls for.
#[must_use]
pub fn needed_by_config(config: &Config) -> Slots {
    let resources = config.resources.iter().filter_map(|resource| resource.signing_alg);
    let tokens = resources.chain([DEFAULT_ALGORITHM, config.signing.access_tokens]);
    // Who registers itself without naming an algorithm gets this one, and need not wait for the key (DEC-28).
    let takes_strangers =
        config.registration.mode != RegistrationMode::Off || config.registration.documents.is_some();
    let theirs = takes_strangers && config.profile.signing_algorithms().contains(&Algorithm::Rs256);
    let tokens = tokens.chain(theirs.then_some(Algorithm::Rs256));
    Slots::of(tokens.map(|algorithm| (KeyUse::Tokens, algorithm)))
        .or(Slots::of([(KeyUse::Messages, DEFAULT_ALGORITHM)]))
}

/// The keys that a client's registration calls for.
#[must_use]
pub fn needed_by_client(client: &RegisteredClient) -> Slots {
    let messages = [
        client.authorization_signed_response_alg,
        client.introspection_signed_response_alg,
        client.userinfo_signed_response_alg,
    ];
    let messages = messages.into_iter().flatten().map(|algorithm| (KeyUse::Messages, algorithm));
    Slots::of(messages.chain([(KeyUse::Tokens, client.id_token_algorithm)]))
}

impl SigningKeys {
    /// Reads the keys; makes those that are wanted and not there.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn load(store: &Store, wanted: Slots, lives: Lives, now: UnixTime) -> Result<Self, StartError> {
        let held = Held::of(store.signing_keys().await?)?;
        let keys = Self { held: ArcSwap::from_pointee(held), wanted: AtomicU8::new(wanted.bits()), lives };
        keys.tend(store, now).await?;
        Ok(keys)
    }

    /// Reads the keys again. A key that cannot be used leaves those in memory as they are.
    ///
    /// # Errors
    /// [`Fault`] where the store does not answer.
    pub async fn reload(&self, store: &Store) -> Result<(), Fault> {
        match Held::of(store.signing_keys().await?) {
            Ok(held) => self.held.store(Arc::new(held)),
            Err(error) => tracing::error!(%error, "the signing keys in memory stay as they are"),
        }
        Ok(())
    }

    /// Says that these keys are wanted, as long as the process lives.
    pub fn want(&self, slots: Slots) {
        self.wanted.fetch_or(slots.bits(), Relaxed);
    }

    /// The public keys, as they are published.
    #[must_use]
    pub fn key_set(&self, now: UnixTime) -> KeySet {
        self.set_of(now, |_| true)
    }

    /// The public keys of one purpose: what is signed for another is not believed.
    #[must_use]
    pub fn key_set_of(&self, key_use: KeyUse, now: UnixTime) -> KeySet {
        self.set_of(now, |key| key.key_use == key_use)
    }

    fn set_of(&self, now: UnixTime, wanted: impl Fn(&HeldKey) -> bool) -> KeySet {
        let held = self.held.load();
        let named = |held: &Arc<HeldKey>| NamedKey {
            kid: Some(held.kid.clone()),
            algorithm: Some(held.key.algorithm()),
            key: held.key.public_jwk().clone(),
        };
        KeySet::of(held.all.iter().filter(|key| key.is_published(now) && wanted(key)).map(named).collect())
    }

    /// The key that signs now, for that purpose under that algorithm. Where there is none yet, it is made in the
    /// background, within a second or two ([`SigningKeys::tend`]).
    ///
    /// # Errors
    /// [`SignError`] where no key is in use, or we do not sign under that algorithm.
    pub fn signer(
        &self,
        key_use: KeyUse,
        algorithm: Algorithm,
        now: UnixTime,
    ) -> Result<Arc<HeldKey>, SignError> {
        let slot = Slot::of(key_use, algorithm);
        let slot = slot.ok_or_else(|| SignError(format!("nothing is signed with {algorithm}")))?;
        let held = self.held.load();
        let in_use = held.by_slot.get(slot.index()).and_then(|keys| keys.iter().find(|key| key.signs(now)));
        if let Some(key) = in_use {
            return Ok(Arc::clone(key));
        }
        self.want(Slots::of([(key_use, algorithm)]));
        Err(SignError(format!("the {algorithm} key for {} is still being made", key_use.as_str())))
    }
}

impl HeldKey {
    fn is_published(&self, now: UnixTime) -> bool {
        self.publish_at <= now && self.retire_at.is_none_or(|at| now < at)
    }

    fn signs(&self, now: UnixTime) -> bool {
        self.use_from <= now && self.retire_at.is_none_or(|at| now < at)
    }
}

impl Held {
    fn of(stored: Vec<StoredKey>) -> Result<Self, StartError> {
        let mut held = Self::default();
        for key in stored.iter().filter(|key| !key.pkcs8.reveal().is_empty()) {
            let key = Arc::new(hold(key)?);
            let slot = Slot::of(key.key_use, key.key.algorithm());
            if let Some(keys) = slot.and_then(|slot| held.by_slot.get_mut(slot.index())) {
                keys.push(Arc::clone(&key));
            }
            held.all.push(key);
        }
        for keys in &mut held.by_slot {
            keys.sort_by_key(|key| Reverse(key.use_from));
        }
        held.stored = stored;
        Ok(held)
    }
}

fn hold(stored: &StoredKey) -> Result<HeldKey, StartError> {
    let key = Algorithm::parse(&stored.algorithm)
        .and_then(|algorithm| SigningKey::from_pkcs8(algorithm, stored.pkcs8.reveal()).ok())
        .ok_or_else(|| StartError::Key(stored.kid.clone()))?;
    Ok(HeldKey {
        kid: stored.kid.clone(),
        key_use: stored.key_use,
        key,
        publish_at: stored.publish_at,
        use_from: stored.use_from,
        retire_at: stored.retire_at,
    })
}
