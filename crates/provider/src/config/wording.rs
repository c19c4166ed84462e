//! Words of the operator's that people read: one text for all languages, or one for each.

use crate::page::texts::{Each, Languages, Phrase};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What was written: `"Photos"`, or `{ en = "Photos", de = "Fotos" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Wording {
    /// The same in all languages.
    One(String),
    /// By the tag of the language.
    Each(BTreeMap<String, String>),
}

/// The words in each language that the pages speak.
pub type Words = Each<Phrase>;

impl Wording {
    /// The words in all languages. One that is left out has those of the first language.
    pub(super) fn check(&self, languages: &Languages) -> Result<Words, String> {
        let by_tag = match self {
            Self::One(text) => return checked(text).map(Each::everywhere),
            Self::Each(by_tag) => by_tag,
        };
        if let Some(tag) = by_tag.keys().find(|tag| languages.find(tag).is_none()) {
            let known: Vec<&str> = languages.tags().collect();
            return Err(format!("no page is in the language `{tag}`: write {}", known.join(", ")));
        }
        let of = |tag: &str| by_tag.iter().find(|(known, _)| known.eq_ignore_ascii_case(tag));
        let first = languages.tags().next().and_then(of).or_else(|| by_tag.iter().next());
        let (_, first) = first.ok_or_else(|| "must have the words in one language at least".to_owned())?;
        let words = |language| of(&languages.texts(language).tag).map_or(first, |(_, text)| text);
        languages.each(|language| checked(words(language)))
    }
}

fn checked(text: &str) -> Result<Phrase, String> {
    let text = text.trim();
    match text.is_empty() || text.chars().any(char::is_control) {
        true => Err("must be words that people read, without control characters".to_owned()),
        false => Ok(Phrase::of(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<[String; 2], String> {
        #[derive(Deserialize)]
        struct File {
            name: Wording,
        }
        let languages = Languages::load(None, "de").unwrap();
        let file: File = toml::from_str(text).unwrap();
        let words = file.name.check(&languages)?;
        Ok(["en", "de"].map(|tag| words.of(languages.find(tag).unwrap()).as_str().to_owned()))
    }

    #[test]
    fn words_are_there_in_every_language() {
        let both = |en: &str, de: &str| Ok([en.to_owned(), de.to_owned()]);
        assert_eq!(check("name = ' Photos '"), both("Photos", "Photos"));
        assert_eq!(check("name = { en = 'Photos', DE = 'Fotos' }"), both("Photos", "Fotos"));
        assert_eq!(check("name = { de = 'Fotos' }"), both("Fotos", "Fotos"));
        assert_eq!(check("name = { en = 'Photos' }"), both("Photos", "Photos"));
        for bad in ["name = ' '", "name = \"a\\u0007\"", "name = {}", "name = { fr = 'Photos' }"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
