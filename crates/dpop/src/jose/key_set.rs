//! JWK sets (RFC 7517 §5), as issuers and clients publish them.

use super::algorithm::Algorithm;
use super::json::{Object, Value};
use super::jwk::{JwkError, PublicJwk, may_verify};

/// Keys in one set, at the most (OPS-KEY-07).
pub const MAX_KEYS: usize = 100;

/// The signature keys of a JWK set, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<NamedKey>,
}

/// A key with the members that help to choose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedKey {
    /// `kid`, where there is one.
    pub kid: Option<String>,
    /// `alg`, where there is one that we know.
    pub algorithm: Option<Algorithm>,
    /// The key.
    pub key: PublicJwk,
}

/// Why bytes are not a JWK set that we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not JSON, or no array `keys` of objects.
    #[error("not a JWK set: a JSON object with an array `keys`")]
    Malformed,
    /// More than [`MAX_KEYS`] keys.
    #[error("the JWK set holds more than {MAX_KEYS} keys")]
    TooMany,
    /// A private or symmetric key was published (AS-DCR-05).
    #[error("the JWK set publishes a secret: {0}")]
    Secret(JwkError),
}

impl KeySet {
    /// Reads a JWK set. Keys for encryption, of kinds that we do not know, or unfit for use, are passed over (RFC 7517
    /// §5); one with a private member makes the whole set unfit.
    ///
    /// # Errors
    /// [`KeySetError`] says what is wrong with the set.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        let set = Object::parse(json).map_err(|_| KeySetError::Malformed)?;
        let Some(Value::Array(items)) = set.get("keys") else { return Err(KeySetError::Malformed) };
        if items.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut keys = Vec::new();
        for item in items {
            let Value::Object(jwk) = item else { return Err(KeySetError::Malformed) };
            match PublicJwk::parse(jwk) {
                Ok(key) => keys.extend(named(jwk, key)),
                Err(error @ (JwkError::Private(_) | JwkError::Symmetric)) => {
                    return Err(KeySetError::Secret(error));
                }
                Err(_) => {}
            }
        }
        Ok(Self { keys })
    }

    /// A set of these keys.
    #[must_use]
    pub fn of(keys: Vec<NamedKey>) -> Self {
        Self { keys }
    }

    /// The keys to try for a token with that `kid` (or none) and that algorithm. Several may have one `kid` (CL-DSC-06).
    pub fn candidates<'s>(
        &'s self,
        kid: Option<&'s str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'s PublicJwk> {
        self.keys
            .iter()
            .filter(move |named| kid.is_none() || named.kid.as_deref() == kid)
            .filter(move |named| named.algorithm.is_none_or(|known| known == algorithm))
            .map(|named| &named.key)
            .filter(move |key| algorithm.fits(key))
    }

    /// Whether some key has that `kid`.
    #[must_use]
    pub fn has_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|named| named.kid.as_deref() == Some(kid))
    }

    /// All keys.
    pub fn iter(&self) -> impl Iterator<Item = &NamedKey> {
        self.keys.iter()
    }

    /// The set as JSON, each key with `kid`, `alg` and `use`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(NamedKey::to_json).collect();
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }
}

impl NamedKey {
    fn to_json(&self) -> String {
        let mut json = self.key.to_json();
        json.pop();
        json.push_str(",\"use\":\"sig\"");
        if let Some(algorithm) = self.algorithm {
            json.push_str(&format!(",\"alg\":\"{algorithm}\""));
        }
        if let Some(kid) = &self.kid {
            json.push_str(&format!(",\"kid\":{}", serde_json::Value::from(kid.as_str())));
        }
        json.push('}');
        json
    }
}

fn named(jwk: &Object<'_>, key: PublicJwk) -> Option<NamedKey> {
    let algorithm = jwk.string("alg").ok()?.map(Algorithm::parse);
    let usable = match algorithm {
        Some(Some(algorithm)) => may_verify(jwk, algorithm),
        Some(None) => false,
        None => {
            Algorithm::ALL.into_iter().any(|algorithm| algorithm.fits(&key) && may_verify(jwk, algorithm))
        }
    };
    let kid = jwk.string("kid").ok()?.map(str::to_owned);
    usable.then_some(NamedKey { kid, algorithm: algorithm.flatten(), key })
}

#[cfg(test)]
mod tests {
    use super::super::signer::{Signer, SigningKey};
    use super::*;

    #[test]
    fn written_sets_are_read_back() {
        let keys = [Algorithm::Es256, Algorithm::EdDsa].map(|algorithm| {
            let key = SigningKey::generate(algorithm).expect("a key");
            let kid = Some(key.public_jwk().thumbprint().to_string());
            NamedKey { kid, algorithm: Some(algorithm), key: key.public_jwk().clone() }
        });
        let set = KeySet::of(keys.to_vec());
        assert_eq!(KeySet::parse(set.to_json().as_bytes()), Ok(set.clone()));
        let kid = keys[0].kid.as_deref();
        assert_eq!(set.candidates(kid, Algorithm::Es256).count(), 1);
        assert_eq!(set.candidates(kid, Algorithm::EdDsa).count(), 0);
        assert_eq!(set.candidates(Some("other"), Algorithm::Es256).count(), 0);
    }

    #[test]
    fn secrets_and_strangers_in_a_set() {
        let unknown = br#"{"keys":[{"kty":"XX"},{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}]}"#;
        assert_eq!(KeySet::parse(unknown).map(|set| set.iter().count()), Ok(0));
        let secret = br#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#;
        assert!(matches!(KeySet::parse(secret), Err(KeySetError::Secret(_))));
        let many = format!("{{\"keys\":[{}]}}", vec!["{\"kty\":\"XX\"}"; MAX_KEYS + 1].join(","));
        assert_eq!(KeySet::parse(many.as_bytes()), Err(KeySetError::TooMany));
    }

    #[test]
    fn keys_are_taken_for_what_they_say_that_they_are_for() {
        let key = SigningKey::generate(Algorithm::EdDsa).expect("a key").public_jwk().to_json();
        for (member, taken) in [
            ("", true),
            (r#","use":"sig""#, true),
            (r#","use":"enc""#, false),
            (r#","alg":"EdDSA""#, true),
            (r#","alg":"EdDSA","use":"enc""#, false),
            (r#","alg":"ECDH-ES""#, false),
            (r#","alg":7"#, false),
            (r#","kid":7"#, false),
        ] {
            let set = format!("{{\"keys\":[{}{member}}}]}}", key.trim_end_matches('}'));
            let set = KeySet::parse(set.as_bytes()).expect("a set");
            assert_eq!(set.iter().count(), usize::from(taken), "{member}");
            assert_eq!(set.candidates(None, Algorithm::EdDsa).count(), usize::from(taken), "{member}");
            assert_eq!(set.candidates(None, Algorithm::Es256).count(), 0);
        }
    }

    #[test]
    fn cl_dsc_06_a_kid_names_any_number_of_keys() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key").public_jwk().clone();
        let named =
            |kid: Option<&str>| NamedKey { kid: kid.map(str::to_owned), algorithm: None, key: key.clone() };
        let set = KeySet::of(vec![named(Some("a")), named(Some("a")), named(Some("b")), named(None)]);
        assert!(set.has_kid("b") && !set.has_kid("c"));
        for (kid, count) in [(None, 4), (Some("a"), 2), (Some("b"), 1), (Some("c"), 0)] {
            assert_eq!(set.candidates(kid, Algorithm::Es256).count(), count, "{kid:?}");
        }
    }

    #[test]
    fn ops_key_07_a_set_may_hold_as_many_keys_as_the_limit_says() {
        let full = format!("{{\"keys\":[{}]}}", vec!["{\"kty\":\"XX\"}"; MAX_KEYS].join(","));
        assert!(KeySet::parse(full.as_bytes()).is_ok());
        assert_eq!(KeySet::parse(br#"{"keys":{}}"#), Err(KeySetError::Malformed));
        assert_eq!(KeySet::parse(br#"{"keys":[7]}"#), Err(KeySetError::Malformed));
    }
}
