//! What is the same on every page in a language: the document around a page's own parts, and the headers. It is made
//! once, at start.

use super::headers;
use super::texts::{Each, Language, Texts};
use crate::config::Pages;
use askama::Template;
use http::HeaderMap;
use keybound_oauth::identifier::Issuer;

/// Where a part of the page's own goes, while the document is made. No name, link or message can have it.
pub(super) const GAP: char = '\0';

/// A document without title and main part, and the headers that it is sent with.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// What comes before the title.
    pub top: String,
    /// What comes between title and main part.
    pub middle: String,
    /// What comes after the main part.
    pub foot: String,
    /// What every page is sent with; each puts its own in the place of the policy there, which allows nothing, and of the
    /// length.
    pub(super) headers: HeaderMap,
}

/// The document.
#[derive(Template)]
#[template(path = "sheet.html")]
struct Base<'a> {
    text: &'a Texts,
    pages: &'a Pages,
    name: Option<&'a str>,
    links: Vec<(&'a str, &'a str)>,
    gap: char,
}

impl Sheet {
    /// Those of an issuer's pages in each language.
    ///
    /// # Errors
    /// What keeps one from being made, for the operator.
    pub fn all(pages: &Pages, issuer: &Issuer) -> Result<Each<Self>, String> {
        pages.languages.each(|language| Self::of(pages, language, issuer))
    }

    fn of(pages: &Pages, language: Language, issuer: &Issuer) -> Result<Self, String> {
        let text = pages.languages.texts(language);
        let all =
            [(&pages.imprint, &text.imprint), (&pages.privacy, &text.privacy), (&pages.help, &text.help)];
        let links = all.into_iter().filter_map(|(url, words)| Some((url.as_ref()?.as_str(), words.as_str())));
        let name = pages.name.as_ref().map(|name| name.of(language).as_str());
        let base = Base { text, pages, name, links: links.collect(), gap: GAP };
        let document = base.render().map_err(|error| error.to_string())?;
        let mut pieces = document.split(GAP).map(str::to_owned);
        match (pieces.next(), pieces.next(), pieces.next(), pieces.next()) {
            (Some(top), Some(middle), Some(foot), None) => Ok(Self {
                top,
                middle,
                foot,
                headers: headers::of_pages(&text.tag, issuer.url().scheme() == "https"),
            }),
            _ => Err("the document around the pages is not in three pieces".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    fn sheet(pages: &str, tag: &str) -> Sheet {
        let text = format!("issuer = \"https://as.example/x\"\n[pages]\n{pages}\n");
        let config = ConfigFile::parse(&text, "k.toml").unwrap().check().unwrap();
        config.sheets.of(config.pages.languages.find(tag).unwrap()).clone()
    }

    #[test]
    fn bcp_ui_09_a_document_has_three_pieces_in_each_language_and_names_are_escaped() {
        let pages = "name = { en = \"A & <b>\", de = \"Ä\" }\nhelp = \"https://a.example/?a&b\"";
        let (english, german) = (sheet(pages, "en"), sheet(pages, "de"));
        assert!(english.top.starts_with("<!doctype html>\n<html lang=\"en\">"));
        assert!(english.top.ends_with("<title>") && english.foot.trim_end().ends_with("</html>"));
        assert!(english.middle.starts_with(" · A &#38; &#60;b&#62;</title>"), "{}", english.middle);
        assert!(english.foot.contains("<a href=\"https://a.example/?a&#38;b\""), "{}", english.foot);
        assert!(german.middle.contains("<span class=\"name\">Ä</span> <span class=\"host\">as.example"));
        assert_eq!(
            (&english.headers["content-language"], &german.headers["content-language"]),
            (&"en".parse().unwrap(), &"de".parse().unwrap())
        );
    }
}
