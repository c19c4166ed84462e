//! From header bytes to a proof whose parts are known and whose claims are not yet believed.

use super::error::{Check, Refusal};
use crate::header::ProofHeader;
use crate::jose::json::{JsonError, Object, Value};
use crate::jose::jwk::{JwkError, PublicJwk};
use crate::jose::known_key::{Known, KnownKey};
use crate::jose::thumbprint::Thumbprint;
use crate::jose::{base64url, jws};
use crate::nonce::NonceState;
use std::cell::OnceCell;

/// The three parts, decoded, side by side.
pub(super) struct Decoded<'a> {
    octets: Vec<u8>,
    header_len: usize,
    payload_len: usize,
    /// `header.payload` as it came: what the signature is over (DPOP-SIG-01).
    pub(super) signed: &'a str,
}

/// A proof that has been read; nothing in it has been checked.
pub(super) struct UnverifiedProof<'d> {
    pub(super) header: Object<'d>,
    pub(super) claims: Object<'d>,
    pub(super) signature: &'d [u8],
    pub(super) signed: &'d str,
    pub(super) key: Result<PublicJwk, Refusal>,
    /// Where the key is one that was seen before.
    pub(super) known: Option<&'d Known>,
    /// What costs a hash to find out is found out once, by the first rule that asks.
    pub(super) jkt: OnceCell<Thumbprint>,
    pub(super) nonce_state: OnceCell<NonceState>,
}

/// RFC 9449 §4.3 item 1, and the outer form of item 2.
pub(super) fn decode(header: ProofHeader<'_>, max_len: usize) -> Result<Decoded<'_>, Refusal> {
    let value = match header {
        ProofHeader::Absent => return Err(Refusal::header_missing()),
        ProofHeader::Several(count) => {
            return Err(Refusal::new(Check::HeaderRepeated).came(&format!("{count} header lines")));
        }
        ProofHeader::One(value) => value,
    };
    if value.iter().all(u8::is_ascii_whitespace) {
        return Err(Refusal::new(Check::HeaderEmpty));
    }
    if value.len() > max_len {
        return Err(Refusal::new(Check::HeaderSize)
            .expected(format!("at most {max_len} octets"))
            .came(&format!("{} octets", value.len())));
    }
    // What can be decoded has no other characters than token68 has: they are looked at only to say what is wrong.
    let compact = std::str::from_utf8(value).ok();
    match compact.map(decode_parts) {
        Some(Ok(decoded)) => Ok(decoded),
        Some(Err(refusal)) if compact.is_some_and(is_token68) => Err(refusal),
        _ => Err(Refusal::new(Check::HeaderCharacters).came(&String::from_utf8_lossy(value))),
    }
}

fn decode_parts(compact: &str) -> Result<Decoded<'_>, Refusal> {
    let parts = jws::split(compact).ok_or_else(|| {
        let dots = compact.bytes().filter(|byte| *byte == b'.').count();
        Refusal::new(Check::Segments).came(&format!("{dots} dots in {} octets", compact.len()))
    })?;
    let mut octets = Vec::with_capacity(compact.len() * 3 / 4);
    let mut part = |name: &str, text: &str| {
        base64url::decode_onto(&mut octets, text)
            .ok_or_else(|| Refusal::new(Check::Base64).came(&format!("{name}: {text}")))
    };
    let header_len = part("header", parts.header)?;
    let payload_len = part("payload", parts.payload)?;
    part("signature", parts.signature)?;
    Ok(Decoded { octets, header_len, payload_len, signed: parts.signed })
}

impl Decoded<'_> {
    pub(super) fn header(&self) -> &[u8] {
        self.octets.get(..self.header_len).unwrap_or_default()
    }

    pub(super) fn payload(&self) -> &[u8] {
        self.octets.get(self.header_len..self.header_len + self.payload_len).unwrap_or_default()
    }

    pub(super) fn signature(&self) -> &[u8] {
        self.octets.get(self.header_len + self.payload_len..).unwrap_or_default()
    }
}

/// `1*(ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/") *"="` (RFC 9449 §4.1).
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !body.is_empty() && body.bytes().all(allowed)
}

impl<'d> UnverifiedProof<'d> {
    /// Reads the JSON of both parts and the key (RFC 9449 §4.3 items 2, 6 and 7).
    pub(super) fn read(decoded: &'d Decoded<'_>) -> Result<Self, Refusal> {
        let header = object("header", decoded.header())?;
        let claims = object("payload", decoded.payload())?;
        let key = key(&header);
        Ok(Self {
            header,
            claims,
            signature: decoded.signature(),
            signed: decoded.signed,
            key,
            known: None,
            jkt: OnceCell::new(),
            nonce_state: OnceCell::new(),
        })
    }

    /// The same proof, its key looked up.
    pub(super) fn by(self, known: &'d KnownKey) -> Self {
        let known = self.key.as_ref().ok().and_then(|key| known.of(key));
        let jkt = known.map_or_else(OnceCell::new, |known| OnceCell::from(known.jkt()));
        Self { known, jkt, ..self }
    }

    /// A string claim, or the refusal for a wrong type. An absent one is `None`.
    pub(super) fn claim(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        self.claims.string(name).map_err(|wrong| Refusal::new(Check::WrongType).expected(wrong))
    }
}

fn object<'d>(part: &str, bytes: &'d [u8]) -> Result<Object<'d>, Refusal> {
    Object::parse(bytes).map_err(|error| {
        let check = match error {
            JsonError::Repeated => Check::RepeatedMember,
            JsonError::TooLarge => Check::JsonSize,
            JsonError::Malformed => Check::Json,
        };
        Refusal::new(check).came(&format!("{part}: {}", String::from_utf8_lossy(bytes)))
    })
}

fn key(header: &Object<'_>) -> Result<PublicJwk, Refusal> {
    let Some(Value::Object(jwk)) = header.get("jwk") else {
        return Err(Refusal::new(Check::JwkMissing));
    };
    // No part of a private key goes to a log: `came` stays empty throughout.
    PublicJwk::parse(jwk).map_err(|error| {
        let check = match error {
            JwkError::Private(_) => Check::JwkPrivate,
            JwkError::Symmetric => Check::JwkSymmetric,
            JwkError::Member(_) => Check::JwkMember,
            JwkError::Curve if jwk.string("kty") == Ok(Some("OKP")) => Check::AlgOkpCurve,
            JwkError::Curve => Check::JwkCurve,
            JwkError::CoordinateLength => Check::JwkCoordinate,
            JwkError::RsaSize => Check::JwkRsaSize,
            JwkError::RsaExponent => Check::JwkRsaExponent,
            JwkError::LeadingZero => Check::JwkLeadingZero,
            JwkError::SmallOrder => Check::JwkSmallOrder,
        };
        let refusal = Refusal::new(check);
        match error {
            JwkError::Private(name) | JwkError::Member(name) => {
                refusal.expected(format!("`{name}`: {error}"))
            }
            _ => refusal,
        }
    })
}
