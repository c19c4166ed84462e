//! Proof Key for Code Exchange (RFC 7636), method S256 only.

use keybound_dpop::jose::{base64url, crypto};
use keybound_dpop::secret::Secret;
use std::fmt;

/// The one value of `code_challenge_method` that we take.
pub const S256: &str = "S256";

/// The challenge: 43 characters of base64url, the SHA-256 of a verifier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CodeChallenge([u8; 32]);

impl CodeChallenge {
    /// Reads the 43 characters; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 43 {
            return None;
        }
        base64url::decode(text)?.try_into().ok().map(Self)
    }

    /// The challenge that belongs to a verifier.
    #[must_use]
    pub fn of(verifier: &CodeVerifier) -> Self {
        Self(crypto::sha256(verifier.0.reveal().as_bytes()))
    }

    /// Whether the challenge belongs to the verifier; takes the same time whatever the answer.
    #[must_use]
    pub fn accepts(&self, verifier: &CodeVerifier) -> bool {
        crypto::are_equal(&self.0, &Self::of(verifier).0)
    }
}

impl fmt::Display for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The verifier: 43 to 128 unreserved characters, known to the client alone until it redeems the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeVerifier(Secret);

impl CodeVerifier {
    /// Reads a verifier; `None` for a text that is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let is_fit = (43..=128).contains(&text.len()) && text.bytes().all(is_unreserved);
        is_fit.then(|| Self(Secret::new(text)))
    }

    /// A new verifier out of 32 octets of entropy (RFC 7636 §4.1).
    #[must_use]
    pub fn from_entropy(entropy: &[u8; 32]) -> Self {
        Self(Secret::new(base64url::encode(entropy)))
    }

    /// The text, to be sent.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636_appendix_b() {
        let verifier =
            CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").expect("a verifier");
        let challenge = CodeChallenge::of(&verifier);
        assert_eq!(challenge.to_string(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_eq!(CodeChallenge::parse(&challenge.to_string()), Some(challenge));
        assert!(challenge.accepts(&verifier));
    }

    #[test]
    fn as_pkc_03_a_challenge_is_43_characters_of_base64url() {
        let good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let padded = format!("{good}=");
        for bad in
            ["", good.trim_end_matches('M'), &padded, &good.replace('-', "+"), &good.replace("cM", "cN")]
        {
            assert_eq!(CodeChallenge::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn as_pkc_04_a_verifier_is_43_to_128_unreserved_characters() {
        for (length, is_one) in [(42, false), (43, true), (128, true), (129, false)] {
            assert_eq!(CodeVerifier::parse(&"a".repeat(length)).is_some(), is_one, "{length}");
        }
        for bad in ["+", "/", "=", " ", "ü", "%"] {
            assert_eq!(CodeVerifier::parse(&format!("{}{bad}", "a".repeat(50))), None, "{bad}");
        }
    }

    #[test]
    fn as_pkc_07_another_verifier_is_not_accepted() {
        let challenge = CodeChallenge::of(&CodeVerifier::from_entropy(&[1; 32]));
        assert!(challenge.accepts(&CodeVerifier::from_entropy(&[1; 32])));
        assert!(!challenge.accepts(&CodeVerifier::from_entropy(&[2; 32])));
    }
}
