//! What has been found out about a key once, for signatures by it that come again and again.

use super::crypto::{CryptoError, ReadKey};
use super::jwk::PublicJwk;
use super::thumbprint::Thumbprint;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Room for one key: to be kept beside a token that is bound to it, or a client that has it. It remembers the key that was
/// shown with a good proof, its thumbprint, and the form in which the crypto library verifies. It vouches for nothing:
/// whoever shows a key still shows all of it, and it is compared octet by octet.
#[derive(Default)]
pub struct KnownKey {
    was_shown: AtomicBool,
    known: OnceLock<Box<Known>>,
}

/// The key in it.
pub(crate) struct Known {
    key: PublicJwk,
    jkt: Thumbprint,
    read: ReadKey,
}

impl KnownKey {
    /// What is known, if it is this very key.
    pub(crate) fn of(&self, key: &PublicJwk) -> Option<&Known> {
        self.known.get().map(Box::as_ref).filter(|known| known.key == *key)
    }

    /// Remembers the key, unless another one is remembered. Not before the second time: what comes once only need not be
    /// prepared for more.
    pub(crate) fn remember(&self, key: &PublicJwk, jkt: Thumbprint) {
        if self.was_shown.swap(true, Ordering::Relaxed)
            && self.known.get().is_none()
            && let Some(read) = ReadKey::of(key)
        {
            self.known.get_or_init(|| Box::new(Known { key: key.clone(), jkt, read }));
        }
    }
}

impl Known {
    pub(crate) fn jkt(&self) -> Thumbprint {
        self.jkt
    }

    /// Whether `signature` is by this key over `message`, under an algorithm that fits it.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        self.read.verify(message, signature)
    }
}

impl fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KnownKey").field(&self.known.get().map(|known| known.jkt)).finish()
    }
}
