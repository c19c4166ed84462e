//! Every way in which a proof can fail: one list, read by the verifier, the inspector and the documentation.

use std::fmt;

/// One way to fail, named after its row in the catalogue of requirements, ordered by the items of RFC 9449 §4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// No `DPoP` header where one is required.
    HeaderMissing,
    /// More than one `DPoP` field line.
    HeaderRepeated,
    /// The header is empty.
    HeaderEmpty,
    /// The header is too long.
    HeaderSize,
    /// The header holds something other than token68, such as a comma between two proofs.
    HeaderCharacters,
    /// Not three parts, or an empty one.
    Segments,
    /// A part is not canonical base64url.
    Base64,
    /// A part is not a JSON object in UTF-8.
    Json,
    /// A member name is repeated.
    RepeatedMember,
    /// The JSON is too deep or too wide.
    JsonSize,
    /// `crit` is present.
    Critical,
    /// `b64` is present.
    Unencoded,
    /// A required member is missing.
    MissingMember,
    /// A member has the wrong JSON type.
    WrongType,
    /// `jti` is empty.
    JtiEmpty,
    /// `jti` is too long.
    JtiSize,
    /// `nonce` is not NQCHAR.
    NonceSyntax,
    /// `typ` is missing.
    TypMissing,
    /// `typ` is not `dpop+jwt`.
    Typ,
    /// `alg` is missing.
    AlgMissing,
    /// `alg` is not one that is known.
    AlgUnknown,
    /// `alg` is `none`.
    AlgNone,
    /// `alg` is a MAC.
    AlgMac,
    /// `alg` is known, and not accepted here.
    AlgNotAccepted,
    /// `alg` and the kind of key do not belong together.
    AlgKey,
    /// The OKP curve is not Ed25519.
    AlgOkpCurve,
    /// `jwk` is missing or not an object.
    JwkMissing,
    /// A member of the key is missing or malformed.
    JwkMember,
    /// A coordinate has the wrong length.
    JwkCoordinate,
    /// The point is not on the curve.
    JwkPoint,
    /// The curve is not accepted.
    JwkCurve,
    /// The RSA modulus is too short.
    JwkRsaSize,
    /// The RSA exponent is out of range.
    JwkRsaExponent,
    /// An RSA number has a leading zero octet.
    JwkLeadingZero,
    /// The Ed25519 key is of small order.
    JwkSmallOrder,
    /// The key says that it is not for this use.
    JwkUse,
    /// The signature has the wrong length.
    SignatureLength,
    /// The signature does not verify.
    Signature,
    /// The key holds a private member.
    JwkPrivate,
    /// The key is symmetric.
    JwkSymmetric,
    /// `htm` is not the method of the request.
    Htm,
    /// `htu` is not an absolute http(s) URI.
    HtuForm,
    /// `htu` is too long or holds characters that no URI has.
    HtuCharacters,
    /// `htu` is not the target of the request.
    Htu,
    /// The nonce is missing.
    NonceMissing,
    /// The nonce is not one of ours, or too old.
    NonceUnknown,
    /// `iat` is not a NumericDate.
    IatForm,
    /// `iat` is too old.
    IatPast,
    /// `iat` is too far ahead.
    IatFuture,
    /// `exp` has passed, or `nbf` has not.
    Validity,
    /// `ath` is missing or not the hash of the token.
    Ath,
    /// The proof's key is not the key that the token is bound to.
    KeyBinding,
    /// The proof was used before.
    Replay,
}

/// What the catalogue says of a check.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The item of RFC 9449 §4.3; 0 for §11.1.
    pub item: u8,
    /// The row's ID.
    pub id: &'static str,
    /// What must hold.
    pub rule: &'static str,
    /// What the maker of the proof can do.
    pub advice: &'static str,
}

const fn rule(item: u8, id: &'static str, rule: &'static str, advice: &'static str) -> Rule {
    Rule { item, id, rule, advice }
}

impl Check {
    /// Every check, by item.
    #[rustfmt::skip]
    pub const ALL: [Self; 53] = {
        use Check::*;
        [
            HeaderMissing, HeaderRepeated, HeaderEmpty, HeaderSize, HeaderCharacters, Segments, Base64, Json,
            RepeatedMember, JsonSize, Critical, Unencoded, MissingMember, WrongType, JtiEmpty, JtiSize,
            NonceSyntax, TypMissing, Typ, AlgMissing, AlgUnknown, AlgNone, AlgMac, AlgNotAccepted, AlgKey,
            AlgOkpCurve, JwkMissing, JwkMember, JwkCoordinate, JwkPoint, JwkCurve, JwkRsaSize, JwkRsaExponent,
            JwkLeadingZero, JwkSmallOrder, JwkUse, SignatureLength, Signature, JwkPrivate, JwkSymmetric, Htm,
            HtuForm, HtuCharacters, Htu, NonceMissing, NonceUnknown, IatForm, IatPast, IatFuture, Validity,
            Ath, KeyBinding, Replay,
        ]
    };

    /// Its entry in the catalogue.
    #[must_use]
    #[rustfmt::skip]
    pub const fn rule(self) -> Rule {
        match self {
            Self::HeaderMissing => rule(1, "DPOP-HDR-08", "a DPoP header must be present", "send a proof in the `DPoP` header"),
            Self::HeaderRepeated => rule(1, "DPOP-HDR-02", "there must be exactly one DPoP header line", "replace the header when a request is sent again; look for a proxy that adds one"),
            Self::HeaderEmpty => rule(2, "DPOP-HDR-05", "the DPoP header must not be empty", "put the proof into the header"),
            Self::HeaderSize => rule(2, "DPOP-HDR-10", "the DPoP header must not be longer than the limit", "leave certificates and extra members out of the proof"),
            Self::HeaderCharacters => rule(2, "DPOP-HDR-06", "the DPoP header must be one token68 value", "send one proof, unquoted; look for a proxy that joins two header lines with a comma"),
            Self::Segments => rule(2, "DPOP-JWS-01", "a proof must be a JWS in compact serialization: three parts, none empty", "use compact serialization; an encrypted or JSON-serialized JWT is not a proof"),
            Self::Base64 => rule(2, "DPOP-JWS-04", "each part must be base64url without padding", "use the base64url alphabet, no `=`, no white space"),
            Self::Json => rule(2, "DPOP-JWS-05", "header and payload must be JSON objects in UTF-8", "check what was encoded"),
            Self::RepeatedMember => rule(2, "DPOP-JWS-06", "member names must not be repeated", "write each member once"),
            Self::JsonSize => rule(2, "DPOP-JWS-11", "the JSON must not be nested deeply or have too many members", "leave extra members out of the proof"),
            Self::Critical => rule(2, "DPOP-JWS-08", "`crit` names an extension that is not implemented", "leave `crit` out"),
            Self::Unencoded => rule(2, "DPOP-JWS-09", "`b64` must not be present", "leave `b64` out"),
            Self::MissingMember => rule(3, "DPOP-JWS-12", "all required members must be present", "add the member"),
            Self::WrongType => rule(3, "DPOP-JWS-07", "each member must have its JSON type", "write the member with its type"),
            Self::JtiEmpty => rule(3, "DPOP-JTI-01", "`jti` must be a non-empty string", "put at least 96 random bits into `jti`"),
            Self::JtiSize => rule(3, "DPOP-JTI-02", "`jti` must be at most 256 octets", "use a shorter `jti`, a UUID for instance"),
            Self::NonceSyntax => rule(3, "DPOP-NON-05", "`nonce` must be a string of NQCHAR", "copy the nonce from `DPoP-Nonce` as it is"),
            Self::TypMissing => rule(4, "DPOP-TYP-02", "`typ` must be present", "set `typ` to `dpop+jwt`"),
            Self::Typ => rule(4, "DPOP-TYP-01", "`typ` must be `dpop+jwt`", "set `typ` to `dpop+jwt`; another kind of JWT is not a proof"),
            Self::AlgMissing => rule(5, "DPOP-ALG-04", "`alg` must be present", "name the algorithm in `alg`"),
            Self::AlgUnknown => rule(5, "DPOP-ALG-01", "`alg` must be an accepted algorithm", "use one of the accepted algorithms; names are case-sensitive"),
            Self::AlgNone => rule(5, "DPOP-ALG-02", "`alg` must not be `none`", "sign the proof"),
            Self::AlgMac => rule(5, "DPOP-ALG-03", "`alg` must not be a MAC", "sign with a private key"),
            Self::AlgNotAccepted => rule(5, "DPOP-ALG-05", "`alg` must be an accepted algorithm", "use one of the accepted algorithms, or ask the server's operator to accept yours"),
            Self::AlgKey => rule(5, "DPOP-ALG-06", "`alg` must fit the key in `jwk`", "use ES256 with P-256, PS256 with RSA, EdDSA with Ed25519"),
            Self::AlgOkpCurve => rule(5, "DPOP-ALG-09", "an OKP key must be Ed25519", "use Ed25519"),
            Self::JwkMissing => rule(6, "DPOP-JWK-01", "`jwk` must be an object in the header", "put the public key into the header"),
            Self::JwkMember => rule(6, "DPOP-JWK-04", "the key's members must be complete and well-formed", "write the key as RFC 7518 §6 and RFC 8037 §2 say"),
            Self::JwkCoordinate => rule(6, "DPOP-JWK-05", "coordinates must have exactly the octets of the field", "keep leading zero octets of `x` and `y`"),
            Self::JwkPoint => rule(6, "DPOP-JWK-06", "the point must be on the curve", "check how `x` and `y` were written"),
            Self::JwkCurve => rule(6, "DPOP-JWK-07", "the curve must be an accepted one", "use P-256 or Ed25519"),
            Self::JwkRsaSize => rule(6, "DPOP-JWK-08", "an RSA key must have 2048 to 8192 bits", "use a key of 2048 bits or more, or better P-256"),
            Self::JwkRsaExponent => rule(6, "DPOP-JWK-09", "an RSA exponent must be odd, at least 3 and at most 2^32", "use the exponent 65537"),
            Self::JwkLeadingZero => rule(6, "DPOP-JWK-10", "`n` and `e` must be minimal", "drop leading zero octets of `n` and `e`"),
            Self::JwkSmallOrder => rule(6, "DPOP-JWK-11", "an Ed25519 key must be a canonical point of large order", "make a new key"),
            Self::JwkUse => rule(6, "DPOP-JWK-12", "`use`, `key_ops` and `alg` of the key must allow verifying", "leave these members out"),
            Self::SignatureLength => rule(6, "DPOP-SIG-02", "the signature must have the algorithm's length", "ECDSA signatures are R and S side by side, not DER"),
            Self::Signature => rule(6, "DPOP-SIG-01", "the signature must verify with the key in `jwk`", "sign with the private key that belongs to `jwk`, over the bytes that are sent"),
            Self::JwkPrivate => rule(7, "DPOP-JWK-02", "the key must hold no private member", "send the public key only, and make a new key pair: this one was shown"),
            Self::JwkSymmetric => rule(7, "DPOP-JWK-03", "the key must not be symmetric", "use an asymmetric key"),
            Self::Htm => rule(8, "DPOP-HTM-01", "`htm` must be the method of the request", "set `htm` to the method, in the same case"),
            Self::HtuForm => rule(9, "DPOP-HTU-11", "`htu` must be an absolute http or https URI without user information", "set `htu` to the URL of the request"),
            Self::HtuCharacters => rule(9, "DPOP-HTU-16", "`htu` must be at most 2048 octets of visible ASCII", "percent-encode the URL"),
            Self::Htu => rule(9, "DPOP-HTU-01", "`htu` must be the URL of the request", "sign the URL that is called; behind a proxy the operator sets the public URL"),
            Self::NonceMissing => rule(10, "DPOP-NON-01", "a nonce of this server is required", "send again with the nonce from `DPoP-Nonce` and a new `jti`"),
            Self::NonceUnknown => rule(10, "DPOP-NON-02", "the nonce must be one that this server issued recently", "send again with the nonce from `DPoP-Nonce` and a new `jti`"),
            Self::IatForm => rule(11, "DPOP-IAT-01", "`iat` must be a number of seconds", "set `iat` to whole seconds since 1970"),
            Self::IatPast => rule(11, "DPOP-IAT-02", "`iat` must be recent", "make a proof for each request, and set the clock"),
            Self::IatFuture => rule(11, "DPOP-IAT-04", "`iat` must not be ahead", "set the clock"),
            Self::Validity => rule(11, "DPOP-JWS-14", "`exp` and `nbf`, where present, must hold", "leave `exp` and `nbf` out, or set the clock"),
            Self::Ath => rule(12, "DPOP-ATH-01", "`ath` must be the SHA-256 of the access token", "set `ath` to base64url(SHA-256(token)), without padding"),
            Self::KeyBinding => rule(12, "DPOP-CNF-01", "the proof's key must be the key that the token is bound to", "sign with the key that was used to get the token"),
            Self::Replay => rule(0, "DPOP-JTI-04", "a proof must not be used twice", "make a proof with a new `jti` for each request"),
        }
    }

    /// What kind of refusal it leads to.
    #[must_use]
    pub const fn fault(self) -> Fault {
        match self {
            Self::NonceMissing | Self::NonceUnknown => Fault::Nonce,
            Self::KeyBinding => Fault::Binding,
            _ => Fault::Proof,
        }
    }
}

/// What a server answers to a failed check (requirements 0.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `invalid_dpop_proof`
    Proof,
    /// `use_dpop_nonce`
    Nonce,
    /// `invalid_token`: the proof is good, and by another key.
    Binding,
}

/// A proof was refused: which check failed, what we expected, and, for the log only, what came.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    check: Check,
    expected: Option<String>,
    came: Option<String>,
}

/// Octets of what came that go to a log.
const MAX_CAME: usize = 200;

impl Refusal {
    pub(crate) fn new(check: Check) -> Self {
        Self { check, expected: None, came: None }
    }

    pub(crate) fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.expected = Some(expected.to_string());
        self
    }

    pub(crate) fn came(mut self, came: &str) -> Self {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\'' | b'\\');
        self.came = Some(match came.get(..came.len().min(MAX_CAME)) {
            Some(start) if start.bytes().all(is_plain) => start.to_owned(),
            _ => came.chars().take(MAX_CAME).flat_map(char::escape_default).collect(),
        });
        self
    }

    /// The refusal of a request that lacks the header.
    #[must_use]
    pub fn header_missing() -> Self {
        Self::new(Check::HeaderMissing)
    }

    /// The refusal of a proof that was used before.
    #[must_use]
    pub fn replayed() -> Self {
        Self::new(Check::Replay)
    }

    /// The refusal of a nonce that would do on other days: while used proofs cannot be recorded for all nodes, it must be
    /// of the current step (OPS-REP-06).
    #[must_use]
    pub fn nonce_not_current() -> Self {
        Self::new(Check::NonceUnknown).expected("a nonce of this minute, for the moment")
    }

    /// The refusal of a proof that may have been used before the server started (OPS-REP-09).
    #[must_use]
    pub fn before_start() -> Self {
        Self::new(Check::Replay).expected("a proof made after the server's start, which was just now")
    }

    /// The check that failed.
    #[must_use]
    pub const fn check(&self) -> Check {
        self.check
    }

    /// The text for the wire: the row, the rule and what we expected, never what came (requirements 0.6).
    #[must_use]
    pub fn for_wire(&self) -> String {
        let rule = self.check.rule();
        match &self.expected {
            Some(expected) => format!("{}: {}; expected {expected}", rule.id, rule.rule),
            None => format!("{}: {}", rule.id, rule.rule),
        }
    }

    /// The text for the log: the same and what came, escaped and cut.
    #[must_use]
    pub fn for_log(&self) -> String {
        match &self.came {
            Some(came) => format!("{}; came {came}", self.for_wire()),
            None => self.for_wire(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.for_wire())
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({})", self.check, self.for_log())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete_distinct_and_ordered_by_item() {
        let mut ids: Vec<&str> = Check::ALL.iter().map(|check| check.rule().id).collect();
        let items: Vec<u8> = Check::ALL.iter().map(|check| check.rule().item).collect();
        assert!(items.iter().take(items.len() - 1).is_sorted());
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), Check::ALL.len());
    }

    #[test]
    fn as_err_07_the_wire_never_repeats_what_came() {
        let refusal =
            Refusal::new(Check::Htu).expected("https://h/token").came("https://evil\"\r\n\u{1b}[31m");
        assert_eq!(
            refusal.for_wire(),
            "DPOP-HTU-01: `htu` must be the URL of the request; expected https://h/token"
        );
        assert!(refusal.for_log().ends_with(r#"came https://evil\"\r\n\u{1b}[31m"#));
    }

    #[test]
    fn each_check_leads_to_one_answer() {
        for check in Check::ALL {
            let fault = match check {
                Check::NonceMissing | Check::NonceUnknown => Fault::Nonce,
                Check::KeyBinding => Fault::Binding,
                _ => Fault::Proof,
            };
            assert_eq!(check.fault(), fault, "{check:?}");
        }
    }

    #[test]
    fn what_is_printed_is_the_text_for_the_wire_and_debug_shows_the_log() {
        let refusal = Refusal::new(Check::Htm).came("\"'\\");
        assert_eq!(refusal.to_string(), refusal.for_wire());
        assert_eq!(format!("{refusal:?}"), format!("Htm({})", refusal.for_log()));
        assert!(refusal.for_log().ends_with(r#"; came \"\'\\"#), "{}", refusal.for_log());
    }
}
