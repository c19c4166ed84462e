//! Scope: a set of tokens, case-sensitive, in the order in which they were named (RFC 6749 §3.3).

use std::fmt;

/// Tokens in one scope, at the most.
pub const MAX_TOKENS: usize = 128;

/// A set of scope tokens. Equal where the same tokens are in it, whatever their order.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The tokens, with a space between.
    text: String,
    /// Where in it each of them ends.
    ends: Vec<usize>,
}

/// The text is not a list of scope tokens. To be answered with `invalid_scope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scope is not a list of at most {MAX_TOKENS} tokens separated by spaces (RFC 6749 section 3.3)")]
pub struct ScopeError;

impl Scope {
    /// Reads tokens separated by spaces. No token at all is the empty scope.
    ///
    /// # Errors
    /// [`ScopeError`] where a character is outside %x21 / %x23-5B / %x5D-7E, or there are too many tokens.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let mut scope = Self::default();
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            if !token.bytes().all(is_scope_char) || scope.ends.len() == MAX_TOKENS {
                return Err(ScopeError);
            }
            if !scope.contains(token) {
                scope.push(token, text.len());
            }
        }
        Ok(scope)
    }

    /// Adds a token of which there is none yet; all of them will not be longer than `room`.
    fn push(&mut self, token: &str, room: usize) {
        match self.ends.is_empty() {
            true => self.text.reserve_exact(room),
            false => self.text.push(' '),
        }
        self.text.push_str(token);
        self.ends.push(self.text.len());
    }

    /// Whether the token is in the set.
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.iter().any(|known| known == token)
    }

    /// The tokens that are in both sets, in our order.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.filtered(|token| other.contains(token))
    }

    /// The tokens that are so, in our order.
    #[must_use]
    pub fn filtered(&self, is_kept: impl Fn(&str) -> bool) -> Self {
        let mut kept = Self::default();
        for token in self.iter().filter(|token| is_kept(token)) {
            kept.push(token, self.text.len());
        }
        kept
    }

    /// Whether all our tokens are in the other set.
    #[must_use]
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.iter().all(|token| other.contains(token))
    }

    /// Whether there is no token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The tokens.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| end + 1));
        let places = starts.zip(&self.ends);
        places.map(|(start, end)| self.text.get(start..*end).unwrap_or_default())
    }

    /// The tokens, with a space between.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_scope_char(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.ends.len() == other.ends.len() && self.is_subset_of(other)
    }
}

impl Eq for Scope {}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).expect("a scope")
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(scope("openid read:a  openid write").to_string(), "openid read:a write");
        assert_eq!(scope("a b"), scope("b a"));
        assert_ne!(scope("a b"), scope("a"));
        assert!(scope("").is_empty());
    }

    #[test]
    fn sets_behave_as_sets() {
        assert_eq!(scope("a b c").intersection(&scope("c a")).to_string(), "a c");
        assert_eq!(scope("a b c").filtered(|token| token != "b").to_string(), "a c");
        assert!(scope("a").is_subset_of(&scope("b a")) && !scope("a d").is_subset_of(&scope("b a")));
        assert!(!scope("Read").contains("read"));
    }

    #[test]
    fn other_characters_are_refused() {
        for bad in ["a\"b", "a\\b", "a\tb", "a\nb", "ü", "\u{7f}"] {
            assert_eq!(Scope::parse(bad), Err(ScopeError), "{bad}");
        }
        let many: String = (0..=MAX_TOKENS).map(|n| format!("s{n} ")).collect();
        assert_eq!(Scope::parse(&many), Err(ScopeError));
    }
}
