//! What goes out as `id.secret`: codes, refresh tokens, sessions and the like.
//!
//! The `id` finds the row and is no secret. Of the `secret` only the SHA-256 is kept, so that who reads the store
//! holds nothing that can be used (RFC 9700 §4.14; 256 bits of entropy, RFC 6749 §10.10).

use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::{are_equal, sha256};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Bytes of entropy in an [`Id`].
pub const ID_ENTROPY: usize = 10;

/// Bytes of entropy in a [`Credential`]: its id's and its secret's.
pub const CREDENTIAL_ENTROPY: usize = ID_ENTROPY + 32;

/// A time-ordered identifier: 48 bits of milliseconds, then 80 random bits. Bytes sort by time of birth, so new
/// rows land at the end of their table. As text: 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 16]);

impl Id {
    /// A new identifier.
    #[must_use]
    pub fn mint(now: UnixTime, entropy: &[u8; ID_ENTROPY]) -> Self {
        Self::join(now, entropy)
    }

    fn join(now: UnixTime, random: &[u8]) -> Self {
        let [_, _, millis @ ..] = now.as_millis().to_be_bytes();
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(millis.iter().chain(random)) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The identifier that the text spells; `None` unless it is exactly one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        base64url::decode_exactly(text).map(Self)
    }

    /// The bytes, in the order in which identifiers sort.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The identifier with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Stands in a record that is being read until the column's value takes its place.
    pub(super) const fn unread() -> Self {
        Self([0; 16])
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an identifier"))
    }
}

/// SHA-256 of a secret; equality takes the same time wherever the difference is.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(sha256(secret))
    }

    /// The hash with these bytes, as it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Stands in a record that is being read until the column's value takes its place.
    pub(super) const fn unread() -> Self {
        Self([0; 32])
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        are_equal(&self.0, &other.0)
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

/// The making and the taking apart of `id.secret`.
#[derive(Clone, Copy, Debug)]
pub struct Credential;

impl Credential {
    /// A new credential: its id, the whole text that goes out (66 characters of VSCHAR), and the hash to store.
    #[must_use]
    pub fn mint(now: UnixTime, entropy: &[u8; CREDENTIAL_ENTROPY]) -> (Id, Secret, SecretHash) {
        let (for_id, secret) = entropy.split_at(ID_ENTROPY);
        let id = Id::join(now, for_id);
        let text = Secret::new(format!("{id}.{}", base64url::encode(secret)));
        (id, text, SecretHash::of(secret))
    }

    /// The id and the hash of the secret in the text; `None` unless it is exactly what [`Credential::mint`] makes.
    #[must_use]
    pub fn parse(text: &str) -> Option<(Id, SecretHash)> {
        let (id, secret) = text.split_once('.')?;
        let secret: [u8; 32] = base64url::decode_exactly(secret)?;
        Some((Id::parse(id)?, SecretHash::of(&secret)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entropy(from: u8) -> [u8; CREDENTIAL_ENTROPY] {
        std::array::from_fn(|i| from.wrapping_add(u8::try_from(i).unwrap()))
    }

    #[test]
    fn ids_sort_by_time() {
        let early = Id::mint(UnixTime::from_millis(1_000), &[255; ID_ENTROPY]);
        let late = Id::mint(UnixTime::from_millis(1_001), &[0; ID_ENTROPY]);
        assert!(early.as_bytes() < late.as_bytes());
        assert!(early < late);
    }

    #[test]
    fn an_id_is_22_characters_and_reads_back() {
        let id = Id::mint(UnixTime::from_secs(1_800_000_000), &[7; ID_ENTROPY]);
        assert_eq!(id.to_string().len(), 22);
        assert_eq!(Id::parse(&id.to_string()), Some(id));
        assert_eq!(serde_json::from_str::<Id>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }

    #[test]
    fn as_rt_13_a_credential_holds_256_bits_in_characters_of_base64url() {
        let (id, text, hash) = Credential::mint(UnixTime::from_secs(1), &entropy(1));
        let text = text.reveal();
        assert_eq!(text.len(), 22 + 1 + 43);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
        assert_eq!(Credential::parse(text), Some((id, hash)));

        let (_, other, other_hash) = Credential::mint(UnixTime::from_secs(1), &entropy(2));
        assert_ne!(other.reveal(), text);
        assert_ne!(other_hash, hash);
    }

    #[test]
    fn only_what_was_minted_parses() {
        let (_, text, _) = Credential::mint(UnixTime::from_secs(1), &entropy(1));
        let text = text.reveal();
        let (id, secret) = text.split_once('.').unwrap();
        for bad in [
            String::new(),
            id.to_owned(),
            format!("{id}."),
            format!(".{secret}"),
            format!("{text}="),
            format!("{text}A"),
            format!("{text}.{secret}"),
            format!(" {text}"),
            format!("{text}\n"),
            format!("{id}.{id}"),
            format!("{secret}.{id}"),
            text.replace('.', "-"),
            text.replace('.', "\u{2024}"),
        ] {
            assert_eq!(Credential::parse(&bad), None, "{bad}");
        }
    }
}
