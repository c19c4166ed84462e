//! A key file under a passphrase: the key by Argon2id (RFC 9106), the file by AES-256-GCM. What may be known of the key
//! stands before it in the clear and cannot be altered, since it is associated data, as in RFC 7516 §5.1.

use super::record::{Unreadable, plain, plain_text, public_key, whole_number, with_public_key};
use argon2::{Algorithm as Variant, Argon2, Block, Params, Version};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::{self, CryptoError, aead};
use keybound_dpop::jose::json::Object;
use keybound_dpop::jose::jwk::PublicJwk;
use keybound_dpop::jose::object_writer::ObjectWriter;
use keybound_dpop::jose::signer::{SignError, Signer as _, SigningKey};
use keybound_dpop::secret::Secret;
use std::ops::RangeInclusive;
use zeroize::Zeroizing;

/// The form in which files are written.
const VERSION: u64 = 1;
/// Less is guessed too fast, more than this a file cannot ask of us: what it says is not yet known to be ours.
const MEMORY_KIB: RangeInclusive<u32> = 19 * 1024..=256 * 1024;
const PASSES: RangeInclusive<u32> = 2..=16;
const LANES: RangeInclusive<u32> = 1..=8;

/// What it costs to try a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

/// 64 MiB and 3 passes, as RFC 9106 §4 has it where there is not much memory; one lane, since we use one thread.
pub(super) const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

/// A key file as it was read: sealed.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub(super) algorithm: Algorithm,
    pub(super) public: PublicJwk,
    cost: Cost,
    salt: [u8; 16],
    protected: String,
    iv: [u8; aead::IV_LEN],
    ciphertext: Vec<u8>,
}

/// The passphrase is another one, or the file was altered; there is no telling which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrongPassphrase;

/// The text of a file that holds the key under that passphrase.
pub(super) fn seal(key: &SigningKey, passphrase: &Secret, cost: Cost) -> Result<String, SignError> {
    let private = plain_text(key).map_err(|error| SignError(error.to_string()))?;
    let (algorithm, public) = (key.algorithm(), key.public_jwk());
    let (salt, iv) = (crypto::random()?, crypto::random()?);
    let header = ObjectWriter::with_room(512).number("v", VERSION);
    let header = with_public_key(header, algorithm, public)
        .text("kdf", "argon2id")
        .number("memory_kib", cost.memory_kib.into())
        .number("passes", cost.passes.into())
        .number("lanes", cost.lanes.into())
        .text("salt", &base64url::encode(&salt))
        .text("enc", "A256GCM");
    let protected = base64url::encode(header.finish().as_bytes());
    let key = derive(passphrase, &salt, cost)?;
    let ciphertext = aead::seal(&key, iv, protected.as_bytes(), private.as_bytes())?;
    let file = ObjectWriter::with_room(1024)
        .text("kind", "encrypted")
        .text("protected", &protected)
        .text("iv", &base64url::encode(&iv))
        .text("ciphertext", &base64url::encode(&ciphertext));
    Ok(file.finish())
}

impl Sealed {
    /// Reads the file, and refuses a cost that is too low to protect it or too high to be borne.
    pub(super) fn parse(file: &Object<'_>) -> Result<Self, Unreadable> {
        let text = |name| file.string(name).ok().flatten().ok_or(Unreadable(name));
        let protected = text("protected")?.to_owned();
        let iv = base64url::decode_exactly(text("iv")?).ok_or(Unreadable("iv"))?;
        let ciphertext = base64url::decode(text("ciphertext")?).ok_or(Unreadable("ciphertext"))?;
        let bytes = base64url::decode(&protected).ok_or(Unreadable("protected"))?;
        let header = Object::parse(&bytes).map_err(|_| Unreadable("protected"))?;
        if whole_number(&header, "v")? != VERSION {
            return Err(Unreadable("v"));
        }
        for (name, only) in [("kdf", "argon2id"), ("enc", "A256GCM")] {
            if header.string(name).ok().flatten() != Some(only) {
                return Err(Unreadable(name));
            }
        }
        let within = |name, range: RangeInclusive<u32>| {
            let number = u32::try_from(whole_number(&header, name)?).ok();
            number.filter(|number| range.contains(number)).ok_or(Unreadable(name))
        };
        let cost = Cost {
            memory_kib: within("memory_kib", MEMORY_KIB)?,
            passes: within("passes", PASSES)?,
            lanes: within("lanes", LANES)?,
        };
        let salt = header.string("salt").ok().flatten().and_then(base64url::decode_exactly);
        let salt = salt.ok_or(Unreadable("salt"))?;
        let (algorithm, public) = public_key(&header)?;
        Ok(Self { algorithm, public, cost, salt, protected, iv, ciphertext })
    }

    /// The key.
    pub(super) fn open(&self, passphrase: &Secret) -> Result<SigningKey, WrongPassphrase> {
        let key = derive(passphrase, &self.salt, self.cost).map_err(|_| WrongPassphrase)?;
        let associated = self.protected.as_bytes();
        let text = aead::open(&key, self.iv, associated, &self.ciphertext).map_err(|_| WrongPassphrase)?;
        plain(&text).ok().filter(|key| key.public_jwk() == &self.public).ok_or(WrongPassphrase)
    }
}

/// The key that a passphrase stands for. What it takes to make it is wiped.
fn derive(
    passphrase: &Secret,
    salt: &[u8; 16],
    cost: Cost,
) -> Result<Zeroizing<[u8; aead::KEY_LEN]>, CryptoError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(aead::KEY_LEN));
    let params = params.map_err(|_| CryptoError)?;
    let mut memory = Zeroizing::new(vec![Block::default(); params.block_count()]);
    let mut key = Zeroizing::new([0; aead::KEY_LEN]);
    Argon2::new(Variant::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(
            passphrase.reveal().as_bytes(),
            salt,
            key.as_mut_slice(),
            memory.as_mut_slice(),
        )
        .map_err(|_| CryptoError)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

    fn sealed(key: &SigningKey) -> String {
        seal(key, &Secret::new("correct horse"), CHEAP).expect("sealed")
    }

    fn parse(text: &str) -> Result<Sealed, Unreadable> {
        Sealed::parse(&Object::parse(text.as_bytes()).expect("JSON"))
    }

    #[test]
    fn cl_key_07_an_encrypted_key_opens_with_its_passphrase_alone() {
        for algorithm in [Algorithm::Es256, Algorithm::Ed25519, Algorithm::Ps256] {
            let key = SigningKey::generate(algorithm).expect("a key");
            let text = sealed(&key);
            assert!(!text.contains("\"d\"") && !text.contains("pkcs8"), "{text}");
            let file = parse(&text).expect("read");
            assert_eq!((file.algorithm, &file.public), (algorithm, key.public_jwk()));
            let opened = file.open(&Secret::new("correct horse")).expect("opened");
            assert_eq!((opened.algorithm(), opened.public_jwk()), (algorithm, key.public_jwk()));
            let wrong = file.open(&Secret::new("correct horsf")).err();
            assert_eq!(wrong, Some(WrongPassphrase));
        }
    }

    #[test]
    fn cl_key_07_two_files_of_one_key_and_passphrase_have_nothing_in_common() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let (a, b) = (parse(&sealed(&key)).expect("read"), parse(&sealed(&key)).expect("read"));
        assert!(a.salt != b.salt && a.iv != b.iv && a.ciphertext != b.ciphertext);
    }

    #[test]
    fn cl_key_07_the_header_cannot_be_altered() {
        let text = sealed(&SigningKey::generate(Algorithm::Es256).expect("a key"));
        let other = sealed(&SigningKey::generate(Algorithm::Es256).expect("a key"));
        let mut swapped = parse(&text).expect("read");
        swapped.protected = parse(&other).expect("read").protected;
        assert!(swapped.open(&Secret::new("correct horse")).is_err());
    }

    #[test]
    fn cl_key_07_a_file_cannot_ask_for_more_memory_than_we_have_or_less_than_protects() {
        let text = sealed(&SigningKey::generate(Algorithm::Es256).expect("a key"));
        let file = parse(&text).expect("read");
        let header = String::from_utf8(base64url::decode(&file.protected).expect("base64url")).expect("text");
        for (from, to, told) in [
            ("\"memory_kib\":19456", "\"memory_kib\":4294967295", "memory_kib"),
            ("\"memory_kib\":19456", "\"memory_kib\":262145", "memory_kib"),
            ("\"memory_kib\":19456", "\"memory_kib\":19455", "memory_kib"),
            ("\"memory_kib\":19456", "\"memory_kib\":-1", "memory_kib"),
            ("\"passes\":2", "\"passes\":1", "passes"),
            ("\"passes\":2", "\"passes\":1000000", "passes"),
            ("\"lanes\":1", "\"lanes\":0", "lanes"),
            ("\"lanes\":1", "\"lanes\":9", "lanes"),
            ("argon2id", "argon2i", "kdf"),
            ("A256GCM", "none", "enc"),
            ("\"v\":1", "\"v\":2", "v"),
            ("\"alg\":\"ES256\"", "\"alg\":\"EdDSA\"", "alg"),
        ] {
            let altered = header.replace(from, to);
            assert_ne!(altered, header, "{from}");
            let altered = text.replace(&file.protected, &base64url::encode(altered.as_bytes()));
            assert_eq!(parse(&altered).err(), Some(Unreadable(told)), "{to}");
        }
    }
}
