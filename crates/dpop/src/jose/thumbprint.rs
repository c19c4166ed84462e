//! The SHA-256 thumbprint of a key (RFC 7638): what `jkt` holds.

use super::{base64url, crypto};
use std::fmt;

/// A JWK SHA-256 thumbprint. Its text form is 43 characters of base64url (RFC 9449 §6.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// Of the canonical JSON of a key.
    pub(super) fn of(canonical: &str) -> Self {
        Self(crypto::sha256(canonical.as_bytes()))
    }

    /// Reads the 43 characters; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        base64url::decode_exactly(text).map(Self)
    }

    /// The 32 octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dpop_cnf_03_only_43_characters() {
        let good = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        assert_eq!(Thumbprint::parse(good).map(|t| t.to_string()).as_deref(), Some(good));
        assert_eq!(Thumbprint::parse(good).map(|t| format!("{t:?}")).as_deref(), Some(good));
        let padded = format!("{good}=");
        for bad in [good.get(..42).unwrap_or_default(), &padded, "", "abc"] {
            assert_eq!(Thumbprint::parse(bad), None);
        }
    }
}
