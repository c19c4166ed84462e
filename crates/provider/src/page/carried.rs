//! The request that a form carries on: the longest text of a page, and the one with the least in it to be escaped.

use askama::filters::{Escaper, Html, HtmlSafe};
use askama::{FastWritable, Values};
use std::fmt;

/// Octets that are looked at together.
const STRIDE: usize = 16;

/// A long text as HTML: escaped like any other, but looked at in strides.
#[derive(Clone, Copy, Debug)]
pub struct Carried<'a>(&'a str);

/// The text of a page's `request`, to be written.
#[must_use]
pub const fn carried(text: &str) -> Carried<'_> {
    Carried(text)
}

impl Carried<'_> {
    fn write_onto(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let mut rest = self.0;
        while let Some(plain) = first_special(rest.as_bytes()) {
            let (as_it_is, special) = rest.split_at(plain);
            out.write_str(as_it_is)?;
            let (special, after) = special.split_at(1);
            Html.write_escaped_str(&mut *out, special)?;
            rest = after;
        }
        out.write_str(rest)
    }
}

/// Where the first character stands that HTML wants escaped.
fn first_special(octets: &[u8]) -> Option<usize> {
    let is_special = |octet: &u8| matches!(octet, b'"' | b'&' | b'\'' | b'<' | b'>');
    let has_special = |stride: &&[u8]| stride.iter().fold(false, |found, octet| found | is_special(octet));
    let passed = STRIDE * octets.chunks_exact(STRIDE).take_while(|stride| !has_special(stride)).count();
    octets.iter().skip(passed).position(is_special).map(|place| passed + place)
}

impl HtmlSafe for Carried<'_> {}

impl fmt::Display for Carried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_onto(f)
    }
}

impl FastWritable for Carried<'_> {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(self.write_onto(dest)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bcp_ui_09_a_request_is_escaped_like_any_other_text() {
        for special in ["\"", "&", "'", "<", ">", "ü<", "&&", ""] {
            for before in 0..=2 * STRIDE {
                let text = format!("{}{special}{}{special}", "a".repeat(before), "=".repeat(40 - before));
                let mut expected = String::new();
                Html.write_escaped_str(&mut expected, &text).unwrap();
                assert_eq!(carried(&text).to_string(), expected);
            }
        }
    }
}
