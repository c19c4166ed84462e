//! What an operator does with signing keys. A running provider sees it within two seconds.

use super::schedule::{self, Lives};
use super::slot::Slot;
use super::{StoredKey, tend};
use crate::provider::StartError;
use crate::store::{KeyChange, Store};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::time::UnixTime;

/// How a new key takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Published first, used when every cache has seen it; the key before stays until its tokens have ended.
    Orderly,
    /// Used at once, and the keys before are out at once, with all that they have signed.
    AtOnce,
}

/// Why a key stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is none of that name.
    #[error("there is no signing key `{0}`")]
    Unknown(String),
    /// It is out already.
    #[error("the signing key `{0}` has left the key set already")]
    Gone(String),
    /// Nothing could be signed any more.
    #[error("the signing key `{0}` is the only one that signs now, so that nothing could be signed any more")]
    InUse(String),
    /// There is nothing to rotate.
    #[error("there is no signing key for that; the provider makes one when it is needed")]
    Nothing,
    /// The store or the system's generator cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl From<crate::store::Fault> for KeyError {
    fn from(fault: crate::store::Fault) -> Self {
        Self::Start(fault.into())
    }
}

/// Gives every key in use a successor, or only those of one algorithm. Gives what was changed; nothing for a slot whose
/// successor is published already.
///
/// # Errors
/// [`KeyError`]
pub async fn rotate(
    store: &Store,
    algorithm: Option<Algorithm>,
    pace: Pace,
    lives: Lives,
    now: UnixTime,
) -> Result<Vec<KeyChange>, KeyError> {
    let there = store.signing_keys().await?;
    let is_meant = |slot: &Slot| algorithm.is_none_or(|algorithm| algorithm == slot.algorithm);
    let is_there = |slot: &Slot| schedule::published(&there, *slot, now).next().is_some();
    let slots: Vec<Slot> = Slot::all().filter(is_meant).filter(is_there).collect();
    if slots.is_empty() {
        return Err(KeyError::Nothing);
    }
    let mut changes = Vec::new();
    for slot in slots {
        let key = tend::make(slot, now)?;
        let decide = move |keys: &[StoredKey]| match pace {
            Pace::AtOnce => Ok(schedule::replace(keys, slot, key.clone(), now)),
            Pace::Orderly
                if schedule::of(keys, slot).any(|key| now < key.use_from && key.retire_at.is_none()) =>
            {
                Err(())
            }
            Pace::Orderly => Ok(schedule::succeed(keys, slot, key.clone(), &lives, now)),
        };
        if let Ok(change) = store.change_signing_keys(decide).await? {
            tend::note(&change);
            changes.push(change);
        }
    }
    Ok(changes)
}

/// Takes a key out of the key set at once: what it has signed is believed no longer.
///
/// # Errors
/// [`KeyError`]
pub async fn retire(store: &Store, kid: &str, now: UnixTime) -> Result<(), KeyError> {
    let kid = kid.to_owned();
    let decide = move |keys: &[StoredKey]| {
        let key = keys.iter().find(|key| key.kid == kid).ok_or_else(|| KeyError::Unknown(kid.clone()))?;
        if key.retire_at.is_some_and(|at| at <= now) {
            return Err(KeyError::Gone(kid.clone()));
        }
        let signs = |key: &StoredKey| key.use_from <= now && key.retire_at.is_none_or(|at| now < at);
        let mut others = keys.iter().filter(|other| {
            other.kid != key.kid && (other.key_use, &other.algorithm) == (key.key_use, &key.algorithm)
        });
        if signs(key) && !others.any(signs) {
            return Err(KeyError::InUse(kid.clone()));
        }
        Ok(KeyChange { retire: vec![(kid.clone(), now)], ..KeyChange::default() })
    };
    let change = store.change_signing_keys(decide).await??;
    tend::note(&change);
    Ok(())
}
