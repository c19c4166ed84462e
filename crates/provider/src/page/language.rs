//! Which language a page is in: the first that the request asks for (`ui_locales`), else the one that the browser likes
//! best, else the operator's.

use super::texts::{Language, Languages};
use crate::config::Config;
use http::header::ACCEPT_LANGUAGE;
use http::request::Parts;

/// What begins the parameter in a query.
const ASKED: &str = "ui_locales=";
/// Ranges in one header or parameter that are looked at.
const MOST_RANGES: usize = 32;

impl Language {
    /// The language for who sent this request: by `ui_locales` in its query, or by `Accept-Language`.
    #[must_use]
    pub fn of(config: &Config, parts: &Parts) -> Self {
        let accepted = parts.headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let languages = &config.pages.languages;
        let best = accepted.and_then(|accepted| best(languages, accepted)).unwrap_or_default();
        best.or_asked(config, asked(parts.uri.query().unwrap_or_default()).as_deref())
    }

    /// The first language that we have out of `ui_locales` (OpenID Connect Core §3.1.2.1); this one where there is none.
    #[must_use]
    pub fn or_asked(self, config: &Config, ui_locales: Option<&str>) -> Self {
        let ranges = ui_locales.unwrap_or_default().split(' ').take(MOST_RANGES);
        ranges.into_iter().find_map(|range| look_up(&config.pages.languages, range)).unwrap_or(self)
    }
}

/// `ui_locales` of a query, be the rest as faulty as it may.
fn asked(query: &str) -> Option<String> {
    // Most name none.
    if !query.contains(ASKED) {
        return None;
    }
    let value = query.split('&').find_map(|pair| pair.strip_prefix(ASKED))?;
    keybound_oauth::form::decode(value.as_bytes())
}

/// The best language by `Accept-Language` (RFC 9110 §12.5.4): of those with the most weight, the first.
fn best(languages: &Languages, accepted: &str) -> Option<Language> {
    let mut best = None;
    for item in accepted.split(',').take(MOST_RANGES) {
        let (range, parameter) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight(parameter.trim());
        let is_better = best.is_none_or(|(before, _)| weight > before);
        if weight > 0
            && is_better
            && let Some(language) = look_up(languages, range.trim())
        {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

/// The weight in thousandths (RFC 9110 §12.4.2); one where none is written.
fn weight(parameter: &str) -> u16 {
    let Some(value) = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")) else {
        return 1000;
    };
    let (whole, part) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let part = format!("{part:0<3}");
    match (whole, part.parse::<u16>()) {
        ("1", _) => 1000,
        ("0", Ok(thousandths)) if part.len() == 3 => thousandths,
        _ => 0,
    }
}

/// Lookup (RFC 4647 §3.4): a range loses subtags from its end until a language has the tag.
fn look_up(languages: &Languages, range: &str) -> Option<Language> {
    let mut range = range;
    while !range.is_empty() {
        if let Some(language) = languages.find(range) {
            return Some(language);
        }
        let (shorter, _) = range.rsplit_once('-').unwrap_or_default();
        // A single letter or digit begins something, and goes with it.
        range = match shorter.rsplit_once('-') {
            Some((rest, last)) if last.len() == 1 => rest,
            _ => shorter,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn languages() -> (tempfile::TempDir, Languages) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pt-BR.ftl"), include_str!("../../texts/en.ftl")).unwrap();
        let languages = Languages::load(Some(folder.path()), "en").unwrap();
        (folder, languages)
    }

    #[test]
    fn oidc_aut_13_ranges_are_looked_up_by_losing_subtags() {
        let (_folder, languages) = languages();
        for (range, tag) in [
            ("de", Some("de")),
            ("DE-ch", Some("de")),
            ("de-Latn-DE-1996-x-private", Some("de")),
            ("pt-BR", Some("pt-BR")),
            ("pt-br-x-a", Some("pt-BR")),
            ("pt", None),
            ("pt-PT", None),
            ("d", None),
            ("*", None),
            ("", None),
            ("-", None),
            ("de-", Some("de")),
        ] {
            let found = look_up(&languages, range).map(|language| languages.texts(language).tag.as_str());
            assert_eq!(found, tag, "{range}");
        }
    }

    #[test]
    fn the_language_with_the_most_weight_is_the_best() {
        let (_folder, languages) = languages();
        for (accepted, tag) in [
            ("de", Some("de")),
            ("en;q=0.8, de", Some("de")),
            ("en;q=0.8,de;q=0.80", Some("en")),
            ("fr, de-AT;q=0.5, en;q=0.1", Some("de")),
            ("de;q=0, en;q=0.1", Some("en")),
            ("de;q=0.0", None),
            ("de;q=2, en;q=0.001", Some("en")),
            ("de;q=0.1234, en;q=0.002", Some("en")),
            ("*, fr", None),
            (",;,", None),
        ] {
            let found = best(&languages, accepted).map(|language| languages.texts(language).tag.as_str());
            assert_eq!(found, tag, "{accepted}");
        }
    }

    #[test]
    fn ui_locales_is_found_in_a_query() {
        assert_eq!(asked("a=b&ui_locales=fr-CA+de%20en&c").as_deref(), Some("fr-CA de en"));
        assert_eq!(asked("a=%&my_ui_locales=fr"), None);
    }
}
