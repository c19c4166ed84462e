//! What is published of the API besides what follows from the rest of the configuration (RFC 9728).

use super::{ConfigError, value};
use keybound_oauth::resource_metadata::{ForPeople, Told};
use serde::Deserialize;
use std::collections::BTreeMap;
use url::Url;

/// `[metadata]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataFile {
    /// Whether anything is published.
    #[serde(default = "yes")]
    pub publish: bool,
    /// What the API is called.
    pub name: Option<WordingFile>,
    /// The URL of a page for those who write clients of it.
    pub documentation: Option<WordingFile>,
    /// The URL of a page that says what clients may do with the data.
    pub policy: Option<WordingFile>,
    /// The URL of its terms of service.
    pub tos: Option<WordingFile>,
}

/// `"Orders"`, or `{ en = "Orders", de = "Bestellungen" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum WordingFile {
    /// For readers of any language.
    One(String),
    /// By the tag of the language.
    Each(BTreeMap<String, String>),
}

impl Default for MetadataFile {
    fn default() -> Self {
        Self { publish: yes(), name: None, documentation: None, policy: None, tos: None }
    }
}

/// What people read of the API; none where nothing is published.
pub(super) fn read(file: &MetadataFile) -> Result<Option<ForPeople>, ConfigError> {
    let mut read = ForPeople::default();
    for (key, told, wording) in [
        ("metadata.name", Told::Name, &file.name),
        ("metadata.documentation", Told::Documentation, &file.documentation),
        ("metadata.policy", Told::Policy, &file.policy),
        ("metadata.tos", Told::Terms, &file.tos),
    ] {
        for (language, text) in wording.as_ref().map(by_language).unwrap_or_default() {
            check(told, language, text).map_err(|reason| value(key, reason))?;
            read.tell(told, language, text);
        }
    }
    Ok(file.publish.then_some(read))
}

/// One of several stands for readers of any other language as well (RFC 9728 §2.1): English where there is some.
fn by_language(wording: &WordingFile) -> Vec<(Option<&str>, &str)> {
    match wording {
        WordingFile::One(text) => vec![(None, text)],
        WordingFile::Each(texts) => {
            let any = texts.get("en").or_else(|| texts.values().next()).map(|text| (None, text.as_str()));
            any.into_iter()
                .chain(texts.iter().map(|(tag, text)| (Some(tag.as_str()), text.as_str())))
                .collect()
        }
    }
}

fn check(told: Told, language: Option<&str>, text: &str) -> Result<(), &'static str> {
    let is_tag = |tag: &str| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if language.is_some_and(|tag| !is_tag(tag)) {
        return Err("a language is written as a tag such as de or pt-BR");
    }
    match told {
        Told::Name if text.trim().is_empty() || text.chars().any(char::is_control) => {
            Err("must be words that people read, without control characters")
        }
        Told::Name => Ok(()),
        _ if Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http")) => Ok(()),
        _ => Err("must be the URL of a page"),
    }
}

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(toml: &str) -> Result<Option<ForPeople>, String> {
        let file: MetadataFile = toml::from_str(toml).map_err(|error| error.to_string())?;
        read(&file).map_err(|error| error.to_string())
    }

    #[test]
    fn words_are_for_all_or_by_language() {
        let all = told("name = 'Orders'\ntos = 'https://api.example/tos'").expect("read").expect("published");
        assert_eq!(all.told(Told::Name, None), Some("Orders"));
        assert_eq!(all.told(Told::Terms, None), Some("https://api.example/tos"));
        let each = told("name = { de = 'Bestellungen', en = 'Orders' }").expect("read").expect("published");
        assert_eq!(
            [None, Some("de")].map(|tag| each.told(Told::Name, tag)),
            [Some("Orders"), Some("Bestellungen")]
        );
        let german = told("name = { de = 'Bestellungen' }").expect("read").expect("published");
        assert_eq!(german.told(Told::Name, None), Some("Bestellungen"));
        assert_eq!(told("publish = false\nname = 'Orders'"), Ok(None));
        assert_eq!(told(""), Ok(Some(ForPeople::default())));
    }

    #[test]
    fn what_nobody_could_read_is_refused() {
        for bad in [
            "name = ' '",
            "name = \"a\\u0007\"",
            "name = { 'd e' = 'x' }",
            "name = { '' = 'x' }",
            "documentation = 'docs'",
            "policy = 'javascript:alert(1)'",
            "nmae = 'x'",
        ] {
            assert!(told(bad).is_err(), "{bad}");
        }
    }
}
