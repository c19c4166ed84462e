//! What each algorithm is in PKCS #11: how its keys are made, how they sign, where their public half stands.

use super::TokenError;
use cryptoki::error::Error;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::Session;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto;
use keybound_dpop::jose::json::Object;
use keybound_dpop::jose::jwk::{Curve, PublicJwk};
use keybound_dpop::jose::object_writer::ObjectWriter;

/// Object identifiers of curves in DER (RFC 5480 §2.1.1.1, RFC 8410 §3).
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// Bits of a new RSA key.
const RSA_BITS: u64 = 2048;

/// Both halves of a key.
pub(super) struct Pair {
    pub(super) public: ObjectHandle,
    pub(super) private: ObjectHandle,
}

/// Makes a key pair that stays in the token for good, to sign with. What else it may do is not said: tokens differ in what
/// they let one say.
pub(super) fn generate(
    session: &Session,
    algorithm: Algorithm,
    id: &[u8],
    label: &str,
) -> Result<Pair, Error> {
    let both =
        [Attribute::Token(true), Attribute::Id(id.to_vec()), Attribute::Label(label.as_bytes().to_vec())];
    let mut public = vec![Attribute::Verify(true), Attribute::Private(false)];
    let mechanism = match algorithm {
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => {
            public.push(Attribute::EcParams(curve(algorithm).to_vec()));
            Mechanism::EccKeyPairGen
        }
        Algorithm::EdDsa | Algorithm::Ed25519 => {
            public.push(Attribute::EcParams(ED25519.to_vec()));
            Mechanism::EccEdwardsKeyPairGen
        }
        _ => {
            public.push(Attribute::ModulusBits(RSA_BITS.into()));
            public.push(Attribute::PublicExponent(vec![1, 0, 1]));
            Mechanism::RsaPkcsKeyPairGen
        }
    };
    let mut private = vec![
        Attribute::Sign(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
    ];
    public.extend(both.clone());
    private.extend(both);
    let (public, private) = session.generate_key_pair(&mechanism, &public, &private)?;
    Ok(Pair { public, private })
}

/// Whether the token says that the key is never told, neither as it is nor wrapped.
pub(super) fn keeps(session: &Session, private: ObjectHandle) -> Result<bool, Error> {
    let told = session.get_attributes(private, &[AttributeType::Sensitive, AttributeType::Extractable])?;
    Ok(told.contains(&Attribute::Sensitive(true)) && told.contains(&Attribute::Extractable(false)))
}

/// Whether the token wants the PIN before each signature.
pub(super) fn asks_each_time(session: &Session, private: ObjectHandle) -> Result<bool, Error> {
    let told = session.get_attributes(private, &[AttributeType::AlwaysAuthenticate])?;
    Ok(told.contains(&Attribute::AlwaysAuthenticate(true)))
}

/// The signature in JOSE form, which for ECDSA is that of PKCS #11 too: R and S side by side.
pub(super) fn sign(
    session: &Session,
    key: ObjectHandle,
    algorithm: Algorithm,
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    let pss = |hash_alg, mgf, len: u64| PkcsPssParams { hash_alg, mgf, s_len: len.into() };
    let sign = |mechanism: Mechanism<'_>, message: &[u8]| session.sign(&mechanism, key, message);
    match algorithm {
        // Every token that has ECDSA has it over a hash; not all of them hash.
        Algorithm::Es256 => sign(Mechanism::Ecdsa, &crypto::sha256(message)),
        Algorithm::Es384 => sign(Mechanism::Ecdsa, &crypto::sha384(message)),
        Algorithm::Es512 => sign(Mechanism::Ecdsa, &crypto::sha512(message)),
        Algorithm::EdDsa | Algorithm::Ed25519 => {
            sign(Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)), message)
        }
        Algorithm::Rs256 => sign(Mechanism::Sha256RsaPkcs, message),
        Algorithm::Rs384 => sign(Mechanism::Sha384RsaPkcs, message),
        Algorithm::Rs512 => sign(Mechanism::Sha512RsaPkcs, message),
        Algorithm::Ps256 => {
            let params = pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32);
            sign(Mechanism::Sha256RsaPkcsPss(params), message)
        }
        Algorithm::Ps384 => {
            let params = pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48);
            sign(Mechanism::Sha384RsaPkcsPss(params), message)
        }
        Algorithm::Ps512 => {
            let params = pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64);
            sign(Mechanism::Sha512RsaPkcsPss(params), message)
        }
    }
}

/// The public key that was made.
pub(super) fn public_key(
    session: &Session,
    public: ObjectHandle,
    algorithm: Algorithm,
) -> Result<PublicJwk, TokenError> {
    let asked = [AttributeType::EcPoint, AttributeType::Modulus, AttributeType::PublicExponent];
    let told = session.get_attributes(public, &asked)?;
    let (mut point, mut n, mut e) = (Vec::new(), Vec::new(), Vec::new());
    for attribute in told {
        match attribute {
            Attribute::EcPoint(octets) => point = octets,
            Attribute::Modulus(octets) => n = octets,
            Attribute::PublicExponent(octets) => e = octets,
            _ => {}
        }
    }
    let jwk = ObjectWriter::with_room(256);
    let jwk = match algorithm {
        Algorithm::EdDsa | Algorithm::Ed25519 => {
            jwk.text("kty", "OKP").text("crv", "Ed25519").text("x", &base64url::encode(last(&point, 32)))
        }
        _ => match algorithm.curve() {
            Some(curve) => {
                let len = curve.coordinate_len();
                let (x, y) = last(&point, 2 * len).split_at_checked(len).unwrap_or_default();
                jwk.text("kty", "EC")
                    .text("crv", curve.name())
                    .text("x", &base64url::encode(x))
                    .text("y", &base64url::encode(y))
            }
            None => jwk
                .text("kty", "RSA")
                .text("n", &base64url::encode(without_zeros(&n)))
                .text("e", &base64url::encode(without_zeros(&e))),
        },
    };
    let json = jwk.finish();
    let parsed = Object::parse(json.as_bytes()).ok().and_then(|jwk| PublicJwk::parse(&jwk).ok());
    parsed
        .filter(|public| algorithm.fits(public) && public.is_on_curve())
        .ok_or_else(|| TokenError::Failed("it tells no public key of the kind that was made".to_owned()))
}

/// Removes all that has this `CKA_ID`.
pub(super) fn destroy(session: &Session, id: &[u8]) -> Result<(), Error> {
    for object in session.find_objects(&[Attribute::Id(id.to_vec())])? {
        session.destroy_object(object)?;
    }
    Ok(())
}

/// `CKA_EC_POINT` is an OCTET STRING around the point; some tokens leave the string away, some the first octet of the
/// point. In all of them the coordinates come last.
fn last(octets: &[u8], len: usize) -> &[u8] {
    octets.len().checked_sub(len).and_then(|start| octets.get(start..)).unwrap_or_default()
}

fn without_zeros(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    octets.get(zeros..).unwrap_or_default()
}

const fn curve(algorithm: Algorithm) -> &'static [u8] {
    match algorithm.curve() {
        Some(Curve::P384) => P384,
        Some(Curve::P521) => P521,
        _ => P256,
    }
}
