//! Proof keys by their names. What a name stands for is written in a folder, one file a key; who opens a key need not
//! know what kind it is.

mod ask;
mod encrypted;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
mod record;

pub use ask::{AskSecret, NobodyToAsk, SecretAsked, SecretFor};
pub use record::Unreadable;

use crate::private_dir::PrivateDir;
use crate::private_file::PrivateFileError;
use crate::prover::SharedSigner;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::jwk::PublicJwk;
use keybound_dpop::jose::signer::{KeyError, SignError, SigningKey};
use record::{NoRecord, Record, plain_text};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// In such a file, under a passphrase.
    Encrypted,
    /// In a token, which does not give it away (PKCS #11): a security module, a smart card, a TPM.
    Token(TokenPlace),
}

/// Where in which token a key is. No PIN is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPlace {
    /// The library by which the token is reached.
    pub module: PathBuf,
    /// The label of the token.
    pub token: String,
    /// The serial number of the token.
    pub serial: String,
    /// `CKA_ID` of both halves of the key.
    pub id: Vec<u8>,
    /// Their `CKA_LABEL`.
    pub label: String,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Encrypted => "encrypted file",
            Self::Token(_) => "token",
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
    /// The file is no key file of ours.
    #[error("the key file `{name}` is none that this program can use: {error}")]
    Record {
        /// The name of the key.
        name: String,
        /// What is wrong with it.
        error: Unreadable,
    },
    /// The passphrase is wrong.
    #[error("that is not the passphrase of key `{0}`, or its file was altered")]
    Passphrase(String),
    /// A passphrase was to be changed, and the key has none.
    #[error("key `{0}` is in a token, which is opened by its PIN; change that with the tools of the token")]
    NoFile(String),
    /// A file that came from elsewhere names a library to be loaded.
    #[error(
        "`{0}` refers to a key in a token, which only files in the folder of keys may: it names a program to run"
    )]
    Reference(String),
    /// The token cannot do it.
    #[cfg(feature = "pkcs11")]
    #[error(transparent)]
    Token(#[from] pkcs11::TokenError),
    /// This program cannot use tokens.
    #[cfg(not(feature = "pkcs11"))]
    #[error("key `{0}` is in a token, and this program is built without PKCS #11")]
    NoTokens(String),
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

    /// Makes a new key pair and keeps it in a file.
    ///
    /// # Errors
    /// [`KeyStoreError`]; a key of that name is not replaced.
    pub fn create(&self, name: &str, algorithm: Algorithm) -> Result<SharedSigner, KeyStoreError> {
        let key = SigningKey::generate(algorithm)?;
        let text = plain_text(&key).map_err(|error| KeyStoreError::Key { name: name.to_owned(), error })?;
        self.files.create(name, text.as_bytes())?;
        Ok(Arc::new(key))
    }

    /// Makes a new key pair and keeps it in a file under a passphrase, which is asked for.
    ///
    /// # Errors
    /// [`KeyStoreError`]; a key of that name is not replaced.
    pub fn create_encrypted(&self, name: &str, algorithm: Algorithm) -> Result<SharedSigner, KeyStoreError> {
        self.files.check_new(name)?;
        let passphrase = self.ask.ask(&SecretFor::NewPassphrase { key: name, is_change: false })?;
        let key = SigningKey::generate(algorithm)?;
        self.files.create(name, encrypted::seal(&key, &passphrase, encrypted::COST)?.as_bytes())?;
        Ok(Arc::new(key))
    }

    /// Makes a new key pair in a token, which never gives it away, and keeps where it is.
    ///
    /// # Errors
    /// [`KeyStoreError`]; a key of that name is not replaced.
    #[cfg(feature = "pkcs11")]
    pub fn create_in_token(
        &self,
        name: &str,
        algorithm: Algorithm,
        token: &pkcs11::TokenName,
    ) -> Result<SharedSigner, KeyStoreError> {
        self.files.check_new(name)?;
        let (made, pin) = pkcs11::create(name, algorithm, token, &self.ask)?;
        let written = self.files.create(name, made.to_json().as_bytes());
        if let Err(error) = written {
            // Nobody would ever find that key again.
            pkcs11::destroy(&made, pin.as_ref())?;
            return Err(error.into());
        }
        Ok(Arc::new(pkcs11::open(&made, pin)?))
    }

    /// Puts the key of that name, which is in a file, under another passphrase; or under one, if it is under none yet.
    ///
    /// # Errors
    /// [`KeyStoreError`]; the file is as it was.
    pub fn change_passphrase(&self, name: &str) -> Result<(), KeyStoreError> {
        let key = match self.record(name)? {
            Record::Plain(key) => key,
            Record::Encrypted(sealed) => self.unseal(name, &sealed)?,
            Record::Token(_) => return Err(KeyStoreError::NoFile(name.to_owned())),
        };
        let passphrase = self.ask.ask(&SecretFor::NewPassphrase { key: name, is_change: true })?;
        // What was there was perhaps the key itself.
        self.files.replace_for_good(name, encrypted::seal(&key, &passphrase, encrypted::COST)?.as_bytes())?;
        Ok(())
    }

    /// The key of that name, ready to sign. Blocks the thread: for tens of milliseconds where the file is encrypted, and
    /// as long as it takes to ask for a passphrase or a PIN.
    ///
    /// # Errors
    /// [`KeyStoreError`]
    pub fn load(&self, name: &str) -> Result<SharedSigner, KeyStoreError> {
        Ok(match self.record(name)? {
            Record::Plain(key) => Arc::new(key),
            Record::Encrypted(sealed) => Arc::new(self.unseal(name, &sealed)?),
            #[cfg(feature = "pkcs11")]
            Record::Token(key) => Arc::new(pkcs11::open(&key, pkcs11::pin(&key, &self.ask)?)?),
            #[cfg(not(feature = "pkcs11"))]
            Record::Token(_) => return Err(KeyStoreError::NoTokens(name.to_owned())),
        })
    }

    /// The key in these bytes, which are kept elsewhere; `name` is what they are called in errors and questions. They may
    /// not refer to a token: that would load what library they name.
    ///
    /// # Errors
    /// [`KeyStoreError`]
    pub fn signer(&self, name: &str, bytes: &[u8]) -> Result<SharedSigner, KeyStoreError> {
        Ok(match read(name, bytes)? {
            Record::Plain(key) => Arc::new(key),
            Record::Encrypted(sealed) => Arc::new(self.unseal(name, &sealed)?),
            Record::Token(_) => return Err(KeyStoreError::Reference(name.to_owned())),
        })
    }

    /// What may be known of the key of that name. Asks nobody for a passphrase or a PIN.
    ///
    /// # Errors
    /// [`KeyStoreError`]
    pub fn info(&self, name: &str) -> Result<KeyInfo, KeyStoreError> {
        Ok(self.record(name)?.info())
    }

    /// The names of all keys, sorted.
    ///
    /// # Errors
    /// [`KeyStoreError::File`]
    pub fn names(&self) -> Result<Vec<String>, KeyStoreError> {
        Ok(self.files.names()?)
    }

    /// Removes the key of that name, in its token too. What is bound to it can be used no more.
    ///
    /// # Errors
    /// [`KeyStoreError`]; where a token cannot be reached nothing is removed.
    pub fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        match self.record(name) {
            #[cfg(feature = "pkcs11")]
            Ok(Record::Token(key)) => {
                pkcs11::destroy(&key, pkcs11::pin(&key, &self.ask)?.as_ref())?;
            }
            #[cfg(not(feature = "pkcs11"))]
            Ok(Record::Token(_)) => return Err(KeyStoreError::NoTokens(name.to_owned())),
            Err(KeyStoreError::File(error)) => return Err(error.into()),
            // What cannot be read can be removed.
            _ => {}
        }
        self.forget(name)
    }

    /// Removes the file of that name. If it refers to a token, the key stays there.
    ///
    /// # Errors
    /// [`KeyStoreError::File`]
    pub fn forget(&self, name: &str) -> Result<(), KeyStoreError> {
        Ok(self.files.remove(name)?)
    }

    fn record(&self, name: &str) -> Result<Record, KeyStoreError> {
        read(name, &self.files.read(name)?)
    }

    fn unseal(&self, name: &str, sealed: &encrypted::Sealed) -> Result<SigningKey, KeyStoreError> {
        let passphrase = self.ask.ask(&SecretFor::Passphrase { key: name })?;
        sealed.open(&passphrase).map_err(|_| KeyStoreError::Passphrase(name.to_owned()))
    }
}

fn read(name: &str, bytes: &[u8]) -> Result<Record, KeyStoreError> {
    let name = || name.to_owned();
    Record::parse(bytes).map_err(|error| match error {
        NoRecord::Key(error) => KeyStoreError::Key { name: name(), error },
        NoRecord::At(error) => KeyStoreError::Record { name: name(), error },
    })
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyStore({:?})", self.files)
    }
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
    fn cl_key_07_cl_key_10_a_key_that_is_put_under_a_passphrase_is_nowhere_without_it() {
        struct Knows;
        impl AskSecret for Knows {
            fn ask(&self, _: &SecretFor<'_>) -> Result<keybound_dpop::secret::Secret, SecretAsked> {
                Ok(keybound_dpop::secret::Secret::new("correct horse"))
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        let store = KeyStore::open(folder.path().join("keys")).expect("a store").asking(Arc::new(Knows));
        let key = store.create("a", Algorithm::Es256).expect("created");
        let former = folder.path().join("former");
        std::fs::hard_link(folder.path().join("keys/a.jwk"), &former).expect("linked");
        store.change_passphrase("a").expect("changed");
        assert!(std::fs::read(former).expect("read").iter().all(|byte| *byte == 0));
        assert_eq!(store.load("a").expect("loaded").public_jwk(), key.public_jwk());
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
