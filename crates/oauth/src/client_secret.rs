//! A client's secret as a server keeps it: the text, or only its digest. Ours are random, so a digest is as good as a
//! slow hash, and quick enough for every request.

use keybound_dpop::jose::{base64url, crypto};
use keybound_dpop::secret::Secret;
use std::fmt;

/// A client's secret.
#[derive(Clone)]
pub enum ClientSecret {
    /// The text, as a client or an operator has it.
    Text(Secret),
    /// The SHA-256 of the text.
    Sha256([u8; 32]),
}

impl ClientSecret {
    /// Of the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self::Text(Secret::new(text))
    }

    /// From the 43 characters of the SHA-256 in base64url.
    #[must_use]
    pub fn from_digest(text: &str) -> Option<Self> {
        base64url::decode(text)?.try_into().ok().map(Self::Sha256)
    }

    /// Whether that is the secret; takes the same time wherever the difference is.
    #[must_use]
    pub fn accepts(&self, presented: &Secret) -> bool {
        crypto::are_equal(&self.digest(), &crypto::sha256(presented.reveal().as_bytes()))
    }

    /// The same secret without its text.
    #[must_use]
    pub fn to_hashed(&self) -> Self {
        Self::Sha256(self.digest())
    }

    /// The member of client metadata that holds it, and its value.
    #[must_use]
    pub fn to_member(&self) -> (&'static str, String) {
        match self {
            Self::Text(secret) => ("client_secret", secret.reveal().to_owned()),
            Self::Sha256(digest) => ("client_secret_sha256", base64url::encode(digest)),
        }
    }

    fn digest(&self) -> [u8; 32] {
        match self {
            Self::Text(secret) => crypto::sha256(secret.reveal().as_bytes()),
            Self::Sha256(digest) => *digest,
        }
    }
}

impl PartialEq for ClientSecret {
    fn eq(&self, other: &Self) -> bool {
        crypto::are_equal(&self.digest(), &other.digest())
    }
}

impl Eq for ClientSecret {}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_ca_09_a_digest_accepts_the_same_secret_and_no_other() {
        let kept = ClientSecret::new("s3cret").to_hashed();
        let (name, digest) = kept.to_member();
        assert_eq!(name, "client_secret_sha256");
        assert_eq!(ClientSecret::from_digest(&digest), Some(kept.clone()));
        assert!(kept.accepts(&Secret::new("s3cret")));
        for wrong in ["s3cre", "s3crett", "", &digest] {
            assert!(!kept.accepts(&Secret::new(wrong)), "{wrong}");
        }
        assert_eq!(format!("{kept:?}"), "[redacted]");
    }
}
