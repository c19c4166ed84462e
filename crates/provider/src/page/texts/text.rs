//! Messages, ready for pages: those without variables are escaped, those with places for what others wrote are taken
//! apart. That is done once, at start: a page looks nothing up.

use super::catalogue::Bundle;
use crate::page::escape::{Escaped, escape};
use arc_swap::ArcSwapOption;
use askama::filters::HtmlSafe;
use askama::{FastWritable, Values};
use fluent_bundle::FluentArgs;
use std::fmt;
use std::sync::Arc;

/// What a place is marked with while a message is taken apart: the first of these characters for private use is the
/// first variable.
const MARK: u32 = 0xF_0000;

/// Words that show themselves as HTML, escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    plain: Arc<str>,
    html: Arc<str>,
}

impl Phrase {
    /// These words.
    #[must_use]
    pub fn of(plain: &str) -> Self {
        Self { plain: plain.into(), html: Escaped(plain).to_string().into() }
    }

    /// As it was written: for what escapes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.plain
    }
}

impl HtmlSafe for Phrase {}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.html)
    }
}

impl FastWritable for Phrase {
    fn write_into(&self, out: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(out.write_str(&self.html)?)
    }
}

/// A message with that many variables.
#[derive(Clone, Debug)]
pub struct Text<const N: usize>(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Words(Phrase),
    Variable(usize),
}

/// The mark of a variable.
pub(super) fn mark(place: usize) -> String {
    u32::try_from(place)
        .ok()
        .and_then(|place| char::from_u32(MARK + place))
        .map(String::from)
        .unwrap_or_default()
}

impl<const N: usize> Text<N> {
    /// Takes a text with marks apart; none where a mark is missing.
    pub(super) fn take_apart(marked: &str) -> Option<Self> {
        let variable = |character: char| {
            let place = u32::from(character).checked_sub(MARK).and_then(|place| usize::try_from(place).ok());
            place.filter(|place| *place < N)
        };
        let mut pieces = Vec::new();
        for part in marked.split_inclusive(|character| variable(character).is_some()) {
            let last = part.chars().next_back().and_then(variable);
            let words = part.trim_end_matches(|character| variable(character).is_some());
            pieces.push(Piece::Words(Phrase::of(words)));
            pieces.extend(last.map(Piece::Variable));
        }
        let is_complete = (0..N).all(|place| pieces.contains(&Piece::Variable(place)));
        is_complete.then_some(Self(pieces))
    }

    /// The text for places that have no elements, such as a title; the values are isolated by characters.
    fn isolated(&self, values: [&str; N]) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Words(words) => out.push_str(&words.plain),
                Piece::Variable(place) => {
                    let value = values.get(*place).copied().unwrap_or_default();
                    out.extend(["\u{2068}", value, "\u{2069}"]);
                }
            }
        }
        out
    }
}

impl Text<1> {
    /// The text as HTML: escaped, and the value in an element of its own, so that it is told apart from our words and its
    /// direction stays with it.
    #[must_use]
    pub const fn with<'t>(&'t self, value: &'t str) -> Filled<'t, 1> {
        Filled { text: self, values: [value] }
    }

    /// The text for places that have no elements, such as a title.
    #[must_use]
    pub fn plain(&self, value: &str) -> String {
        self.isolated([value])
    }
}

impl Text<2> {
    /// As with one value.
    #[must_use]
    pub const fn with<'t>(&'t self, first: &'t str, second: &'t str) -> Filled<'t, 2> {
        Filled { text: self, values: [first, second] }
    }
}

/// A message with its values, as HTML.
#[derive(Debug)]
pub struct Filled<'t, const N: usize> {
    text: &'t Text<N>,
    values: [&'t str; N],
}

impl<const N: usize> HtmlSafe for Filled<'_, N> {}

impl<const N: usize> Filled<'_, N> {
    fn write<W: fmt::Write + ?Sized>(&self, out: &mut W) -> fmt::Result {
        for piece in &self.text.0 {
            match piece {
                Piece::Words(words) => out.write_str(&words.html)?,
                Piece::Variable(place) => {
                    out.write_str("<bdi>")?;
                    escape(out, self.values.get(*place).copied().unwrap_or_default())?;
                    out.write_str("</bdi>")?;
                }
            }
        }
        Ok(())
    }
}

impl<const N: usize> fmt::Display for Filled<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl<const N: usize> FastWritable for Filled<'_, N> {
    fn write_into(&self, out: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(self.write(out)?)
    }
}

/// A message whose words depend on a number. It is put together when another number is needed: that is rare.
#[derive(Clone)]
pub struct Counted {
    bundle: Arc<Bundle>,
    id: String,
    variable: &'static str,
    /// The number that was asked for last, which is the configuration's most of the time.
    last: Arc<ArcSwapOption<(u64, Phrase)>>,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counted({})", self.id)
    }
}

impl Counted {
    pub(super) fn new(bundle: Arc<Bundle>, id: String, variable: &'static str) -> Self {
        Self { bundle, id, variable, last: Arc::default() }
    }

    /// The text for that number.
    #[must_use]
    pub fn with(&self, number: u64) -> Phrase {
        if let Some(last) = self.last.load().as_ref()
            && last.0 == number
        {
            return last.1.clone();
        }
        let mut arguments = FluentArgs::new();
        arguments.set(self.variable, number);
        // It was tried at start.
        let text = super::catalogue::format(&self.bundle, &self.id, &arguments).unwrap_or_default();
        let phrase = Phrase::of(&text);
        self.last.store(Some(Arc::new((number, phrase.clone()))));
        phrase
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bcp_ui_09_a_phrase_is_escaped_once() {
        let phrase = Phrase::of("a < \"b\" & c");
        let mut page = String::new();
        phrase.write_into(&mut page, askama::NO_VALUES).unwrap();
        assert_eq!(page, "a &#60; &#34;b&#34; &#38; c");
        assert_eq!((phrase.to_string(), phrase.as_str()), (page, "a < \"b\" & c"));
    }

    #[test]
    fn bcp_ui_09_values_are_escaped_and_told_apart() {
        let text = Text::<2>::take_apart(&format!("a < {} & {}.", mark(1), mark(0))).unwrap();
        assert_eq!(
            text.with("<b>", "\u{202e}x").to_string(),
            "a &#60; <bdi>\u{202e}x</bdi> &#38; <bdi>&#60;b&#62;</bdi>."
        );
        assert_eq!(text.isolated(["<b>", "x"]), "a < \u{2068}x\u{2069} & \u{2068}<b>\u{2069}.");
        assert!(Text::<2>::take_apart(&mark(0)).is_none(), "one is missing");
    }
}
