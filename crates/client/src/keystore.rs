//! Proof keys in files: one private key a file, named by its user.

use crate::private_dir::{PrivateDir, PrivateFileError};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::json::Object;
use keybound_dpop::jose::signer::{KeyError, SignError, SigningKey};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// A folder (mode 0700) of key files (mode 0600): private JWKs, or for RSA keys an object with `alg` and `pkcs8`.
#[derive(Clone, Debug)]
pub struct KeyStore {
    files: PrivateDir,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
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
}

impl KeyStore {
    /// Opens the folder, and makes it where it is not there.
    ///
    /// # Errors
    /// [`KeyStoreError::File`] where others can get into it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KeyStoreError> {
        Ok(Self { files: PrivateDir::open(path, ".jwk")? })
    }

    /// Makes a new key pair and keeps it.
    ///
    /// # Errors
    /// [`KeyStoreError`]; a key of that name is not replaced.
    pub fn create(&self, name: &str, algorithm: Algorithm) -> Result<SigningKey, KeyStoreError> {
        let key = SigningKey::generate(algorithm)?;
        self.put(name, algorithm, &key)?;
        Ok(key)
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

    /// The key of that name.
    ///
    /// # Errors
    /// [`KeyStoreError`]
    pub fn load(&self, name: &str) -> Result<SigningKey, KeyStoreError> {
        let bytes = self.files.read(name)?;
        let key = match read_pkcs8(&bytes) {
            Some((algorithm, pkcs8)) => SigningKey::from_pkcs8(algorithm, &pkcs8),
            None => SigningKey::from_private_jwk(&bytes),
        };
        key.map_err(|error| KeyStoreError::Key { name: name.to_owned(), error })
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

fn read_pkcs8(bytes: &[u8]) -> Option<(Algorithm, Zeroizing<Vec<u8>>)> {
    let object = Object::parse(bytes).ok()?;
    let algorithm = Algorithm::parse(object.string("alg").ok()??)?;
    let pkcs8 = base64url::decode(object.string("pkcs8").ok()??)?;
    Some((algorithm, Zeroizing::new(pkcs8)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::jose::signer::Signer;
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
        let told = store.load("a").expect_err("refused");
        assert!(!format!("{told} {told:?}").contains("c2VjcmV0"));
    }
}
