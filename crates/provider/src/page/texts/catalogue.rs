//! One language: its messages in Fluent's syntax, read and checked at start.

use super::text::{Counted, Text, mark};
use crate::page::sheet::GAP;
use fluent_bundle::{FluentArgs, FluentResource, concurrent};
use std::sync::Arc;

/// Fluent's messages of one language.
pub(super) type Bundle = concurrent::FluentBundle<FluentResource>;

/// The messages of one language, not yet taken apart.
pub(super) struct Catalogue {
    bundle: Arc<Bundle>,
}

impl Catalogue {
    /// Reads the texts; each replaces messages of those before it.
    pub(super) fn parse(tag: &str, sources: &[&str], known: &[String]) -> Result<Self, String> {
        let language = tag.parse().map_err(|_| format!("`{tag}` is not a language tag, such as `pt-BR`"))?;
        let mut bundle = Bundle::new_concurrent(vec![language]);
        // The pages isolate by elements.
        bundle.set_use_isolating(false);
        for source in sources {
            for (line, id) in ids(source) {
                if !known.iter().any(|known| known == id) {
                    return Err(format!("line {line}: no page has a message `{id}`"));
                }
            }
            bundle.add_resource_overriding(read(source)?);
        }
        let missing: Vec<&str> =
            known.iter().map(String::as_str).filter(|id| !bundle.has_message(id)).collect();
        match missing.is_empty() {
            true => Ok(Self { bundle: Arc::new(bundle) }),
            false => Err(format!("these messages are missing: {}", missing.join(", "))),
        }
    }

    /// A message without variables.
    pub(super) fn words(&self, id: &str) -> Result<String, String> {
        format(&self.bundle, id, &FluentArgs::new())
    }

    /// A message with these variables, all of them.
    pub(super) fn text<const N: usize>(&self, id: &str, variables: [&str; N]) -> Result<Text<N>, String> {
        let mut arguments = FluentArgs::new();
        for (place, variable) in variables.iter().enumerate() {
            arguments.set(*variable, mark(place));
        }
        let marked = format(&self.bundle, id, &arguments)?;
        let missing = || format!("`{id}` must have the variables ${}", variables.join(" and $"));
        Text::take_apart(&marked).ok_or_else(missing)
    }

    /// A message with a number in it.
    pub(super) fn counted(&self, id: &str, [variable]: [&'static str; 1]) -> Result<Counted, String> {
        for number in [1, 2, 30] {
            let mut arguments = FluentArgs::new();
            arguments.set(variable, number);
            format(&self.bundle, id, &arguments)?;
        }
        Ok(Counted::new(Arc::clone(&self.bundle), id.to_owned(), variable))
    }
}

fn read(source: &str) -> Result<FluentResource, String> {
    FluentResource::try_new(source.to_owned()).map_err(|(_, errors)| match errors.first() {
        Some(error) => format!("line {}: {error}", line_at(source, error.pos.start)),
        None => "cannot be read".to_owned(),
    })
}

/// The identifiers of the messages, each with its line: what stands at the beginning of a line and is neither a comment
/// nor a term.
fn ids(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines =
        source.lines().enumerate().filter(|(_, line)| line.starts_with(|c: char| c.is_ascii_alphabetic()));
    lines.filter_map(|(number, line)| line.split_once('=').map(|(id, _)| (number + 1, id.trim())))
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|octet| *octet == b'\n').count()
}

/// The message with these values.
pub(super) fn format(bundle: &Bundle, id: &str, arguments: &FluentArgs<'_>) -> Result<String, String> {
    let message = bundle.get_message(id).and_then(|message| message.value());
    let pattern = message.ok_or_else(|| format!("`{id}` has no text"))?;
    let mut errors = Vec::new();
    let text = bundle.format_pattern(pattern, Some(arguments), &mut errors).into_owned();
    match errors.first() {
        Some(error) => Err(format!("`{id}`: {error}")),
        None if text.trim().is_empty() => Err(format!("`{id}` has no text")),
        None if text.contains(GAP) => Err(format!("`{id}` must not have the character U+0000")),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn parse(text: &str) -> Result<Catalogue, String> {
        Catalogue::parse("en", &["a = A { $x }\nb = B\n", text], &known(&["a", "b"]))
    }

    #[test]
    fn later_texts_replace_messages_and_terms_are_known() {
        let catalogue = parse("-brand = Acme\nb = { -brand } and { a-mark }\n").err();
        assert_eq!(catalogue, None, "terms and references are looked at when a message is used");
        let catalogue = parse("-brand = Acme\nb = Of { -brand }\n").unwrap();
        assert_eq!(catalogue.words("b").as_deref(), Ok("Of Acme"));
        assert_eq!(catalogue.text("a", ["x"]).unwrap().with("1").to_string(), "A <bdi>1</bdi>");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (bad, told) in [
            ("b = B\nc = C\n", "line 2: no page has a message `c`"),
            ("# x\nb = { \n", "line 3: "),
            ("b =\n", "line 1: "),
        ] {
            let error = parse(bad).err().expect(bad);
            assert!(error.starts_with(told), "{bad}: {error}");
        }
        assert!(
            Catalogue::parse("en", &["a = A\n"], &known(&["a", "b", "c"]))
                .err()
                .unwrap()
                .ends_with("missing: b, c")
        );
        assert!(Catalogue::parse("not a tag", &["a = A\n"], &known(&["a"])).is_err());
        let told = |text: &str| parse(text).unwrap().text("a", ["x"]).err().unwrap();
        assert_eq!(told("a = A\n"), "`a` must have the variables $x");
        assert!(told("a = A { $x } { $y }\n").contains('y'));
        assert!(parse("b = { -none }\n").unwrap().words("b").is_err());
        let cut = parse("b = B\0\n").unwrap().words("b").err();
        assert_eq!(cut.as_deref(), Some("`b` must not have the character U+0000"));
    }
}
