//! From header bytes to a proof whose parts are known and whose claims are not yet believed.

use super::error::{Check, Refusal};
use crate::header::ProofHeader;
use crate::jose::json::{JsonError, Object, Value};
use crate::jose::jwk::{JwkError, PublicJwk};
use crate::jose::thumbprint::Thumbprint;
use crate::jose::{base64url, jws};
use crate::nonce::NonceState;
use std::cell::OnceCell;

/// The three parts, decoded.
pub(super) struct Decoded<'a> {
    pub(super) header: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
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
    let compact = token68(value)
        .ok_or_else(|| Refusal::new(Check::HeaderCharacters).came(&String::from_utf8_lossy(value)))?;
    let parts = jws::split(compact).ok_or_else(|| {
        let dots = compact.bytes().filter(|byte| *byte == b'.').count();
        Refusal::new(Check::Segments).came(&format!("{dots} dots in {} octets", compact.len()))
    })?;
    let part = |name: &str, text: &str| {
        base64url::decode(text).ok_or_else(|| Refusal::new(Check::Base64).came(&format!("{name}: {text}")))
    };
    Ok(Decoded {
        header: part("header", parts.header)?,
        payload: part("payload", parts.payload)?,
        signature: part("signature", parts.signature)?,
        signed: parts.signed,
    })
}

/// `1*(ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/") *"="` (RFC 9449 §4.1).
fn token68(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let body = text.trim_end_matches('=');
    let allowed = |byte: u8| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    // Without an early end, which lets the compiler look at many octets at once.
    let all_allowed = body.bytes().fold(true, |so_far, byte| so_far & allowed(byte));
    (!body.is_empty() && all_allowed).then_some(text)
}

impl<'d> UnverifiedProof<'d> {
    /// Reads the JSON of both parts and the key (RFC 9449 §4.3 items 2, 6 and 7).
    pub(super) fn read(decoded: &'d Decoded<'_>) -> Result<Self, Refusal> {
        let header = object("header", &decoded.header)?;
        let claims = object("payload", &decoded.payload)?;
        let key = key(&header);
        Ok(Self {
            header,
            claims,
            signature: &decoded.signature,
            signed: decoded.signed,
            key,
            jkt: OnceCell::new(),
            nonce_state: OnceCell::new(),
        })
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
