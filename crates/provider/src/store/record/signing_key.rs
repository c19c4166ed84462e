//! The provider's signing keys.

use keybound_dpop::time::UnixTime;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A key that signs tokens, and the times of its life. Rows are never removed, so that no `kid` comes twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// `kid`: unique.
    pub kid: String,
    /// The JOSE name of its algorithm (RFC 7518 §3.1, RFC 9864).
    pub algorithm: String,
    /// The private key in PKCS#8 DER (RFC 5958).
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
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretBytes {}
