//! One line a request: who, what, how it ended, how long it took. Never a query, a header or a body.

use std::fmt::{self, Display, Formatter, Write};
use std::time::Duration;

use http::request::Parts;
use http::{Method, StatusCode, Uri};

const LONGEST: usize = 256;

/// What is told of a request once it is answered.
pub(crate) struct Asked {
    pub(crate) method: Method,
    uri: Uri,
}

impl Asked {
    pub(crate) fn of(parts: &Parts) -> Self {
        Self { method: parts.method.clone(), uri: parts.uri.clone() }
    }

    /// The line of the request.
    pub(crate) fn answered(&self, server: &str, peer: &str, status: StatusCode, time: Duration) {
        // Of a millisecond. Integers are quicker to write, and those of 64 bits more so.
        let tenths = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).saturating_add(50) / 100;
        tracing::info!(
            target: "http",
            server,
            method = %Escaped(self.method.as_str()),
            path = %Escaped(self.uri.path()),
            status = status.as_u16(),
            ms = format_args!("{}.{}", tenths / 10, tenths % 10),
            peer = %peer,
            "request",
        );
    }

    /// The line of a panic.
    pub(crate) fn panicked(&self, server: &str) {
        let (method, path) = (Escaped(self.method.as_str()), Escaped(self.uri.path()));
        tracing::error!(server, %method, %path, "the handler of a request panicked");
    }
}

/// A string from outside, as it may stand in a log: visible ASCII as it is, all else escaped, cut at 256 characters.
/// Line ends, terminal sequences and direction marks cannot get through.
pub struct Escaped<'a>(
    /// What came.
    pub &'a str,
);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Nearly always.
        if self.0.len() <= LONGEST
            && self.0.bytes().all(|octet| matches!(octet, b' '..=b'~') && octet != b'"' && octet != b'\\')
        {
            return f.write_str(self.0);
        }
        for (count, char) in self.0.chars().enumerate() {
            if count == LONGEST {
                return f.write_str("...");
            }
            match char {
                '"' | '\\' => write!(f, "\\{char}")?,
                ' '..='~' => f.write_char(char)?,
                _ => write!(f, "{}", char.escape_unicode())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn ops_log_04_control_characters_are_escaped() {
        assert_eq!(Escaped("/a\r\nb\x1b[31m").to_string(), "/a\\u{d}\\u{a}b\\u{1b}[31m");
        assert_eq!(Escaped("\u{202e}\"\\").to_string(), "\\u{202e}\\\"\\\\");
    }

    #[test]
    fn ops_log_04_a_long_string_is_cut() {
        let text = Escaped(&"x".repeat(300)).to_string();
        assert_eq!(text.len(), 259);
        assert!(text.ends_with("x..."));
    }
}
