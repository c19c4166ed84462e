//! Proof keys by their names. What a name stands for is written in a folder, one file a key; who opens a key need not
//! know what kind it is.

mod ask;

pub use ask::{AskSecret, NobodyToAsk, SecretAsked, SecretFor};

use crate::private_dir::{PrivateDir, PrivateFileError};
use crate::prover::SharedSigner;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::json::Object;
use keybound_dpop::jose::jwk::PublicJwk;
use keybound_dpop::jose::signer::{KeyError, SignError, Signer as _, SigningKey};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A folder (mode 0700) of key files (mode 0600). Whatever else signs, such as an agent or a device that is not
/// reached by PKCS #11, implements [`keybound_dpop::jose::signer::Signer`] and goes beside this store into a
/// [`crate::prover::Prover`].
#[derive(Clone)]
pub struct KeyStore {
    files: PrivateDir,
    ask: Arc<dyn AskSecret>,
}

/// What may be known of a key without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Where the private key is.
    pub kind: KeyKind,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// The public key.
    pub public: PublicJwk,
}

/// Where a private key is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// In a file that nobody else can read: a private JWK, or for RSA keys an object with `alg` and `pkcs8`.
    File,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
        })
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyStoreError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file holds no key that can be used.
    #[error("the key file `{name}` holds no key that can be used: {error}")]
    Key {
        /// The name of the key.
        name: String,
        /// What is wrong with it.
        error: KeyError,
    },
    /// No key could be made.
    #[error("no key could be made: {0}")]
    Generate(#[from] SignError),
    /// The passphrase or PIN that opens it cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretAsked),
}

impl KeyStore {
    /// Opens the folder, and makes it where it is not there. Keys that need a passphrase or a PIN cannot be opened until
    /// there is somebody to ask ([`Self::asking`]).
    ///
    /// # Errors
    /// [`KeyStoreError::File`] where others can get into it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KeyStoreError> {
        Ok(Self { files: PrivateDir::open(path, ".jwk")?, ask: Arc::new(NobodyToAsk) })
    }

    /// The same store, which asks there for passphrases and PINs.
    #[must_use]
    pub fn asking(self, ask: Arc<dyn AskSecret>) -> Self {
        Self { ask, ..self }
    }

    /// Makes a new key pair and keeps it.
    ///
    /// # Errors
    /// [`KeyStoreError`]; a key of that name is not replaced.
    pub fn create(&self, name: &str, algorithm: Algorithm) -> Result<SharedSigner, KeyStoreError> {
        let key = SigningKey::generate(algorithm)?;
        self.put(name, algorithm, &key)?;
        Ok(Arc::new(key))
    }

    fn put(&self, name: &str, algorithm: Algorithm, key: &SigningKey) -> Result<(), KeyStoreError> {
        let text = match key.to_private_jwk() {
            Ok(jwk) => jwk,
            Err(_) => {
                let unfit = |error| KeyStoreError::Key { name: name.to_owned(), error };
                let pkcs8 = Zeroizing::new(base64url::encode(&key.to_pkcs8().map_err(unfit)?));
                Zeroizing::new(format!(r#"{{"alg":"{algorithm}","pkcs8":"{}"}}"#, *pkcs8))
            }
        };
        Ok(self.files.create(name, text.as_bytes())?)
    }

    /// The key of that name, ready to sign. Blocks the thread where a passphrase or a PIN is asked for.
    ///
    /// # Errors
    /// [`KeyStoreError`]
    pub fn load(&self, name: &str) -> Result<SharedSigner, KeyStoreError> {
        let bytes = self.files.read(name)?;
        self.signer(name, &bytes)
    }

    /// The key in these bytes, which were written elsewhere; `name` is what they are called in errors and questions.
    ///
    /// # Errors
    /// [`KeyStoreError`]
    pub fn signer(&self, name: &str, bytes: &[u8]) -> Result<SharedSigner, KeyStoreError> {
        Ok(Arc::new(plain(name, bytes)?))
    }

    /// What may be known of the key of that name. Asks nobody for a passphrase or a PIN.
    ///
    /// # Errors
    /// [`KeyStoreError`]
    pub fn info(&self, name: &str) -> Result<KeyInfo, KeyStoreError> {
        let key = plain(name, &self.files.read(name)?)?;
        Ok(KeyInfo { kind: KeyKind::File, algorithm: key.algorithm(), public: key.public_jwk().clone() })
    }

    /// The names of all keys, sorted.
    ///
    /// # Errors
    /// [`KeyStoreError::File`]
    pub fn names(&self) -> Result<Vec<String>, KeyStoreError> {
        Ok(self.files.names()?)
    }

    /// Removes the key of that name. What is bound to it can be used no more.
    ///
    /// # Errors
    /// [`KeyStoreError::File`]
    pub fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        Ok(self.files.remove(name)?)
    }
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyStore({:?})", self.files)
    }
}

fn plain(name: &str, bytes: &[u8]) -> Result<SigningKey, KeyStoreError> {
    let key = match read_pkcs8(bytes) {
        Some((algorithm, pkcs8)) => SigningKey::from_pkcs8(algorithm, &pkcs8),
        None => SigningKey::from_private_jwk(bytes),
    };
    key.map_err(|error| KeyStoreError::Key { name: name.to_owned(), error })
}

fn read_pkcs8(bytes: &[u8]) -> Option<(Algorithm, Zeroizing<Vec<u8>>)> {
    let object = Object::parse(bytes).ok()?;
    let algorithm = Algorithm::parse(object.string("alg").ok()??)?;
    let pkcs8 = base64url::decode(object.string("pkcs8").ok()??)?;
    Some((algorithm, Zeroizing::new(pkcs8)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn cl_key_07_keys_are_kept_in_files_that_only_we_can_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = KeyStore::open(folder.path().join("keys")).expect("a store");
        for (name, algorithm) in [
            ("a", Algorithm::Es256),
            ("b", Algorithm::EdDsa),
            ("c", Algorithm::Ed25519),
            ("d", Algorithm::Ps256),
        ] {
            let key = store.create(name, algorithm).expect("created");
            let loaded = store.load(name).expect("loaded");
            assert_eq!((loaded.algorithm(), loaded.public_jwk()), (algorithm, key.public_jwk()));
            let file = folder.path().join("keys").join(format!("{name}.jwk"));
            let mode = std::fs::metadata(file).expect("metadata").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(store.names().expect("names"), ["a", "b", "c", "d"]);
    }

    #[test]
    fn cl_key_10_a_deleted_key_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = KeyStore::open(folder.path().join("keys")).expect("a store");
        store.create("a", Algorithm::Es256).expect("created");
        assert!(store.create("a", Algorithm::Es256).is_err());
        store.delete("a").expect("deleted");
        assert!(matches!(store.load("a"), Err(KeyStoreError::File(PrivateFileError::Missing(_)))));
    }

    #[test]
    fn cl_key_02_errors_do_not_show_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = KeyStore::open(folder.path().join("keys")).expect("a store");
        store.files.create("a", br#"{"kty":"EC","crv":"P-256","d":"c2VjcmV0"}"#).expect("created");
        let told = store.load("a").err().expect("refused");
        assert!(!format!("{told} {told:?}").contains("c2VjcmV0"));
    }
}
