//! The provider's signing keys.

use keybound_dpop::jose::crypto::are_equal;
use keybound_dpop::time::UnixTime;
use std::fmt;
use zeroize::Zeroizing;

/// What a key signs: one purpose a key, so that what is signed for one can never be taken for the other (RFC 8725 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyUse {
    /// Access tokens and ID tokens.
    Tokens,
    /// Signed answers: authorization responses, introspection responses, UserInfo.
    Messages,
}

impl KeyUse {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Tokens, Self::Messages];

    /// The word that stands for it in the store and in commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Messages => "messages",
        }
    }

    /// What the word stands for.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key_use| key_use.as_str() == word)
    }
}

/// A key that signs, and the times of its life. Rows are never removed, so that no `kid` comes twice; the private half
/// of a key that has left the key set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// `kid`: unique.
    pub kid: String,
    /// What it signs.
    pub key_use: KeyUse,
    /// The JOSE name of its algorithm (RFC 7518 §3.1, RFC 9864).
    pub algorithm: String,
    /// The private key in PKCS#8 DER (RFC 5958); empty once it was wiped.
    pub pkcs8: SecretBytes,
    /// When it was made.
    pub created_at: UnixTime,
    /// From when the public half is in the key set.
    pub publish_at: UnixTime,
    /// From when it signs.
    pub use_from: UnixTime,
    /// When it leaves the key set.
    pub retire_at: Option<UnixTime>,
}

/// What is to be changed about signing keys, decided over all that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// A new key. A `kid` that is there already is a fault: it names one key for ever.
    pub insert: Option<SigningKey>,
    /// Which keys leave the key set, and when.
    pub retire: Vec<(String, UnixTime)>,
    /// Keys whose private half is wiped.
    pub wipe: Vec<String>,
}

impl KeyChange {
    /// Whether nothing is to be changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.insert.is_none() && self.retire.is_empty() && self.wipe.is_empty()
    }
}

/// Bytes that must not be seen: redacted where printed, wiped when dropped, compared in constant time.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes in.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves, to be used, never to be printed.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl From<Zeroizing<Vec<u8>>> for SecretBytes {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        are_equal(&self.0, &other.0)
    }
}

impl Eq for SecretBytes {}
