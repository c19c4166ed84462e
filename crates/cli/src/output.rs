//! The one way out: to stdout what was asked for, to stderr what is said about it. A reader who leaves early is fine.

use crate::error::CommandError;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

/// Writes data to stdout, as it is.
pub(crate) fn data(bytes: &[u8]) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    Ok(stdout.flush()?)
}

/// Writes text to stdout, with a line end.
pub(crate) fn line(text: &str) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.write_all(b"\n")?;
    Ok(stdout.flush()?)
}

/// Writes JSON to stdout.
pub(crate) fn json(value: &serde_json::Value) -> Result<(), CommandError> {
    line(&format!("{value:#}"))
}

/// Writes text to stderr, as it is.
pub(crate) fn note(text: &str) -> Result<(), CommandError> {
    let mut stderr = io::stderr().lock();
    stderr.write_all(text.as_bytes())?;
    Ok(stderr.flush()?)
}

/// Text from outside, as it may stand on a terminal: no control characters, nothing that turns the direction or has
/// no width. Line ends stay out too.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        let hidden = matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if char.is_control() || hidden {
            plain.extend(char.escape_unicode());
        } else {
            plain.push(char);
        }
    }
    plain
}

/// JSON from outside, indented; everything but ASCII is escaped, so that it cannot play with a terminal.
pub(crate) fn plain_json(json: &str) -> String {
    let indented = serde_json::from_str::<serde_json::Value>(json).map(|value| format!("{value:#}"));
    let mut ascii = String::new();
    for char in indented.as_deref().unwrap_or(json).chars() {
        if char == '\n' || matches!(char, ' '..='~') {
            ascii.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                // Writing to a `String` cannot fail.
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

/// Colour where a terminal has it and nobody objects. The words say the same without.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    coloured: bool,
}

impl Style {
    pub(crate) fn of_stdout() -> Self {
        Self { coloured: io::stdout().is_terminal() && colours_wanted() }
    }

    pub(crate) fn of_stderr() -> Self {
        Self { coloured: io::stderr().is_terminal() && colours_wanted() }
    }

    pub(crate) fn is_coloured(self) -> bool {
        self.coloured
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// <https://no-color.org>: set and not empty means no.
fn colours_wanted() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_log_04_text_from_outside_cannot_play_with_the_terminal() {
        assert_eq!(plain("zoë\x1b[31m\r\n\u{202e}"), "zoë\\u{1b}[31m\\u{d}\\u{a}\\u{202e}");
        assert_eq!(plain_json("{\"a\":\"\u{202e}😀\"}"), "{\n  \"a\": \"\\u202e\\ud83d\\ude00\"\n}");
        assert_eq!(plain_json("no json\x1b"), "no json\\u001b");
    }
}
