//! What the pages say, in each language. Catalogues are files in Fluent's syntax; ours are in `texts/`, an operator may
//! have more. All of it is read, checked and taken apart at start.

mod catalogue;
mod text;

pub use text::{Counted, Filled, Phrase, Text};

use crate::config::ConfigError;
use catalogue::Catalogue;
use std::path::Path;

/// Our own catalogues.
const OURS: [(&str, &str); 2] =
    [("en", include_str!("../../../texts/en.ftl")), ("de", include_str!("../../../texts/de.ftl"))];

/// The messages: one list, which is the type, the reader, and what catalogues are held against. A message is named as
/// its field, with hyphens.
macro_rules! messages {
    (
        words { $($word:ident),* $(,)? }
        filled { $($filled:ident($($variable:ident),+)),* $(,)? }
        counted { $($counted:ident($number:ident)),* $(,)? }
    ) => {
        /// What the pages say, in one language.
        #[derive(Clone, Debug)]
        pub struct Texts {
            /// The language's tag (RFC 5646).
            pub tag: String,
            /// `ltr` or `rtl`.
            pub direction: String,
            $(#[doc = concat!("`", stringify!($word), "`")] pub $word: Phrase,)*
            $(#[doc = concat!("`", stringify!($filled), "`")] pub $filled: Text<{ [$(stringify!($variable)),+].len() }>,)*
            $(#[doc = concat!("`", stringify!($counted), "`")] pub $counted: Counted,)*
        }

        /// The fields.
        const FIELDS: &[&str] =
            &["direction", $(stringify!($word),)* $(stringify!($filled),)* $(stringify!($counted),)*];

        impl Texts {
            fn read(tag: &str, catalogue: &Catalogue) -> Result<Self, String> {
                Ok(Self {
                    tag: tag.to_owned(),
                    direction: catalogue.words("direction")?,
                    $($word: catalogue.words(&id(stringify!($word))).map(|words| Phrase::of(&words))?,)*
                    $($filled: catalogue.text(&id(stringify!($filled)), [$(stringify!($variable)),+])?,)*
                    $($counted: catalogue.counted(&id(stringify!($counted)), [stringify!($number)])?,)*
                })
            }
        }
    };
}

messages! {
    words {
        allow, deny, go_on, not_you, switch_account, application,
        imprint, privacy, help, new_window,
        front_title, front_lead, front_issuer,
        account_title,
        sign_in_title, sign_in_username, sign_in_password, sign_in_submit, sign_in_wrong,
        consent_title, consent_destination,
        about_registered_itself, about_policy, about_terms,
        asked_all, asked_heading,
        scope_openid, scope_profile, scope_email, scope_address, scope_phone, scope_offline_access,
        details_heading, details_hint, detail_actions, detail_datatypes, detail_locations, detail_privileges,
        value_none, value_yes, value_no,
        device_title, device_type_code, device_same_code, device_code, device_code_hint, device_code_not_good,
        device_consent_title, device_compare, device_warning,
        device_connected_title, device_connected_text, device_refused_title, device_refused_text,
        logout_title, logout_stay, logout_submit, signed_out_title, signed_out_text,
        return_title,
        error_title, error_lead, nothing_here_title, nothing_here_text, unavailable_title, unavailable_text,
    }
    filled {
        title_with_error(title),
        sign_in_lead(client),
        consent_heading(client),
        account_continue(username),
        consent_account(username),
        about_known_by_address(host),
        asked_at(resource),
        asked_scope(scope),
        device_consent_lead(client, username),
        logout_client(client),
        return_lead(client),
        return_submit(client),
        post_back_title(client),
        post_back_lead(destination),
    }
    counted { too_many_attempts(secs), consent_remember(days) }
}

fn id(field: &str) -> String {
    field.replace('_', "-")
}

/// Something in each language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Each<T> {
    /// In the one that is spoken where nobody asked for another.
    first: T,
    others: Vec<T>,
}

impl<T> Each<T> {
    /// The same in all of them.
    pub(crate) const fn everywhere(first: T) -> Self {
        Self { first, others: Vec::new() }
    }

    /// That in this language.
    #[must_use]
    pub fn of(&self, Language(place): Language) -> &T {
        place.checked_sub(1).and_then(|place| self.others.get(place)).unwrap_or(&self.first)
    }
}

/// All languages there are.
#[derive(Clone, Debug)]
pub struct Languages(Each<Texts>);

/// A language that the pages speak; by default, the one that is spoken where nobody asked for another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Language(usize);

impl Languages {
    /// Ours, and those that an operator has in a folder: whole catalogues, or messages in the place of ours.
    ///
    /// # Errors
    /// [`ConfigError`] that names the file; the text alone where it is the language that is wrong.
    pub fn load(folder: Option<&Path>, first: &str) -> Result<Self, LoadError> {
        let written = folder.map(read_folder).transpose()?.unwrap_or_default();
        let known: Vec<String> = FIELDS.iter().map(|field| id(field)).collect();
        let mut all = Vec::new();
        for (tag, text) in OURS {
            let replaced = written.iter().find(|file| file.tag.eq_ignore_ascii_case(tag));
            all.push(texts(tag, &[Some(text), replaced.map(|file| file.text.as_str())], &known, replaced)?);
        }
        for file in &written {
            if !OURS.iter().any(|(tag, _)| file.tag.eq_ignore_ascii_case(tag)) {
                all.push(texts(&file.tag, &[Some(&file.text), None], &known, Some(file))?);
            }
        }
        let Some(place) = all.iter().position(|texts| texts.tag.eq_ignore_ascii_case(first)) else {
            let tags: Vec<String> = all.into_iter().map(|texts| texts.tag).collect();
            return Err(LoadError::Language(format!("must be one of {}", tags.join(", "))));
        };
        Ok(Self(Each { first: all.remove(place), others: all }))
    }

    /// The texts in that language.
    #[must_use]
    pub fn texts(&self, language: Language) -> &Texts {
        self.0.of(language)
    }

    /// Makes something in each of them.
    ///
    /// # Errors
    /// The first that `make` gives.
    pub fn each<T, E>(&self, make: impl Fn(Language) -> Result<T, E>) -> Result<Each<T>, E> {
        let others = (1..=self.0.others.len()).map(|place| make(Language(place)));
        Ok(Each { first: make(Language::default())?, others: others.collect::<Result<_, _>>()? })
    }

    /// The tags, with the language first that is spoken where nobody asked for another.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.0.first).chain(&self.0.others).map(|texts| texts.tag.as_str())
    }

    /// The language of that tag.
    pub(crate) fn find(&self, tag: &str) -> Option<Language> {
        self.tags().position(|known| known.eq_ignore_ascii_case(tag)).map(Language)
    }
}

/// Why the languages cannot be had.
#[derive(Debug)]
pub enum LoadError {
    /// The one that was named is not among them: what it may be.
    Language(String),
    /// A file or the folder.
    File(ConfigError),
}

/// A catalogue of the operator's.
struct Written {
    tag: String,
    text: String,
    place: String,
}

fn read_folder(folder: &Path) -> Result<Vec<Written>, LoadError> {
    let unreadable = |place: &Path, error: std::io::Error| {
        let place = place.display().to_string();
        LoadError::File(ConfigError { place, what: format!("cannot be read: {error}") })
    };
    let mut written = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let (Some("ftl"), Some(tag)) = (
            path.extension().and_then(|name| name.to_str()),
            path.file_stem().and_then(|name| name.to_str()),
        ) else {
            continue;
        };
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        written.push(Written { tag: tag.to_owned(), text, place: path.display().to_string() });
    }
    written.sort_by(|a, b| a.tag.cmp(&b.tag));
    Ok(written)
}

fn texts(
    tag: &str,
    sources: &[Option<&str>],
    known: &[String],
    file: Option<&Written>,
) -> Result<Texts, LoadError> {
    let sources: Vec<&str> = sources.iter().copied().flatten().collect();
    let read = Catalogue::parse(tag, &sources, known).and_then(|catalogue| Texts::read(tag, &catalogue));
    read.and_then(checked).map_err(|what| {
        let place = file.map_or_else(|| format!("{tag}.ftl"), |file| file.place.clone());
        LoadError::File(ConfigError { place, what })
    })
}

fn checked(texts: Texts) -> Result<Texts, String> {
    match texts.direction.as_str() {
        "ltr" | "rtl" => Ok(texts),
        _ => Err("`direction` must be ltr or rtl".to_owned()),
    }
}

#[cfg(test)]
mod tests;
