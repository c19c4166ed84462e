//! `[pages]`: what people see.

use super::{ConfigError, Source};
use crate::page::texts::{Languages, LoadError};
use keybound_oauth::identifier::Issuer;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;

/// `[pages]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagesFile {
    /// The language where neither the request nor the browser asks for one that there is. Default: `en`.
    pub language: Option<String>,
    /// A folder with catalogues: `TAG.ftl` adds a language or replaces messages of ours. Default: none.
    pub texts: Option<PathBuf>,
}

/// What all pages have in common.
#[derive(Clone, Debug)]
pub struct Pages {
    /// What they say, in each language.
    pub languages: Arc<Languages>,
    /// The host, so that people know where they are.
    pub host: String,
    /// The path of the style sheet.
    pub stylesheet: String,
}

impl PagesFile {
    pub(super) fn check(&self, issuer: &Issuer, source: &Source) -> Result<Pages, ConfigError> {
        let first = self.language.as_deref().unwrap_or("en");
        let languages = Languages::load(self.texts.as_deref(), first).map_err(|error| match error {
            LoadError::Language(what) => source.error("pages.language", what),
            LoadError::File(error) => error,
        })?;
        Ok(Pages {
            languages: Arc::new(languages),
            host: issuer.url().host_str().unwrap_or_default().to_owned(),
            stylesheet: crate::page::stylesheet(issuer),
        })
    }
}
