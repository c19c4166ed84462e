//! Text that must not be seen: redacted wherever it is printed, wiped when dropped, compared in constant time.

use crate::jose::crypto::are_equal;
use std::fmt;
use zeroize::optimization_barrier;

/// A token, code, password or other secret text. [`Secret::reveal`] is the only way out.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes the text in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to be sent or hashed, never to be printed.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    /// Wipes all that the text had room for in one go: a token's answer is long, and octet by octet takes a while.
    fn drop(&mut self) {
        let mut octets = std::mem::take(&mut self.0).into_bytes();
        let room = octets.capacity();
        octets.clear();
        octets.resize(room, 0);
        optimization_barrier(octets.as_slice());
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        are_equal(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[redacted]");
    }

    #[test]
    fn the_text_comes_out_by_reveal() {
        for secret in [Secret::new("hunter2"), Secret::from("hunter2".to_owned())] {
            assert_eq!(secret.reveal(), "hunter2");
            assert!(!secret.is_empty());
        }
        assert!(Secret::default().is_empty() && Secret::default().reveal().is_empty());
    }

    #[test]
    fn equality_is_by_text() {
        assert_eq!(Secret::new("a"), Secret::new("a"));
        assert_ne!(Secret::new("a"), Secret::new("b"));
        assert_ne!(Secret::new("a"), Secret::new("aa"));
    }
}
