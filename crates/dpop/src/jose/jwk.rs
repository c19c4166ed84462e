//! Public keys as JWKs (RFC 7517, RFC 7518 §6, RFC 8037 §2). A [`PublicJwk`] cannot hold a private member.

use super::base64url;
use super::json::{Object, Value};
use super::thumbprint::Thumbprint;
use std::fmt;

/// A public key that can verify a signature.
#[derive(Clone, PartialEq, Eq)]
pub enum PublicJwk {
    /// `kty` EC
    Ec(EcKey),
    /// `kty` RSA
    Rsa(RsaKey),
    /// `kty` OKP, `crv` Ed25519
    Okp(OkpKey),
}

/// A point on one of the NIST curves.
#[derive(Clone, PartialEq, Eq)]
pub struct EcKey {
    /// The curve.
    pub curve: Curve,
    /// The octet 4, then `x`, then `y` (SEC 1 §2.3.3).
    point: Vec<u8>,
}

/// An RSA public key: modulus of 2048 to 8192 bits, odd exponent from 3 to 2^32, both big-endian and minimal.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaKey {
    pub(super) n: Vec<u8>,
    pub(super) e: Vec<u8>,
}

/// An Ed25519 public key: 32 octets, canonical, not of small order.
#[derive(Clone, PartialEq, Eq)]
pub struct OkpKey {
    pub(super) x: [u8; 32],
}

/// The curves that ECDSA runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256
    P256,
    /// NIST P-384
    P384,
    /// NIST P-521
    P521,
}

impl Curve {
    /// The value of `crv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Octets of one coordinate (RFC 7518 §6.2.1.2).
    #[must_use]
    pub const fn coordinate_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521].into_iter().find(|curve| curve.name() == name)
    }
}

/// Why a JWK is not a public key that we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// A member that belongs to a private or symmetric key is there (RFC 9449 §4.3, item 7).
    #[error("the JWK holds the private member `{0}`")]
    Private(&'static str),
    /// `kty` is `oct`.
    #[error("the JWK is a symmetric key")]
    Symmetric,
    /// `kty` is none of EC, RSA, OKP, or a member that it needs is missing, not a string, or not base64url.
    #[error("the JWK's member `{0}` is missing or malformed")]
    Member(&'static str),
    /// The curve is not one that we take.
    #[error("the JWK's curve is not accepted")]
    Curve,
    /// An EC coordinate does not have the field's length.
    #[error("an EC coordinate must have exactly the octets of the field")]
    CoordinateLength,
    /// The RSA modulus is shorter than 2048 or longer than 8192 bits.
    #[error("an RSA modulus must have 2048 to 8192 bits")]
    RsaSize,
    /// The RSA exponent is even, below 3 or above 2^32.
    #[error("an RSA exponent must be odd, at least 3 and at most 2^32")]
    RsaExponent,
    /// `n` or `e` begins with a zero octet.
    #[error("`n` and `e` must have no leading zero octet")]
    LeadingZero,
    /// The Ed25519 key is of small order or not the canonical encoding of a point.
    #[error("the Ed25519 key is of small order or not canonical")]
    SmallOrder,
}

/// Members that only a private or a symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4).
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

impl PublicJwk {
    /// Reads a JWK. Members that we do not know are ignored; a private one is an error.
    ///
    /// Whether an EC point lies on its curve shows when a signature is verified with it.
    ///
    /// # Errors
    /// [`JwkError`] says what is wrong with the key.
    pub fn parse(jwk: &Object<'_>) -> Result<Self, JwkError> {
        if let Some(name) = PRIVATE_MEMBERS.into_iter().find(|name| jwk.has(name)) {
            return Err(JwkError::Private(name));
        }
        Self::parse_public_members(jwk)
    }

    /// The public part of a JWK that may hold a private one: for key files that are ours.
    pub(super) fn parse_public_members(jwk: &Object<'_>) -> Result<Self, JwkError> {
        match text(jwk, "kty")? {
            "EC" => ec(jwk).map(Self::Ec),
            "RSA" => rsa(jwk).map(Self::Rsa),
            "OKP" => okp(jwk).map(Self::Okp),
            "oct" => Err(JwkError::Symmetric),
            _ => Err(JwkError::Member("kty")),
        }
    }

    /// The key's SHA-256 thumbprint (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint::of(&self.to_json())
    }

    /// The JWK with its required members only, in the order and form that the thumbprint is made of (RFC 7638 §3.2).
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(160);
        match self {
            Self::Ec(ec) => {
                let (x, y) = ec.coordinates();
                json.push_str(r#"{"crv":""#);
                json.push_str(ec.curve.name());
                json.push_str(r#"","kty":"EC","x":""#);
                base64url::encode_onto(&mut json, x);
                json.push_str(r#"","y":""#);
                base64url::encode_onto(&mut json, y);
            }
            Self::Rsa(rsa) => {
                json.push_str(r#"{"e":""#);
                base64url::encode_onto(&mut json, &rsa.e);
                json.push_str(r#"","kty":"RSA","n":""#);
                base64url::encode_onto(&mut json, &rsa.n);
            }
            Self::Okp(okp) => {
                json.push_str(r#"{"crv":"Ed25519","kty":"OKP","x":""#);
                base64url::encode_onto(&mut json, &okp.x);
            }
        }
        json.push_str("\"}");
        json
    }

    /// Whether an EC point lies on its curve; other kinds of key are judged when they are read (DPOP-JWK-06).
    #[must_use]
    pub fn is_on_curve(&self) -> bool {
        match self {
            Self::Ec(ec) => super::crypto::is_on_curve(ec.curve, &ec.point),
            Self::Rsa(_) | Self::Okp(_) => true,
        }
    }

    /// What kind of key it is, for people: `EC P-256`, `RSA 2048`, `OKP Ed25519`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Ec(ec) => format!("EC {}", ec.curve.name()),
            Self::Rsa(rsa) => format!("RSA {}", bits(&rsa.n)),
            Self::Okp(_) => "OKP Ed25519".to_owned(),
        }
    }

    pub(super) fn ec_from_point(curve: Curve, point: &[u8]) -> Option<Self> {
        let fits = point.len() == 1 + 2 * curve.coordinate_len() && point.first() == Some(&4);
        fits.then(|| Self::Ec(EcKey { curve, point: point.to_vec() }))
    }

    pub(super) fn ed25519(x: &[u8]) -> Option<Self> {
        x.try_into().ok().map(|x| Self::Okp(OkpKey { x }))
    }

    pub(super) fn rsa(n: Vec<u8>, e: Vec<u8>) -> Self {
        Self::Rsa(RsaKey { n, e })
    }
}

impl EcKey {
    /// The point, uncompressed.
    pub(super) fn point(&self) -> &[u8] {
        &self.point
    }

    fn coordinates(&self) -> (&[u8], &[u8]) {
        let both = self.point.get(1..).unwrap_or_default();
        both.split_at_checked(self.curve.coordinate_len()).unwrap_or_default()
    }
}

impl fmt::Debug for PublicJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.describe(), self.thumbprint())
    }
}

/// Whether the members that say what a key is for allow `algorithm` to be verified with it (DPOP-JWK-12).
#[must_use]
pub fn may_verify(jwk: &Object<'_>, algorithm: super::algorithm::Algorithm) -> bool {
    let use_allows = match jwk.get("use") {
        None => true,
        Some(Value::String(text)) => text == "sig",
        Some(_) => false,
    };
    let operations_allow = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(items)) => {
            items.iter().any(|item| matches!(item, Value::String(text) if text == "verify"))
        }
        Some(_) => false,
    };
    let algorithm_allows = match jwk.get("alg") {
        None => true,
        Some(Value::String(text)) => {
            super::algorithm::Algorithm::parse(text).is_some_and(|named| same_signature(named, algorithm))
        }
        Some(_) => false,
    };
    use_allows && operations_allow && algorithm_allows
}

fn same_signature(a: super::algorithm::Algorithm, b: super::algorithm::Algorithm) -> bool {
    use super::algorithm::Algorithm::{Ed25519, EdDsa};
    a == b || matches!((a, b), (EdDsa, Ed25519) | (Ed25519, EdDsa))
}

fn text<'o>(jwk: &'o Object<'_>, name: &'static str) -> Result<&'o str, JwkError> {
    jwk.string(name).ok().flatten().ok_or(JwkError::Member(name))
}

fn octets(jwk: &Object<'_>, name: &'static str) -> Result<Vec<u8>, JwkError> {
    base64url::decode(text(jwk, name)?).ok_or(JwkError::Member(name))
}

fn ec(jwk: &Object<'_>) -> Result<EcKey, JwkError> {
    let curve = Curve::parse(text(jwk, "crv")?).ok_or(JwkError::Curve)?;
    let mut point = vec![0; 1 + 2 * curve.coordinate_len()];
    if let Some((form, coordinates)) = point.split_first_mut() {
        *form = 4;
        let (x, y) = coordinates.split_at_mut(curve.coordinate_len());
        coordinate(jwk, "x", x)?;
        coordinate(jwk, "y", y)?;
    }
    Ok(EcKey { curve, point })
}

/// Reads a coordinate, which has exactly the octets of the field.
fn coordinate(jwk: &Object<'_>, name: &'static str, into: &mut [u8]) -> Result<(), JwkError> {
    if base64url::decode_into(text(jwk, name)?, into) {
        return Ok(());
    }
    octets(jwk, name).and(Err(JwkError::CoordinateLength))
}

fn rsa(jwk: &Object<'_>) -> Result<RsaKey, JwkError> {
    let (n, e) = (octets(jwk, "n")?, octets(jwk, "e")?);
    if n.first() == Some(&0) || e.first() == Some(&0) {
        return Err(JwkError::LeadingZero);
    }
    if !(2048..=8192).contains(&bits(&n)) {
        return Err(JwkError::RsaSize);
    }
    let exponent = e.iter().fold(0_u64, |sum, octet| sum << 8 | u64::from(*octet));
    // What is odd and at most 2^32 has four octets.
    if e.len() > 4 || exponent % 2 == 0 || exponent < 3 {
        return Err(JwkError::RsaExponent);
    }
    Ok(RsaKey { n, e })
}

fn bits(big_endian: &[u8]) -> usize {
    let leading = big_endian.first().map_or(0, |octet| octet.leading_zeros() as usize);
    (big_endian.len() * 8).saturating_sub(leading)
}

fn okp(jwk: &Object<'_>) -> Result<OkpKey, JwkError> {
    if text(jwk, "crv")? != "Ed25519" {
        return Err(JwkError::Curve);
    }
    let mut x = [0; 32];
    coordinate(jwk, "x", &mut x)?;
    if is_weak_ed25519(&x) {
        return Err(JwkError::SmallOrder);
    }
    Ok(OkpKey { x })
}

/// The two y coordinates of the points of order eight, little-endian; the others of small order are 0, 1 and p - 1.
const ORDER_EIGHT: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// Small order, or y not below p = 2^255 - 19: the sign bit does not count (RFC 8032 §5.1.7).
fn is_weak_ed25519(encoded: &[u8; 32]) -> bool {
    let mut y = *encoded;
    let [low, middle @ .., high] = &mut y;
    *high &= 0x7f;
    let near_p = *high == 0x7f && middle.iter().all(|octet| *octet == 0xff) && *low >= 0xec;
    let tiny = *high == 0 && middle.iter().all(|octet| *octet == 0) && *low <= 1;
    near_p || tiny || ORDER_EIGHT.contains(&y)
}

#[cfg(test)]
#[path = "jwk_tests.rs"]
mod tests;
