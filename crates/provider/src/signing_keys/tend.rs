//! Keeping the keys: made when they are wanted, replaced when they are old, wiped when they have left. Beside the
//! requests, never on their way: an RSA key takes a fraction of a second to make.

use super::schedule::{self, Due};
use super::slot::{Slot, Slots};
use super::{SigningKeys, StoredKey};
use crate::audit::{self, Event, Facts};
use crate::provider::StartError;
use crate::store::{Fault, KeyChange, SecretBytes, Store};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::time::UnixTime;
use std::sync::atomic::Ordering::Relaxed;

impl SigningKeys {
    /// Does what is due. Cheap where nothing is: it looks at memory only. Whether the keys changed.
    ///
    /// # Errors
    /// [`StartError`] where a key cannot be made or kept.
    pub async fn tend(&self, store: &Store, now: UnixTime) -> Result<bool, StartError> {
        let wanted = Slots::from_bits(self.wanted.load(Relaxed));
        let mut changed = false;
        for slot in Slot::all() {
            let is_wanted = wanted.has(slot);
            let due = schedule::due(&self.held.load().stored, slot, is_wanted, &self.lives, now);
            changed |= match due {
                Due::Nothing => false,
                Due::First | Due::Successor => {
                    let key = make_aside(slot, now).await?;
                    self.settle(store, due, slot, Some(key), now).await?
                }
                Due::End => self.settle(store, due, slot, None, now).await?,
            };
        }
        if !schedule::wipe(&self.held.load().stored, now).is_empty() {
            let decide = move |keys: &[StoredKey]| Ok::<_, ()>(schedule::wipe(keys, now));
            changed |= store.change_signing_keys(decide).await?.is_ok();
        }
        if changed {
            self.reload(store).await?;
        }
        Ok(changed)
    }

    /// Writes what is due, unless another process did so in the meantime.
    async fn settle(
        &self,
        store: &Store,
        due: Due,
        slot: Slot,
        key: Option<StoredKey>,
        now: UnixTime,
    ) -> Result<bool, Fault> {
        let lives = self.lives;
        let decide = move |keys: &[StoredKey]| {
            if schedule::due(keys, slot, due != Due::End, &lives, now) != due {
                return Err(());
            }
            Ok(match (due, key.clone()) {
                (Due::First, Some(key)) => schedule::first(key, now),
                (Due::Successor, Some(key)) => schedule::succeed(keys, slot, key, &lives, now),
                _ => schedule::end(keys, slot, &lives, now),
            })
        };
        let change = store.change_signing_keys(decide).await?;
        if let Ok(change) = &change {
            note(change);
        }
        Ok(true)
    }
}

/// A key, made where nothing waits for it.
async fn make_aside(slot: Slot, now: UnixTime) -> Result<StoredKey, StartError> {
    tokio::task::spawn_blocking(move || make(slot, now)).await.map_err(|_| StartError::Entropy)?
}

/// A new key, not yet part of anything: `kid` is its thumbprint (OPS-KEY-02).
pub(super) fn make(slot: Slot, now: UnixTime) -> Result<StoredKey, StartError> {
    let key = SigningKey::generate(slot.algorithm).map_err(|_| StartError::Entropy)?;
    let kid = key.public_jwk().thumbprint().to_string();
    let pkcs8 = key.to_pkcs8().map_err(|_| StartError::Key(kid.clone()))?;
    Ok(StoredKey {
        kid,
        key_use: slot.key_use,
        algorithm: slot.algorithm.name().to_owned(),
        pkcs8: SecretBytes::from(pkcs8),
        created_at: now,
        publish_at: now,
        use_from: now,
        retire_at: None,
    })
}

/// The events of a change of keys (OPS-LOG-02).
pub(super) fn note(change: &KeyChange) {
    if let Some(key) = &change.insert {
        let why = format!("{} for {}", key.algorithm, key.key_use.as_str());
        let facts =
            Facts { kid: Some(&key.kid), at: Some(key.use_from), why: Some(&why), ..Facts::default() };
        audit::write(Event::KeyAdded, &facts);
    }
    for (kid, at) in &change.retire {
        audit::write(Event::KeyRetired, &Facts { kid: Some(kid), at: Some(*at), ..Facts::default() });
    }
}
