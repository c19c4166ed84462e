//! Who signs: a key in memory, or anything else that can put a signature under bytes.

use super::algorithm::Algorithm;
use super::base64url;
use super::crypto::{CryptoError, KeyMaterial};
use super::json::Object;
use super::jwk::PublicJwk;
use std::fmt;
use zeroize::Zeroizing;

/// Signs bytes with one private key, under one algorithm. The private key need not be readable.
pub trait Signer {
    /// The algorithm that goes into `alg`.
    fn algorithm(&self) -> Algorithm;

    /// The public key, which goes into `jwk`.
    fn public_jwk(&self) -> &PublicJwk;

    /// The signature over `message` in JOSE form: R and S side by side for ECDSA (RFC 7518 §3.4).
    ///
    /// # Errors
    /// [`SignError`] where the key is out of reach.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// The signer could not sign. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot sign: {0}")]
pub struct SignError(pub String);

impl From<CryptoError> for SignError {
    fn from(error: CryptoError) -> Self {
        Self(error.to_string())
    }
}

/// Why a key file or a stored key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a private key that can be used for {0}")]
pub struct KeyError(pub Algorithm);

/// A private key in memory. Shows only its thumbprint; wiped when dropped.
pub struct SigningKey {
    algorithm: Algorithm,
    public: PublicJwk,
    material: KeyMaterial,
}

impl SigningKey {
    /// A new key pair; RSA keys have 2048 bits.
    ///
    /// # Errors
    /// [`SignError`] where the system has no entropy to give.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SignError> {
        let material = KeyMaterial::generate(algorithm)?;
        let public = material.public_jwk(algorithm)?;
        Ok(Self { algorithm, public, material })
    }

    /// From PKCS #8 (RFC 5958).
    ///
    /// # Errors
    /// [`KeyError`] where the bytes are not a key for that algorithm.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let material = KeyMaterial::from_pkcs8(algorithm, pkcs8).map_err(|_| KeyError(algorithm))?;
        let public = material.public_jwk(algorithm).map_err(|_| KeyError(algorithm))?;
        Ok(Self { algorithm, public, material })
    }

    /// As PKCS #8 (RFC 5958), to be kept where nobody else can read it.
    ///
    /// # Errors
    /// [`KeyError`] where the library cannot write it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.material.to_pkcs8().map_err(|_| KeyError(self.algorithm))
    }

    /// From a private JWK with `alg`, EC or OKP (RFC 7518 §6.2.2, RFC 8037 §2).
    ///
    /// # Errors
    /// [`KeyError`] where it is not one.
    pub fn from_private_jwk(json: &[u8]) -> Result<Self, KeyError> {
        let fault = KeyError(Algorithm::Es256);
        let jwk = Object::parse(json).map_err(|_| fault)?;
        let public = PublicJwk::parse_public_members(&jwk).map_err(|_| fault)?;
        let named = jwk.string("alg").map_err(|_| fault)?;
        let algorithm = match named {
            Some(name) => Algorithm::parse(name).filter(|algorithm| algorithm.fits(&public)),
            None => Algorithm::ALL.into_iter().find(|algorithm| algorithm.fits(&public)),
        };
        let algorithm = algorithm.ok_or(fault)?;
        let fault = KeyError(algorithm);
        let d =
            jwk.string("d").ok().flatten().and_then(base64url::decode).map(Zeroizing::new).ok_or(fault)?;
        let material = KeyMaterial::from_private_member(algorithm, &public, &d).map_err(|_| fault)?;
        Ok(Self { algorithm, public, material })
    }

    /// As a private JWK with `alg`, EC or OKP, to be kept where nobody else can read it.
    ///
    /// # Errors
    /// [`KeyError`] for RSA keys, which are kept as PKCS #8 only.
    pub fn to_private_jwk(&self) -> Result<Zeroizing<String>, KeyError> {
        let d = self.material.private_member().map_err(|_| KeyError(self.algorithm))?;
        let mut json = Zeroizing::new(self.public.to_json());
        json.pop();
        let d = Zeroizing::new(base64url::encode(&d));
        json.push_str(&Zeroizing::new(format!(",\"alg\":\"{}\",\"d\":\"{}\"}}", self.algorithm, *d)));
        Ok(json)
    }
}

impl Signer for SigningKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_jwk(&self) -> &PublicJwk {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.material.sign(self.algorithm, message)?)
    }
}

impl<S: Signer + ?Sized> Signer for std::sync::Arc<S> {
    fn algorithm(&self) -> Algorithm {
        (**self).algorithm()
    }

    fn public_jwk(&self) -> &PublicJwk {
        (**self).public_jwk()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        (**self).sign(message)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm, self.public.thumbprint())
    }
}

#[cfg(test)]
mod tests {
    use super::super::crypto;
    use super::*;

    #[test]
    fn keys_survive_both_ways_of_keeping_them() {
        for algorithm in
            [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa, Algorithm::Ps256]
        {
            let key = SigningKey::generate(algorithm).expect("a key");
            let kept = SigningKey::from_pkcs8(algorithm, &key.to_pkcs8().expect("PKCS #8")).expect("a key");
            assert_eq!(kept.public_jwk(), key.public_jwk());
            let signature = kept.sign(b"message").expect("signed");
            assert_eq!(crypto::verify(algorithm, key.public_jwk(), b"message", &signature), Ok(()));
            assert_eq!(crypto::verify(algorithm, key.public_jwk(), b"massage", &signature), Err(CryptoError));
            if algorithm != Algorithm::Ps256 {
                let jwk = key.to_private_jwk().expect("a JWK");
                let kept = SigningKey::from_private_jwk(jwk.as_bytes()).expect("a key");
                assert_eq!((kept.algorithm(), kept.public_jwk()), (algorithm, key.public_jwk()));
            }
        }
    }

    #[test]
    fn cl_key_08_no_two_signatures_share_a_nonce() {
        use std::collections::HashSet;
        for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::Ps256] {
            let key = SigningKey::generate(algorithm).expect("a key");
            // R, or for PSS what the salt goes into.
            let sign = || key.sign(b"message").expect("signed")[..32].to_vec();
            assert_eq!((0..32).map(|_| sign()).collect::<HashSet<_>>().len(), 32, "{algorithm}");
        }
        // RFC 8032 §5.1.6 has the nonce from key and message.
        let key = SigningKey::generate(Algorithm::Ed25519).expect("a key");
        assert_eq!(key.sign(b"message"), key.sign(b"message"));
    }

    #[test]
    fn a_shared_key_signs_as_the_key_does() {
        let key = std::sync::Arc::new(SigningKey::generate(Algorithm::Es384).expect("a key"));
        let shared: &dyn Signer = &key;
        let signature = shared.sign(b"message").expect("signed");
        assert_eq!((shared.algorithm(), shared.public_jwk()), (Algorithm::Es384, key.public_jwk()));
        assert_eq!(crypto::verify(Algorithm::Es384, shared.public_jwk(), b"message", &signature), Ok(()));
    }

    #[test]
    fn cl_key_02_debug_shows_the_thumbprint_only() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let shown = format!("{key:?}");
        let jwk = key.to_private_jwk().expect("a JWK");
        let d = jwk.split("\"d\":\"").nth(1).expect("d").trim_end_matches("\"}");
        assert!(shown.contains(&key.public_jwk().thumbprint().to_string()) && !shown.contains(d));
    }
}
