//! The only module that names the cryptography library. Everything here takes and gives bytes.
//!
//! Any error inside the library is a refusal ([`CryptoError`]), never an acceptance (RFC 8725 §3.3).

pub mod aead;

use super::algorithm::Algorithm;
use super::jwk::{Curve, PublicJwk};
use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey, RsaKeyPair, UnparsedPublicKey,
};
use aws_lc_rs::{constant_time, digest, hmac, rand, rsa};
use zeroize::Zeroizing;

/// The library refused: a key it cannot use, a signature that does not verify, or a fault of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic operation was refused")]
pub struct CryptoError;

/// SHA-256 (FIPS 180-4).
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let hash = digest::digest(&digest::SHA256, bytes);
    for (to, from) in out.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    out
}

/// Whether they are the same octets; takes the same time wherever the difference is.
#[must_use]
pub fn are_equal(ours: &[u8], theirs: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(ours, theirs).is_ok()
}

/// SHA-512 (FIPS 180-4): 64 octets.
#[must_use]
pub fn sha512(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA512, bytes).as_ref().to_vec()
}

/// SHA-384 (FIPS 180-4): 48 octets.
#[must_use]
pub fn sha384(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA384, bytes).as_ref().to_vec()
}

/// A key for HMAC-SHA-256 (RFC 2104), prepared once.
#[derive(Clone)]
pub struct HmacKey(hmac::Key);

impl HmacKey {
    /// Prepares the key.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The MAC over the parts in turn.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut running = hmac::Context::with_key(&self.0);
        for part in parts {
            running.update(part);
        }
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(running.sign().as_ref()) {
            *to = *from;
        }
        out
    }
}

/// HKDF-SHA-256 (RFC 5869) without a salt, one block of output: 32 octets.
#[must_use]
pub fn hkdf_sha256(secret: &[u8], info: &[u8]) -> [u8; 32] {
    let extracted = HmacKey::new(&[0; 32]).mac(&[secret]);
    HmacKey::new(&extracted).mac(&[info, &[1]])
}

/// `N` octets from the system's generator, fit for keys.
///
/// # Errors
/// [`CryptoError`] where the system has no entropy to give.
pub fn random<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut out = [0; N];
    rand::fill(&mut out).map_err(|_| CryptoError)?;
    Ok(out)
}

/// Whether `signature` is by `key` over `message` under `algorithm`. The key and the algorithm must fit (DPOP-ALG-06).
/// The signature is in JOSE form: R and S side by side for ECDSA (RFC 7518 §3.4), 64 octets for Ed25519 (RFC 8037).
///
/// # Errors
/// [`CryptoError`] wherever they do not fit, or the signature does not verify.
pub fn verify(
    algorithm: Algorithm,
    key: &PublicJwk,
    message: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    match key {
        PublicJwk::Ec(ec) => {
            if algorithm.curve() != Some(ec.curve) {
                return Err(CryptoError);
            }
            let signature = ecdsa_der(ec.curve, signature)?;
            let key = UnparsedPublicKey::new(ecdsa_verifying(ec.curve), ec.point());
            key.verify(message, &signature).map_err(|_| CryptoError)
        }
        PublicJwk::Okp(okp) => match algorithm {
            Algorithm::EdDsa | Algorithm::Ed25519 => UnparsedPublicKey::new(&signature::ED25519, &okp.x)
                .verify(message, signature)
                .map_err(|_| CryptoError),
            _ => Err(CryptoError),
        },
        PublicJwk::Rsa(rsa) => {
            let method = match algorithm {
                Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                _ => return Err(CryptoError),
            };
            PublicKeyComponents { n: &rsa.n, e: &rsa.e }
                .verify(method, message, signature)
                .map_err(|_| CryptoError)
        }
    }
}

/// Whether the bytes are a point on the curve, other than the point at infinity (DPOP-JWK-06).
#[must_use]
pub(super) fn is_on_curve(curve: Curve, point: &[u8]) -> bool {
    ParsedPublicKey::new(ecdsa_verifying(curve), point).is_ok()
}

fn ecdsa_verifying(curve: Curve) -> &'static signature::EcdsaVerificationAlgorithm {
    match curve {
        Curve::P256 => &signature::ECDSA_P256_SHA256_ASN1,
        Curve::P384 => &signature::ECDSA_P384_SHA384_ASN1,
        Curve::P521 => &signature::ECDSA_P521_SHA512_ASN1,
    }
}

/// R and S, side by side, as the library wants them in the end: a SEQUENCE of two INTEGERs (RFC 3279 §2.2.3). It would
/// come there by way of two numbers of any length.
fn ecdsa_der(curve: Curve, signature: &[u8]) -> Result<Vec<u8>, CryptoError> {
    if signature.len() != 2 * curve.coordinate_len() {
        return Err(CryptoError);
    }
    let (r, s) = signature.split_at_checked(curve.coordinate_len()).ok_or(CryptoError)?;
    let integers = [r, s].map(|number| {
        let zeros = number.iter().take_while(|octet| **octet == 0).count().min(number.len() - 1);
        let octets = number.get(zeros..).unwrap_or(number);
        // The first bit would be the sign.
        (octets, octets.first().is_some_and(|first| *first >= 0x80))
    });
    let [r, s] = integers.map(|(octets, signed)| octets.len() + usize::from(signed));
    let length = |octets: usize| u8::try_from(octets).map_err(|_| CryptoError);
    let mut der = Vec::with_capacity(signature.len() + 9);
    der.push(0x30);
    if 4 + r + s > 0x7f {
        der.push(0x81);
    }
    der.push(length(4 + r + s)?);
    for ((octets, signed), len) in integers.into_iter().zip([r, s]) {
        der.extend_from_slice(&[2, length(len)?]);
        if signed {
            der.push(0);
        }
        der.extend_from_slice(octets);
    }
    Ok(der)
}

/// A public key that the library has read, for signatures that come one after another.
#[derive(Clone)]
pub(super) struct ReadKey {
    curve: Option<Curve>,
    key: ParsedPublicKey,
}

impl ReadKey {
    /// `None` for RSA keys, which the library reads anew each time, and for those that it refuses.
    pub(super) fn of(key: &PublicJwk) -> Option<Self> {
        let (curve, key) = match key {
            PublicJwk::Ec(ec) => {
                (Some(ec.curve), ParsedPublicKey::new(ecdsa_verifying(ec.curve), ec.point()))
            }
            PublicJwk::Okp(okp) => (None, ParsedPublicKey::new(&signature::ED25519, okp.x)),
            PublicJwk::Rsa(_) => return None,
        };
        Some(Self { curve, key: key.ok()? })
    }

    /// As [`verify`], for an algorithm that fits the key.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let verified = match self.curve {
            Some(curve) => self.key.verify_sig(message, &ecdsa_der(curve, signature)?),
            None => self.key.verify_sig(message, signature),
        };
        verified.map_err(|_| CryptoError)
    }
}

/// A private key in memory, wiped by the library when dropped.
pub(super) enum KeyMaterial {
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl KeyMaterial {
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, CryptoError> {
        match algorithm {
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => {
                EcdsaKeyPair::generate(ecdsa_signing(algorithm)?).map(Self::Ec).map_err(|_| CryptoError)
            }
            Algorithm::EdDsa | Algorithm::Ed25519 => {
                Ed25519KeyPair::generate().map(Self::Ed25519).map_err(|_| CryptoError)
            }
            _ => RsaKeyPair::generate(rsa::KeySize::Rsa2048).map(Self::Rsa).map_err(|_| CryptoError),
        }
    }

    pub(super) fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, CryptoError> {
        match algorithm {
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => {
                EcdsaKeyPair::from_pkcs8(ecdsa_signing(algorithm)?, pkcs8)
                    .map(Self::Ec)
                    .map_err(|_| CryptoError)
            }
            Algorithm::EdDsa | Algorithm::Ed25519 => {
                Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::Ed25519).map_err(|_| CryptoError)
            }
            _ => RsaKeyPair::from_pkcs8(pkcs8).map(Self::Rsa).map_err(|_| CryptoError),
        }
    }

    pub(super) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        match self {
            Self::Ec(pair) => {
                pair.to_pkcs8v1().map(|d| Zeroizing::new(d.as_ref().to_vec())).map_err(|_| CryptoError)
            }
            Self::Ed25519(pair) => {
                pair.to_pkcs8().map(|d| Zeroizing::new(d.as_ref().to_vec())).map_err(|_| CryptoError)
            }
            Self::Rsa(pair) => {
                use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| CryptoError)?;
                Ok(Zeroizing::new(der.as_ref().to_vec()))
            }
        }
    }

    /// From the private member of a JWK (`d`, RFC 7518 §6.2.2, RFC 8037 §2) and the public key beside it.
    pub(super) fn from_private_member(
        algorithm: Algorithm,
        public: &PublicJwk,
        d: &[u8],
    ) -> Result<Self, CryptoError> {
        match public {
            PublicJwk::Ec(ec) => {
                EcdsaKeyPair::from_private_key_and_public_key(ecdsa_signing(algorithm)?, d, ec.point())
                    .map(Self::Ec)
                    .map_err(|_| CryptoError)
            }
            PublicJwk::Okp(okp) => Ed25519KeyPair::from_seed_and_public_key(d, &okp.x)
                .map(Self::Ed25519)
                .map_err(|_| CryptoError),
            PublicJwk::Rsa(_) => Err(CryptoError),
        }
    }

    /// The private member `d` of a JWK; RSA keys are kept as PKCS #8 only.
    pub(super) fn private_member(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        match self {
            Self::Ec(pair) => {
                let private = pair.private_key();
                let bytes: aws_lc_rs::encoding::EcPrivateKeyBin<'_> =
                    private.as_be_bytes().map_err(|_| CryptoError)?;
                Ok(Zeroizing::new(bytes.as_ref().to_vec()))
            }
            Self::Ed25519(pair) => {
                let seed = pair.seed().map_err(|_| CryptoError)?;
                let bytes: aws_lc_rs::encoding::Curve25519SeedBin<'_> =
                    seed.as_be_bytes().map_err(|_| CryptoError)?;
                Ok(Zeroizing::new(bytes.as_ref().to_vec()))
            }
            Self::Rsa(_) => Err(CryptoError),
        }
    }

    pub(super) fn public_jwk(&self, algorithm: Algorithm) -> Result<PublicJwk, CryptoError> {
        match self {
            Self::Ec(pair) => {
                let curve = algorithm.curve().ok_or(CryptoError)?;
                PublicJwk::ec_from_point(curve, pair.public_key().as_ref()).ok_or(CryptoError)
            }
            Self::Ed25519(pair) => PublicJwk::ed25519(pair.public_key().as_ref()).ok_or(CryptoError),
            Self::Rsa(pair) => {
                let public = pair.public_key();
                Ok(PublicJwk::rsa(
                    public.modulus().big_endian_without_leading_zero().to_vec(),
                    public.exponent().big_endian_without_leading_zero().to_vec(),
                ))
            }
        }
    }

    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        match self {
            Self::Ec(pair) => {
                let signed = pair.sign(&SystemRandom::new(), message).map_err(|_| CryptoError)?;
                Ok(signed.as_ref().to_vec())
            }
            Self::Ed25519(pair) => Ok(pair.try_sign(message).map_err(|_| CryptoError)?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                let method: &dyn signature::RsaEncoding = match algorithm {
                    Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
                    Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
                    Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
                    _ => return Err(CryptoError),
                };
                pair.sign(method, &SystemRandom::new(), message, &mut out).map_err(|_| CryptoError)?;
                Ok(out)
            }
        }
    }
}

fn ecdsa_signing(algorithm: Algorithm) -> Result<&'static signature::EcdsaSigningAlgorithm, CryptoError> {
    match algorithm {
        Algorithm::Es256 => Ok(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::Es384 => Ok(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::Es512 => Ok(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        _ => Err(CryptoError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    #[test]
    fn octets_are_equal_where_all_of_them_are() {
        assert!(are_equal(b"", b"") && are_equal(&[7; 33], &[7; 33]));
        for place in [0, 16, 32] {
            let mut other = [7; 33];
            other[place] ^= 0x80;
            assert!(!are_equal(&[7; 33], &other), "{place}");
        }
        assert!(!are_equal(&[7; 33], &[7; 32]) && !are_equal(b"", &[0]));
    }

    #[test]
    fn hashes_are_those_of_the_standards() {
        let abc =
            [sha256(b"abc").to_vec(), sha384(b"abc"), sha512(b"abc")].map(|hash| HEXLOWER.encode(&hash));
        assert_eq!(
            abc,
            [
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                concat!(
                    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed",
                    "8086072ba1e7cc2358baeca134c825a7"
                ),
                concat!(
                    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a",
                    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
                ),
            ]
        );
        // RFC 4231 §4.3 and RFC 5869 §A.3.
        assert_eq!(
            HEXLOWER.encode(&HmacKey::new(b"Jefe").mac(&[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            HEXLOWER.encode(&hkdf_sha256(&[0x0b; 22], &[])),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
        );
    }

    #[test]
    fn entropy_is_never_the_same() {
        assert_ne!(random::<16>(), random::<16>());
    }

    #[test]
    fn dpop_sig_02_numbers_of_every_length_are_der() {
        let der = |r: &[u8], s: &[u8]| {
            let mut signature = [0; 64];
            signature[32 - r.len()..32].copy_from_slice(r);
            signature[64 - s.len()..].copy_from_slice(s);
            HEXLOWER.encode(&ecdsa_der(Curve::P256, &signature).expect("two numbers"))
        };
        assert_eq!(der(&[0x7f], &[0x80]), "300702017f02020080");
        assert_eq!(der(&[], &[1, 0]), "30070201000202".to_owned() + "0100");
        assert_eq!(der(&[0xff; 32], &[0; 32]).len(), 2 * (2 + 2 + 33 + 3));
        let long = ecdsa_der(Curve::P521, &[1; 132]).expect("two numbers");
        assert_eq!((long.len(), long.first_chunk()), (3 + 2 * 68, Some(&[0x30, 0x81, 0x88, 2, 66])));
        for wrong in [0, 63, 65, 128] {
            assert_eq!(ecdsa_der(Curve::P256, &vec![1; wrong]), Err(CryptoError));
        }
    }

    #[test]
    fn dpop_alg_06_a_signature_is_good_under_its_own_algorithm_alone() {
        use Algorithm::{Ed25519, EdDsa};
        let rsa = KeyMaterial::generate(Algorithm::Rs256).expect("a key");
        for signed in Algorithm::ALL {
            let is_rsa = signed.curve().is_none() && !matches!(signed, EdDsa | Ed25519);
            let own = if is_rsa { None } else { KeyMaterial::generate(signed).ok() };
            let key = own.as_ref().unwrap_or(&rsa);
            let public = key.public_jwk(signed).expect("a public key");
            let signature = key.sign(signed, b"message").expect("signed");
            for other in Algorithm::ALL {
                let same = signed == other || matches!((signed, other), (EdDsa, Ed25519) | (Ed25519, EdDsa));
                let verdict = verify(other, &public, b"message", &signature);
                assert_eq!(verdict.is_ok(), same, "{other} for {signed}");
            }
            let read = ReadKey::of(&public);
            assert_eq!(read.is_none(), is_rsa);
            if let Some(read) = read {
                assert!(read.verify(b"message", &signature).is_ok(), "{signed}");
                assert!(read.verify(b"massage", &signature).is_err(), "{signed}");
            }
        }
        assert!(rsa.sign(Algorithm::Es256, b"message").is_err());
    }
}
