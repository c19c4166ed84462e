//! The keys that tokens are signed with: kept in the store, held in memory.

use crate::provider::StartError;
use crate::store::{Fault, SecretBytes, SigningKey as StoredKey, Store};
use arc_swap::ArcSwap;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{SignError, Signer, SigningKey};
use keybound_dpop::time::UnixTime;
use std::sync::Arc;

/// The algorithm of the keys that we make.
pub const ALGORITHM: Algorithm = Algorithm::Es256;

/// The keys, as of the last look at the store.
#[derive(Debug)]
pub struct SigningKeys {
    held: ArcSwap<Vec<Arc<HeldKey>>>,
}

/// A key in memory.
#[derive(Debug)]
pub struct HeldKey {
    /// `kid`
    pub kid: String,
    /// The key itself.
    pub key: SigningKey,
    publish_at: UnixTime,
    use_from: UnixTime,
    retire_at: Option<UnixTime>,
}

impl SigningKeys {
    /// Reads the keys; makes the first one where there is none.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn load(store: &Store, now: UnixTime) -> Result<Self, StartError> {
        if store.signing_keys().await?.is_empty() {
            store.insert_signing_key(make(now)?).await?;
        }
        let held = hold(store.signing_keys().await?)?;
        Ok(Self { held: ArcSwap::from_pointee(held) })
    }

    /// Reads the keys again. A key that cannot be used leaves those in memory as they are.
    ///
    /// # Errors
    /// [`Fault`] where the store does not answer.
    pub async fn reload(&self, store: &Store) -> Result<(), Fault> {
        match hold(store.signing_keys().await?) {
            Ok(held) => self.held.store(Arc::new(held)),
            Err(error) => tracing::error!(%error, "the signing keys in memory stay as they are"),
        }
        Ok(())
    }

    /// The public keys, as they are published.
    #[must_use]
    pub fn key_set(&self, now: UnixTime) -> KeySet {
        let held = self.held.load();
        let shown =
            held.iter().filter(|held| held.publish_at <= now && held.retire_at.is_none_or(|at| now < at));
        KeySet::of(
            shown
                .map(|held| NamedKey {
                    kid: Some(held.kid.clone()),
                    algorithm: Some(held.key.algorithm()),
                    key: held.key.public_jwk().clone(),
                })
                .collect(),
        )
    }

    /// The newest key in use.
    ///
    /// # Errors
    /// [`SignError`] where no key is in use.
    pub fn current(&self, now: UnixTime) -> Result<Arc<HeldKey>, SignError> {
        let held = self.held.load();
        let usable = |held: &&Arc<HeldKey>| held.use_from <= now && held.retire_at.is_none_or(|at| now < at);
        let newest = held.iter().filter(usable).max_by_key(|held| held.use_from).cloned();
        newest.ok_or_else(|| SignError("no signing key is in use".to_owned()))
    }
}

/// A new key that signs from now on: `kid` is its thumbprint (OPS-KEY-02).
fn make(now: UnixTime) -> Result<StoredKey, StartError> {
    let key = SigningKey::generate(ALGORITHM).map_err(|_| StartError::Entropy)?;
    let kid = key.public_jwk().thumbprint().to_string();
    let pkcs8 = key.to_pkcs8().map_err(|_| StartError::Key(kid.clone()))?;
    Ok(StoredKey {
        kid,
        algorithm: ALGORITHM.name().to_owned(),
        pkcs8: SecretBytes::from(pkcs8),
        created_at: now,
        publish_at: now,
        use_from: now,
        retire_at: None,
    })
}

fn hold(stored: Vec<StoredKey>) -> Result<Vec<Arc<HeldKey>>, StartError> {
    stored
        .into_iter()
        .map(|stored| {
            let key = Algorithm::parse(&stored.algorithm)
                .and_then(|algorithm| SigningKey::from_pkcs8(algorithm, stored.pkcs8.reveal()).ok())
                .ok_or_else(|| StartError::Key(stored.kid.clone()))?;
            Ok(Arc::new(HeldKey {
                kid: stored.kid,
                key,
                publish_at: stored.publish_at,
                use_from: stored.use_from,
                retire_at: stored.retire_at,
            }))
        })
        .collect()
}
