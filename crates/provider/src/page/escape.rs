//! Long text on a page: what has to be escaped is found many octets at a time; how, the templates' library says.

use askama::filters::{Escaper, Html, HtmlSafe};
use askama::{FastWritable, Values};
use memchr::{memchr2, memchr3};
use std::fmt;

/// Text that shows itself as HTML, escaped.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl HtmlSafe for Escaped<'_> {}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, self.0)
    }
}

impl FastWritable for Escaped<'_> {
    fn write_into(&self, out: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(escape(out, self.0)?)
    }
}

/// Writes the text, escaped.
pub(super) fn escape<W: fmt::Write + ?Sized>(out: &mut W, text: &str) -> fmt::Result {
    // One search within the pieces of the other: no octet is looked at more than twice.
    around(
        out,
        text,
        |octets| memchr2(b'"', b'\'', octets),
        |out, piece| {
            around(out, piece, |octets| memchr3(b'&', b'<', b'>', octets), |out, plain| out.write_str(plain))
        },
    )
}

/// Escapes each ASCII character that is found, and hands over what is before, between and behind them.
fn around<W: fmt::Write + ?Sized>(
    out: &mut W,
    text: &str,
    find: impl Fn(&[u8]) -> Option<usize>,
    write_piece: impl Fn(&mut W, &str) -> fmt::Result,
) -> fmt::Result {
    let mut rest = text;
    while let Some((piece, found)) = find(rest.as_bytes()).and_then(|place| rest.split_at_checked(place)) {
        let mut after = found.chars();
        write_piece(out, piece)?;
        if let Some(character) = after.next() {
            Html.write_escaped_char(&mut *out, character)?;
        }
        rest = after.as_str();
    }
    write_piece(out, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bcp_ui_09_it_escapes_what_the_library_escapes() {
        assert_eq!(Escaped("a\"<b>'&c").to_string(), "a&#34;&#60;b&#62;&#39;&#38;c");
        let ascii: String = (0..=127).map(char::from).collect();
        for text in ["", "plain", "ü&ß\"é'", "&&\"\"''<<>>", "&<\"", ascii.as_str(), &ascii.repeat(3)] {
            let mut escaped = String::new();
            Html.write_escaped_str(&mut escaped, text).unwrap();
            assert_eq!(Escaped(text).to_string(), escaped);
        }
    }
}
