//! What stands in a key file: the key itself, the key sealed, or where in a token it is.

use super::encrypted::Sealed;
use super::{KeyInfo, KeyKind, TokenPlace};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::json::{Number, Object, Value};
use keybound_dpop::jose::jwk::PublicJwk;
use keybound_dpop::jose::object_writer::ObjectWriter;
use keybound_dpop::jose::signer::{KeyError, Signer as _, SigningKey};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// The form in which references to tokens are written.
const VERSION: u64 = 1;

/// A key file, read.
pub(super) enum Record {
    /// The key.
    Plain(SigningKey),
    /// The key under a passphrase.
    Encrypted(Box<Sealed>),
    /// A reference to a key in a token.
    Token(Box<TokenKey>),
}

/// A key in a token, as far as it is known without the token.
#[derive(Clone, Debug)]
pub(super) struct TokenKey {
    pub(super) algorithm: Algorithm,
    pub(super) public: PublicJwk,
    pub(super) place: TokenPlace,
}

/// The member at which a key file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be read at `{0}`")]
pub struct Unreadable(pub &'static str);

/// Why a file is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRecord {
    Key(KeyError),
    At(Unreadable),
}

impl Record {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NoRecord> {
        let Ok(object) = Object::parse(bytes) else {
            return plain(bytes).map(Self::Plain).map_err(NoRecord::Key);
        };
        match object.string("kind") {
            Ok(None) => plain(bytes).map(Self::Plain).map_err(NoRecord::Key),
            Ok(Some("encrypted")) => {
                Sealed::parse(&object).map(|sealed| Self::Encrypted(Box::new(sealed))).map_err(NoRecord::At)
            }
            Ok(Some("pkcs11")) => {
                TokenKey::parse(&object).map(|key| Self::Token(Box::new(key))).map_err(NoRecord::At)
            }
            _ => Err(NoRecord::At(Unreadable("kind"))),
        }
    }

    pub(super) fn info(&self) -> KeyInfo {
        let (kind, algorithm, public) = match self {
            Self::Plain(key) => (KeyKind::File, key.algorithm(), key.public_jwk()),
            Self::Encrypted(sealed) => (KeyKind::Encrypted, sealed.algorithm, &sealed.public),
            Self::Token(key) => (KeyKind::Token(key.place.clone()), key.algorithm, &key.public),
        };
        KeyInfo { kind, algorithm, public: public.clone() }
    }
}

impl TokenKey {
    pub(super) fn parse(file: &Object<'_>) -> Result<Self, Unreadable> {
        let text = |name| file.string(name).ok().flatten().ok_or(Unreadable(name));
        if whole_number(file, "v")? != VERSION {
            return Err(Unreadable("v"));
        }
        let (algorithm, public) = public_key(file)?;
        let place = TokenPlace {
            module: PathBuf::from(text("module")?),
            token: text("token")?.to_owned(),
            serial: text("serial")?.to_owned(),
            // Without one, all that has none would be meant.
            id: base64url::decode(text("id")?).filter(|id| !id.is_empty()).ok_or(Unreadable("id"))?,
            label: text("label")?.to_owned(),
        };
        Ok(Self { algorithm, public, place })
    }

    #[cfg(feature = "pkcs11")]
    pub(super) fn to_json(&self) -> String {
        let module = self.place.module.to_string_lossy();
        let file = ObjectWriter::with_room(512).text("kind", "pkcs11").number("v", VERSION);
        with_public_key(file, self.algorithm, &self.public)
            .text("module", &module)
            .text("token", &self.place.token)
            .text("serial", &self.place.serial)
            .text("id", &base64url::encode(&self.place.id))
            .text("label", &self.place.label)
            .finish()
    }
}

/// The key of a plain key file: a private JWK, or for RSA keys an object with `alg` and `pkcs8`.
pub(super) fn plain(bytes: &[u8]) -> Result<SigningKey, KeyError> {
    match read_pkcs8(bytes) {
        Some((algorithm, pkcs8)) => SigningKey::from_pkcs8(algorithm, &pkcs8),
        None => SigningKey::from_private_jwk(bytes),
    }
}

/// The text of a plain key file.
pub(super) fn plain_text(key: &SigningKey) -> Result<Zeroizing<String>, KeyError> {
    key.to_private_jwk().or_else(|_| {
        let pkcs8 = Zeroizing::new(base64url::encode(&key.to_pkcs8()?));
        // Room for all of it, so that no part is left behind where it was before it grew.
        let mut text = Zeroizing::new(String::with_capacity(pkcs8.len() + 64));
        for part in [r#"{"alg":""#, key.algorithm().name(), r#"","pkcs8":""#, &pkcs8, r#""}"#] {
            text.push_str(part);
        }
        Ok(text)
    })
}

fn read_pkcs8(bytes: &[u8]) -> Option<(Algorithm, Zeroizing<Vec<u8>>)> {
    let object = Object::parse(bytes).ok()?;
    let algorithm = Algorithm::parse(object.string("alg").ok()??)?;
    let pkcs8 = base64url::decode(object.string("pkcs8").ok()??)?;
    Some((algorithm, Zeroizing::new(pkcs8)))
}

pub(super) fn with_public_key(
    object: ObjectWriter,
    algorithm: Algorithm,
    public: &PublicJwk,
) -> ObjectWriter {
    let jwk: serde_json::Value = serde_json::from_str(&public.to_json()).unwrap_or_default();
    object.text("alg", algorithm.name()).json("jwk", &jwk)
}

pub(super) fn public_key(object: &Object<'_>) -> Result<(Algorithm, PublicJwk), Unreadable> {
    let jwk = object.object("jwk").ok().flatten().and_then(|jwk| PublicJwk::parse(jwk).ok());
    let public = jwk.ok_or(Unreadable("jwk"))?;
    let algorithm = object.string("alg").ok().flatten().and_then(Algorithm::parse);
    let algorithm = algorithm.filter(|algorithm| algorithm.fits(&public)).ok_or(Unreadable("alg"))?;
    Ok((algorithm, public))
}

pub(super) fn whole_number(object: &Object<'_>, name: &'static str) -> Result<u64, Unreadable> {
    match object.get(name) {
        Some(Value::Number(Number::Unsigned(number))) => Ok(*number),
        _ => Err(Unreadable(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl_key_10_a_reference_without_an_id_means_no_key() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let file = |id: &str| {
            let file = ObjectWriter::with_room(512).text("kind", "pkcs11").number("v", VERSION);
            let file = with_public_key(file, Algorithm::Es256, key.public_jwk()).text("module", "/lib/m.so");
            file.text("token", "t").text("serial", "1").text("id", id).text("label", "l").finish()
        };
        assert!(Record::parse(file("AQ").as_bytes()).is_ok());
        // Deleting it would delete whatever else in the token has none.
        assert_eq!(Record::parse(file("").as_bytes()).err(), Some(NoRecord::At(Unreadable("id"))));
    }
}
