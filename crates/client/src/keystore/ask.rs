//! Who is asked for the passphrase of a key file or the PIN of a token.

use keybound_dpop::secret::Secret;
use std::fmt;

/// Somebody who knows passphrases and PINs: a person at a terminal, a file, the environment.
pub trait AskSecret: Send + Sync {
    /// The secret that is asked for. May block the thread.
    ///
    /// # Errors
    /// [`SecretAsked`] where it cannot be had.
    fn ask(&self, wanted: &SecretFor<'_>) -> Result<Secret, SecretAsked>;
}

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretFor<'a> {
    /// The passphrase of a key file.
    Passphrase {
        /// The name of the key.
        key: &'a str,
    },
    /// A passphrase for a key file that is being written. Who asks a person asks twice.
    NewPassphrase {
        /// The name of the key.
        key: &'a str,
        /// Whether it takes the place of another one.
        is_change: bool,
    },
    /// The user PIN of a token (PKCS #11).
    Pin {
        /// The label of the token.
        token: &'a str,
        /// Whether the token locks if the PIN is wrong this time.
        is_last_try: bool,
    },
}

/// A secret cannot be had. The text says why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretAsked(pub String);

/// There is nobody to ask: keys that need a secret stay closed.
#[derive(Clone, Copy, Debug, Default)]
pub struct NobodyToAsk;

impl AskSecret for NobodyToAsk {
    fn ask(&self, wanted: &SecretFor<'_>) -> Result<Secret, SecretAsked> {
        Err(SecretAsked(format!("{wanted} is needed, and there is nobody to ask for it")))
    }
}

impl fmt::Display for SecretFor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passphrase { key } => write!(f, "the passphrase of key `{key}`"),
            Self::NewPassphrase { key, .. } => write!(f, "a new passphrase for key `{key}`"),
            Self::Pin { token, .. } => write!(f, "the PIN of token `{token}`"),
        }
    }
}
