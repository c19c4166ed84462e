//! When a key is made, published, used, replaced and taken out (OpenID Connect Core §10.1.1). Plain rules over the keys
//! that are there: no I/O, no clock.

use super::slot::Slot;
use crate::store::{KeyChange, SigningKey as StoredKey};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::time::UnixTime;

/// How long others may keep the key set.
pub const JWKS_MAX_AGE_SECS: u64 = 300;
/// By how much clocks may differ, and how late a process may notice what another one wrote.
const MARGIN_SECS: u64 = 60;
/// How long a successor is in the key set before it signs: whoever keeps an older set has read it again by then.
pub const AHEAD_SECS: u64 = JWKS_MAX_AGE_SECS + MARGIN_SECS;

/// How long keys and what they sign may live.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// The age at which a key gets a successor; none: by command only.
    pub rotate_secs: Option<u64>,
    /// The longest life of anything that is signed.
    pub signed_secs: u64,
}

/// What has to be done about a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// It is wanted and has no key: one that signs at once.
    First,
    /// Its key is old, or about to leave: another that will sign soon.
    Successor,
    /// Its key is old, and nobody wants another.
    End,
}

/// What has to be done about a slot now.
#[must_use]
pub fn due(keys: &[StoredKey], slot: Slot, is_wanted: bool, lives: &Lives, now: UnixTime) -> Due {
    let newest = staying(keys, slot).max_by_key(|key| key.use_from);
    let Some(newest) = newest else {
        return match is_wanted {
            true if signing(keys, slot, now).is_some() => Due::Successor,
            true => Due::First,
            false => Due::Nothing,
        };
    };
    match lives.rotate_secs {
        Some(secs) if newest.created_at.plus_secs(secs) <= now && is_wanted => Due::Successor,
        Some(secs) if newest.created_at.plus_secs(secs) <= now => Due::End,
        _ => Due::Nothing,
    }
}

/// The first key of a slot: nobody can have an older set with another key of it, so it signs from now on.
#[must_use]
pub fn first(key: StoredKey, now: UnixTime) -> KeyChange {
    let key = StoredKey { publish_at: now, use_from: now, retire_at: None, ..key };
    KeyChange { insert: Some(key), ..KeyChange::default() }
}

/// OPS-KEY-01: published now, used when every cache has seen it; those before stay until the last of what they signed
/// has ended.
#[must_use]
pub fn succeed(keys: &[StoredKey], slot: Slot, key: StoredKey, lives: &Lives, now: UnixTime) -> KeyChange {
    let use_from = now.plus_secs(AHEAD_SECS);
    let key = StoredKey { publish_at: now, use_from, retire_at: None, ..key };
    let end = use_from.plus_secs(lives.signed_secs).plus_secs(MARGIN_SECS);
    // The one that signs must not leave before the new one does.
    let hurried = signing(keys, slot, now).filter(|old| old.retire_at.is_some_and(|at| at < end));
    let retire = staying(keys, slot).chain(hurried).map(|old| (old.kid.clone(), end)).collect();
    KeyChange { insert: Some(key), retire, ..KeyChange::default() }
}

/// For an emergency: the new key signs at once, and all others of the slot are believed no longer.
#[must_use]
pub fn replace(keys: &[StoredKey], slot: Slot, key: StoredKey, now: UnixTime) -> KeyChange {
    let retire = published(keys, slot, now).map(|old| (old.kid.clone(), now)).collect();
    KeyChange { retire, ..first(key, now) }
}

/// Nobody wants another key: the slot's keys leave when what they may still sign has ended.
#[must_use]
pub fn end(keys: &[StoredKey], slot: Slot, lives: &Lives, now: UnixTime) -> KeyChange {
    let end = now.plus_secs(lives.signed_secs).plus_secs(MARGIN_SECS);
    let retire = staying(keys, slot).map(|old| (old.kid.clone(), end)).collect();
    KeyChange { retire, ..KeyChange::default() }
}

/// The private halves of keys that have left the set are of no more use.
#[must_use]
pub fn wipe(keys: &[StoredKey], now: UnixTime) -> KeyChange {
    let gone = |key: &&StoredKey| key.retire_at.is_some_and(|at| at <= now) && !key.pkcs8.reveal().is_empty();
    KeyChange { wipe: keys.iter().filter(gone).map(|key| key.kid.clone()).collect(), ..KeyChange::default() }
}

/// The slot of a key; none where we no longer sign under its algorithm.
#[must_use]
pub fn slot_of(key: &StoredKey) -> Option<Slot> {
    Algorithm::parse(&key.algorithm).and_then(|algorithm| Slot::of(key.key_use, algorithm))
}

/// The keys of a slot.
pub fn of(keys: &[StoredKey], slot: Slot) -> impl Iterator<Item = &StoredKey> {
    keys.iter().filter(move |key| slot_of(key) == Some(slot))
}

/// The keys of a slot that have not left the set.
pub fn published(keys: &[StoredKey], slot: Slot, now: UnixTime) -> impl Iterator<Item = &StoredKey> {
    of(keys, slot).filter(move |key| key.retire_at.is_none_or(|at| now < at))
}

/// The key of a slot that signs now.
fn signing(keys: &[StoredKey], slot: Slot, now: UnixTime) -> Option<&StoredKey> {
    published(keys, slot, now).filter(|key| key.use_from <= now).max_by_key(|key| key.use_from)
}

/// The keys of a slot that nobody has said the end of.
fn staying(keys: &[StoredKey], slot: Slot) -> impl Iterator<Item = &StoredKey> {
    of(keys, slot).filter(|key| key.retire_at.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{KeyUse, SecretBytes};

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
    const DAY: u64 = 24 * 3600;
    const LIVES: Lives = Lives { rotate_secs: Some(90 * DAY), signed_secs: 600 };

    fn slot() -> Slot {
        Slot::of(KeyUse::Tokens, Algorithm::Es256).expect("a slot")
    }

    fn key(kid: &str, created_at: UnixTime) -> StoredKey {
        StoredKey {
            kid: kid.to_owned(),
            key_use: KeyUse::Tokens,
            algorithm: "ES256".to_owned(),
            pkcs8: SecretBytes::new(vec![1]),
            created_at,
            publish_at: created_at,
            use_from: created_at,
            retire_at: None,
        }
    }

    fn apply(keys: &mut Vec<StoredKey>, change: KeyChange) {
        for (kid, at) in change.retire {
            keys.iter_mut().filter(|key| key.kid == kid).for_each(|key| key.retire_at = Some(at));
        }
        keys.extend(change.insert);
    }

    #[test]
    fn ops_key_01_a_successor_is_published_before_use_and_the_old_key_outlives_its_tokens() {
        let mut keys = vec![key("old", NOW)];
        let later = NOW.plus_secs(90 * DAY);
        assert_eq!(due(&keys, slot(), true, &LIVES, later.minus_secs(1)), Due::Nothing);
        assert_eq!(due(&keys, slot(), true, &LIVES, later), Due::Successor);
        let change = succeed(&keys, slot(), key("new", later), &LIVES, later);
        apply(&mut keys, change);
        let (old, new) = (&keys[0], &keys[1]);
        assert!(new.publish_at == later && new.use_from >= later.plus_secs(JWKS_MAX_AGE_SECS));
        assert!(old.retire_at >= Some(new.use_from.plus_secs(LIVES.signed_secs)), "{old:?}");
        assert_eq!(due(&keys, slot(), true, &LIVES, later), Due::Nothing, "once");
    }

    #[test]
    fn a_slot_gets_a_key_when_it_is_wanted_and_none_when_not() {
        assert_eq!(due(&[], slot(), true, &LIVES, NOW), Due::First);
        assert_eq!(due(&[], slot(), false, &LIVES, NOW), Due::Nothing);
        let old = [key("old", NOW)];
        let later = NOW.plus_secs(90 * DAY);
        assert_eq!(due(&old, slot(), false, &LIVES, later), Due::End);
        let never = Lives { rotate_secs: None, ..LIVES };
        assert_eq!(due(&old, slot(), true, &never, later), Due::Nothing);
        let elsewhere = Slot::of(KeyUse::Messages, Algorithm::Es256).expect("a slot");
        assert_eq!(due(&old, elsewhere, true, &LIVES, NOW), Due::First, "one purpose a key");
    }

    #[test]
    fn a_successor_that_was_retired_gets_one_of_its_own_and_the_old_key_stays_until_then() {
        let mut keys = vec![key("old", NOW)];
        let change = succeed(&keys, slot(), key("lost", NOW), &LIVES, NOW);
        apply(&mut keys, change);
        apply(&mut keys, KeyChange { retire: vec![("lost".to_owned(), NOW)], ..KeyChange::default() });
        let later = NOW.plus_secs(900);
        assert!(keys[0].retire_at < Some(later.plus_secs(AHEAD_SECS)));
        assert_eq!(due(&keys, slot(), true, &LIVES, later), Due::Successor, "never one that no cache knows");
        let change = succeed(&keys, slot(), key("new", later), &LIVES, later);
        apply(&mut keys, change);
        assert!(keys[0].retire_at > Some(keys[2].use_from.plus_secs(LIVES.signed_secs)));
    }

    #[test]
    fn in_an_emergency_all_others_are_out_at_once() {
        let mut keys = vec![key("a", NOW), key("b", NOW)];
        let change = succeed(&keys, slot(), key("c", NOW), &LIVES, NOW);
        apply(&mut keys, change);
        let change = replace(&keys, slot(), key("d", NOW), NOW);
        apply(&mut keys, change);
        assert!(keys[..3].iter().all(|key| key.retire_at == Some(NOW)), "{keys:?}");
        assert!(keys[3].use_from == NOW && keys[3].retire_at.is_none());
        assert_eq!(wipe(&keys, NOW).wipe, ["a", "b", "c"]);
        assert!(wipe(&keys, NOW.minus_secs(1)).is_empty());
    }
}
