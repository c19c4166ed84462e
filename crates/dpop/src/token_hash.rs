//! The hash of an access token: `ath` in a proof, and the name under which a token's verdict is remembered.

use crate::jose::{base64url, crypto};

/// SHA-256 over the ASCII of an access token, just as it stands in `Authorization` (RFC 9449 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of this token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(crypto::sha256(token.as_bytes()))
    }

    /// The value of `ath`: 43 characters of base64url.
    #[must_use]
    pub fn ath(&self) -> String {
        base64url::encode(&self.0)
    }

    /// Whether a proof's `ath` stands for this hash.
    #[must_use]
    pub fn is_ath(&self, ath: &str) -> bool {
        base64url::decode_exactly(ath) == Some(self.0)
    }

    /// The 32 octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.ath().get(..8).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dpop_ath_01_vector_of_rfc_9449() {
        let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
        let hash = TokenHash::of(token);
        assert_eq!(hash.ath(), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
        assert!(hash.is_ath("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"));
        for other in
            ["fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEp", "fUHyO2r2", "", &TokenHash::of("x").ath()]
        {
            assert!(!hash.is_ath(other), "{other}");
        }
        assert_eq!(format!("{hash:?}"), "fUHyO2r2", "enough to tell it from others in a log");
    }
}
