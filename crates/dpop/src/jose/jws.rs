//! JWS in compact serialization (RFC 7515 §7.1) and the JWTs in it: access tokens, ID tokens, assertions. Proofs are
//! read by [`crate::proof`], which tells more about what is wrong with them.

use super::algorithm::{Algorithm, AlgorithmSet};
use super::json::{Object, Value};
use super::jwk::PublicJwk;
use super::object_writer::ObjectWriter;
use super::signer::{SignError, Signer};
use super::{base64url, crypto};

/// The three parts of a compact JWS, still encoded.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The JOSE header.
    pub header: &'a str,
    /// The payload.
    pub payload: &'a str,
    /// The signature.
    pub signature: &'a str,
    /// `header.payload`, what the signature is over.
    pub signed: &'a str,
}

/// Splits at the dots, of which there must be exactly two, with something in each part. Looks at no more than three
/// parts, however many there are (DPOP-JWS-01, OPS-LIM-02).
#[must_use]
pub fn split(compact: &str) -> Option<Parts<'_>> {
    let (header, rest) = compact.split_once('.')?;
    let (payload, signature) = rest.split_once('.')?;
    if header.is_empty() || payload.is_empty() || signature.is_empty() || signature.contains('.') {
        return None;
    }
    let signed = compact.get(..header.len() + 1 + payload.len())?;
    Some(Parts { header, payload, signature, signed })
}

/// Why a JWT cannot be used. The caller's fault in every case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not three parts of canonical base64url, or not JSON objects with distinct member names.
    #[error("not a JWT in compact serialization")]
    Malformed,
    /// `crit` is present: we implement no extension (RFC 7515 §4.1.11).
    #[error("the header has `crit`")]
    Critical,
    /// `alg` is missing or not accepted here.
    #[error("the algorithm is not accepted")]
    Algorithm,
    /// No key that we trust fits.
    #[error("no trusted key fits")]
    UnknownKey,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
}

/// A JWT that has been read and not yet verified: nothing in it may be relied upon.
#[derive(Debug)]
pub struct UnverifiedJwt<'a> {
    parts: Parts<'a>,
    header: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// The payload of a JWT whose signature has been verified.
#[derive(Debug)]
pub struct VerifiedJwt {
    header: Vec<u8>,
    payload: Vec<u8>,
}

impl<'a> UnverifiedJwt<'a> {
    /// Reads the compact form; both JSON parts are checked to be objects with distinct member names.
    ///
    /// # Errors
    /// [`JwtError::Malformed`]
    pub fn parse(compact: &'a str) -> Result<Self, JwtError> {
        let parts = split(compact).ok_or(JwtError::Malformed)?;
        let decode = |part| base64url::decode(part).ok_or(JwtError::Malformed);
        let jwt = Self {
            parts,
            header: decode(parts.header)?,
            payload: decode(parts.payload)?,
            signature: decode(parts.signature)?,
        };
        jwt.header()?;
        jwt.claims()?;
        Ok(jwt)
    }

    /// The JOSE header.
    ///
    /// # Errors
    /// [`JwtError::Malformed`]
    pub fn header(&self) -> Result<Object<'_>, JwtError> {
        Object::parse(&self.header).map_err(|_| JwtError::Malformed)
    }

    /// The claims, before anything vouches for them: to find out whose keys to ask for, never to decide.
    ///
    /// # Errors
    /// [`JwtError::Malformed`]
    pub fn claims(&self) -> Result<Object<'_>, JwtError> {
        Object::parse(&self.payload).map_err(|_| JwtError::Malformed)
    }

    /// The `kid` of the header.
    ///
    /// # Errors
    /// [`JwtError::Malformed`] where it is not a string.
    pub fn kid(&self) -> Result<Option<String>, JwtError> {
        let header = self.header()?;
        header.string("kid").map(|kid| kid.map(str::to_owned)).map_err(|_| JwtError::Malformed)
    }

    /// Checks `crit`, `b64`, `alg` and the signature. The key comes from whom we trust, never from the header.
    ///
    /// # Errors
    /// [`JwtError`] names the first thing that is wrong.
    pub fn verify<'k>(
        &self,
        accepted: AlgorithmSet,
        keys: impl Iterator<Item = &'k PublicJwk>,
    ) -> Result<VerifiedJwt, JwtError> {
        let header = self.header()?;
        if header.has("crit") || header.has("b64") {
            return Err(JwtError::Critical);
        }
        let algorithm = match header.get("alg") {
            Some(Value::String(name)) => Algorithm::parse(name).filter(|a| accepted.contains(*a)),
            _ => None,
        };
        let algorithm = algorithm.ok_or(JwtError::Algorithm)?;
        let mut error = JwtError::UnknownKey;
        for key in keys.filter(|key| algorithm.fits(key)) {
            match crypto::verify(algorithm, key, self.parts.signed.as_bytes(), &self.signature) {
                Ok(()) => {
                    return Ok(VerifiedJwt { header: self.header.clone(), payload: self.payload.clone() });
                }
                Err(_) => error = JwtError::Signature,
            }
        }
        Err(error)
    }
}

impl VerifiedJwt {
    /// The JOSE header.
    ///
    /// # Errors
    /// [`JwtError::Malformed`]; does not happen, since it was read once.
    pub fn header(&self) -> Result<Object<'_>, JwtError> {
        Object::parse(&self.header).map_err(|_| JwtError::Malformed)
    }

    /// The claims.
    ///
    /// # Errors
    /// [`JwtError::Malformed`]; does not happen, since they were read once.
    pub fn claims(&self) -> Result<Object<'_>, JwtError> {
        Object::parse(&self.payload).map_err(|_| JwtError::Malformed)
    }

    /// The payload as it came: JSON, an object.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Signs `payload` (JSON) under a header of `typ`, `alg` and, where given, `kid`. No I/O but the signer's own.
///
/// # Errors
/// [`SignError`] where the signer cannot sign.
pub fn sign(signer: &impl Signer, typ: &str, kid: Option<&str>, payload: &[u8]) -> Result<String, SignError> {
    let header = ObjectWriter::with_room(100).text("typ", typ).text("alg", signer.algorithm().name());
    let header = header.optional("kid", kid).finish();
    // Four characters for three octets, and room for a signature of the usual length.
    let mut compact = String::with_capacity((header.len() + payload.len()) * 4 / 3 + 100);
    base64url::encode_onto(&mut compact, header.as_bytes());
    compact.push('.');
    base64url::encode_onto(&mut compact, payload);
    let signature = signer.sign(compact.as_bytes())?;
    compact.push('.');
    base64url::encode_onto(&mut compact, &signature);
    Ok(compact)
}

#[cfg(test)]
mod tests {
    use super::super::signer::SigningKey;
    use super::*;

    #[test]
    fn dpop_jws_01_three_parts_and_no_empty_one() {
        for bad in ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e", ".b.c", "a..c", "a.b."] {
            assert!(split(bad).is_none(), "{bad}");
        }
        assert!(split("a.b.c").is_some_and(|parts| parts.signed == "a.b"));
    }

    #[test]
    fn ops_lim_02_a_million_dots_are_not_collected() {
        let dots = ".".repeat(1_000_000);
        assert!(split(&dots).is_none() && split(&format!("a.b.c{dots}")).is_none());
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let other = SigningKey::generate(Algorithm::Es256).expect("a key");
        let compact = sign(&key, "at+jwt", Some("k1"), br#"{"iss":"me"}"#).expect("signed");
        let jwt = UnverifiedJwt::parse(&compact).expect("a JWT");
        let accepted = AlgorithmSet::default();
        let verified = jwt.verify(accepted, [key.public_jwk()].into_iter()).expect("verified");
        assert_eq!(verified.claims().expect("claims").string("iss"), Ok(Some("me")));
        assert_eq!(
            jwt.verify(accepted, [other.public_jwk()].into_iter()).expect_err("refused"),
            JwtError::Signature
        );
        assert_eq!(jwt.verify(accepted, std::iter::empty()).expect_err("refused"), JwtError::UnknownKey);
        let only_eddsa = AlgorithmSet::of(&[Algorithm::EdDsa]);
        assert_eq!(
            jwt.verify(only_eddsa, [key.public_jwk()].into_iter()).expect_err("refused"),
            JwtError::Algorithm
        );
    }

    #[test]
    fn dpop_jws_08_extensions_are_refused_whatever_they_say() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        for member in [r#""crit":["b64"]"#, r#""b64":true"#] {
            let header = format!(r#"{{"alg":"ES256",{member}}}"#);
            let signed = [header.as_bytes(), b"{}"].map(base64url::encode).join(".");
            let compact =
                format!("{signed}.{}", base64url::encode(&key.sign(signed.as_bytes()).expect("signed")));
            let jwt = UnverifiedJwt::parse(&compact).expect("a JWT");
            let verdict = jwt.verify(AlgorithmSet::default(), [key.public_jwk()].into_iter());
            assert_eq!(verdict.expect_err("refused"), JwtError::Critical, "{member}");
        }
    }

    #[test]
    fn a_signed_token_is_what_was_given() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let compact = sign(&key, "at+jwt", Some("k1"), br#"{"iss":"me"}"#).expect("signed");
        let jwt = UnverifiedJwt::parse(&compact).expect("a JWT");
        assert_eq!(jwt.kid(), Ok(Some("k1".to_owned())));
        assert_eq!(jwt.claims().expect("claims").string("iss"), Ok(Some("me")));
        let verified = jwt.verify(AlgorithmSet::default(), [key.public_jwk()].into_iter()).expect("verified");
        let header = verified.header().expect("a header");
        let named = ["typ", "alg", "kid"].map(|name| header.string(name).expect("text"));
        assert_eq!(named, [Some("at+jwt"), Some("ES256"), Some("k1")]);
        assert_eq!(verified.payload(), br#"{"iss":"me"}"#);
        let other = base64url::encode(br#"{"kid":7}"#);
        let unnamed = format!("{other}.{other}.{other}");
        assert_eq!(UnverifiedJwt::parse(&unnamed).expect("a JWT").kid(), Err(JwtError::Malformed));
    }
}
