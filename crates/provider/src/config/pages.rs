//! `[pages]`: what people see.

use super::colour::{Colour, DARK, LIGHT, Scheme};
use super::{ConfigError, Source, Wording, Words};
use crate::page::texts::{Languages, LoadError};
use bytes::Bytes;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::sha256;
use keybound_oauth::identifier::Issuer;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

const STYLE: &str = include_str!("../../templates/keybound.css");

/// Bytes of a logo at the most: it is on every page.
const MAX_LOGO: usize = 256 * 1024;

/// `[pages]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagesFile {
    /// The language where neither the request nor the browser asks for one that there is. Default: `en`.
    pub language: Option<String>,
    /// A folder with catalogues: `TAG.ftl` adds a language or replaces messages of ours. Default: none.
    pub texts: Option<PathBuf>,
    /// Who the pages are of. Default: the issuer's host.
    pub name: Option<Wording>,
    /// A file with a picture: PNG, JPEG, WebP or SVG. Default: a mark of ours.
    pub logo: Option<PathBuf>,
    /// The same for dark pages. Default: that for light ones.
    pub logo_dark: Option<PathBuf>,
    /// The colour of buttons and links on light pages, as `#2450c8`.
    pub accent: Option<String>,
    /// The same on dark pages. Default: `accent`, as much lighter as it takes to be read.
    pub accent_dark: Option<String>,
    /// Where it is said who is responsible: an https URL.
    pub imprint: Option<String>,
    /// Where it is said what becomes of what people enter.
    pub privacy: Option<String>,
    /// Where there is help.
    pub help: Option<String>,
}

/// What all pages have in common.
#[derive(Clone, Debug)]
pub struct Pages {
    /// What they say, in each language.
    pub languages: Arc<Languages>,
    /// The host, so that people know where they are.
    pub host: String,
    /// Who they are of.
    pub name: Option<Words>,
    /// The style sheet.
    pub style: Asset,
    /// The picture on light pages.
    pub logo: Option<Asset>,
    /// The picture on dark pages, where it is another.
    pub logo_dark: Option<Asset>,
    /// Where it is said who is responsible.
    pub imprint: Option<Url>,
    /// Where it is said what becomes of what people enter.
    pub privacy: Option<Url>,
    /// Where there is help.
    pub help: Option<Url>,
}

/// A file that pages load. Its name has its hash in it, so that it can be kept for ever.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its path.
    pub path: String,
    /// What it is.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Bytes,
}

impl Asset {
    fn new(issuer: &Issuer, (kind, media_type): (&str, &'static str), bytes: Bytes) -> Self {
        let hash: String = base64url::encode(&sha256(&bytes)).chars().take(12).collect();
        Self { path: format!("{}/assets/keybound-{hash}.{kind}", issuer.path()), media_type, bytes }
    }
}

impl Pages {
    /// The file of that name, where pages load one.
    #[must_use]
    pub fn asset(&self, name: &str) -> Option<&Asset> {
        let all = [Some(&self.style), self.logo.as_ref(), self.logo_dark.as_ref()];
        all.into_iter()
            .flatten()
            .find(|asset| asset.path.rsplit_once('/').is_some_and(|(_, known)| known == name))
    }
}

impl PagesFile {
    /// The paths of files and folders.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [self.texts.as_mut(), self.logo.as_mut(), self.logo_dark.as_mut()].into_iter().flatten()
    }

    pub(super) fn check(&self, issuer: &Issuer, source: &Source) -> Result<Pages, ConfigError> {
        let first = self.language.as_deref().unwrap_or("en");
        let languages = Languages::load(self.texts.as_deref(), first).map_err(|error| match error {
            LoadError::Language(what) => source.error("pages.language", what),
            LoadError::File(error) => error,
        })?;
        let name = self.name.as_ref().map(|name| name.check(&languages)).transpose();
        let style = Bytes::from(self.style(source)?);
        let picture = |key: &str, path: &Option<PathBuf>| {
            let asset = path.as_deref().map(|path| picture(issuer, path)).transpose();
            asset.map_err(|what| source.error(&format!("pages.{key}"), what))
        };
        let link = |key: &str, text: &Option<String>| {
            let url = text.as_deref().map(link).transpose();
            url.map_err(|what| source.error(&format!("pages.{key}"), what))
        };
        Ok(Pages {
            languages: Arc::new(languages),
            host: issuer.url().host_str().unwrap_or_default().to_owned(),
            name: name.map_err(|what| source.error("pages.name", what))?,
            style: Asset::new(issuer, ("css", "text/css; charset=utf-8"), style),
            logo: picture("logo", &self.logo)?,
            logo_dark: picture("logo_dark", &self.logo_dark)?,
            imprint: link("imprint", &self.imprint)?,
            privacy: link("privacy", &self.privacy)?,
            help: link("help", &self.help)?,
        })
    }

    /// Our style sheet, with the operator's colours at its end.
    fn style(&self, source: &Source) -> Result<String, ConfigError> {
        let accent = colour(self.accent.as_deref(), "pages.accent", &LIGHT, source)?;
        let dark = colour(self.accent_dark.as_deref(), "pages.accent_dark", &DARK, source)?;
        let dark = dark.or_else(|| accent.map(|accent| accent.lightened_for(&DARK)));
        let mut style = STYLE.to_owned();
        if let Some(accent) = accent {
            style += &format!("\n:root {{ {} }}\n", accent.variables());
        }
        if let Some(dark) = dark {
            style +=
                &format!("\n@media (prefers-color-scheme: dark) {{ :root {{ {} }} }}\n", dark.variables());
        }
        Ok(style)
    }
}

fn colour(
    written: Option<&str>,
    key: &str,
    scheme: &Scheme,
    source: &Source,
) -> Result<Option<Colour>, ConfigError> {
    let Some(written) = written else { return Ok(None) };
    let colour = Colour::parse(written)
        .ok_or_else(|| source.error(key, "must be a colour in six hexadecimal digits, such as #2450c8"))?;
    colour.check(scheme).map_err(|what| source.error(key, what))?;
    Ok(Some(colour))
}

fn picture(issuer: &Issuer, path: &Path) -> Result<Asset, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if bytes.len() > MAX_LOGO {
        return Err(format!("{} must have at most {MAX_LOGO} octets: it is on every page", path.display()));
    }
    let kind = kind_of(&bytes)
        .ok_or_else(|| format!("{} must be a picture: PNG, JPEG, WebP or SVG", path.display()))?;
    Ok(Asset::new(issuer, kind, Bytes::from(bytes)))
}

/// What a picture is, by what is in it: the ending of its name and its type.
fn kind_of(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    let is_svg = || {
        std::str::from_utf8(bytes).is_ok_and(|text| {
            text.trim_start_matches('\u{feff}').trim_start().starts_with('<') && text.contains("<svg")
        })
    };
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(("png", "image/png")),
        [0xff, 0xd8, 0xff, ..] => Some(("jpg", "image/jpeg")),
        _ if is_webp => Some(("webp", "image/webp")),
        _ if is_svg() => Some(("svg", "image/svg+xml")),
        _ => None,
    }
}

fn link(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.username().is_empty());
    url.ok_or_else(|| "must be an https URL".to_owned())
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigError, ConfigFile};

    const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>";

    fn load(pages: &str, files: &[(&str, &[u8])]) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let path = folder.path().join("k.toml");
        std::fs::write(&path, format!("issuer = \"https://as.example/x\"\n[pages]\n{pages}\n")).unwrap();
        ConfigFile::load(&path)?.check()
    }

    #[test]
    fn a_picture_is_what_is_in_it() {
        for (bytes, kind) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], "png"),
            (b"\xff\xd8\xff\xe0", "jpg"),
            (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "webp"),
            (SVG.as_bytes(), "svg"),
            (b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<svg></svg>", "svg"),
        ] {
            let pages = load("logo = \"logo.svg\"", &[("logo.svg", bytes)]).unwrap().pages;
            let path = pages.logo.unwrap().path;
            assert!(path.starts_with("/x/assets/keybound-") && path.ends_with(kind), "{path}");
        }
        for (bytes, told) in
            [(&b"<html>"[..], "must be a picture"), (b"", "must be"), (&[b'<'; 300_000], "at most")]
        {
            let error = load("logo = \"logo.svg\"", &[("logo.svg", bytes)]).unwrap_err();
            assert!(error.place.ends_with("`pages.logo`") && error.what.contains(told), "{error}");
        }
        assert!(load("logo_dark = \"none.png\"", &[]).unwrap_err().what.contains("cannot be read"));
    }

    #[test]
    fn colours_are_checked_and_stand_at_the_end_of_the_style_sheet() {
        let style = |pages: &str| {
            load(pages, &[]).map(|config| String::from_utf8(config.pages.style.bytes.to_vec()).unwrap())
        };
        let plain = style("").unwrap();
        let coloured = style("accent = \"#7a0019\"").unwrap();
        let added = coloured.strip_prefix(&plain).unwrap();
        assert!(
            added.starts_with("\n:root { --accent: #7a0019;")
                && added.contains("dark) { :root { --accent: #")
        );
        let dark = style("accent_dark = \"#ffcc00\"").unwrap();
        assert!(!dark.strip_prefix(&plain).unwrap().starts_with("\n:root"));
        for (bad, told) in [
            ("accent = \"#ffcc00\"", "a contrast of 1.51 to #ffffff"),
            ("accent_dark = \"#7a0019\"", "to #191f2a"),
            ("accent = \"red\"", "six hexadecimal digits"),
        ] {
            let error = style(bad).unwrap_err();
            assert!(error.place.contains("line 3") && error.what.contains(told), "{error}");
        }
    }

    #[test]
    fn links_go_to_https_alone() {
        assert!(load("imprint = \"https://a.example/i\"\nhelp = \"https://a.example\"", &[]).is_ok());
        for bad in ["http://a.example", "javascript:alert(1)", "/imprint", "https://u@a.example", ""] {
            assert!(load(&format!("privacy = \"{bad}\""), &[]).is_err(), "{bad}");
        }
    }
}
