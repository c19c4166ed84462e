//! Profiles: the servers that a user works with, by name. One file in TOML, which people may write by hand; there is no
//! secret in it, only where secrets are.

use crate::command::KeyAlgorithm;
use crate::error::CommandError;
use crate::places;
use clap::ValueEnum;
use keybound_oauth::identifier::{ClientId, Issuer, ResourceId};
use keybound_oauth::scope::Scope;
use keybound_provider::config::with_hint;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Table};

/// The profile where none is named.
pub(crate) const DEFAULT: &str = "default";

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profiles {
    /// The profile where none is named.
    #[serde(default)]
    pub(crate) default: Option<String>,
    /// All of them, by name.
    #[serde(default, rename = "profile")]
    pub(crate) by_name: BTreeMap<String, Profile>,
}

/// `[profile.NAME]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// The authorization server, by its exact name.
    pub(crate) issuer: Option<Issuer>,
    /// The client identifier that it gave this client.
    pub(crate) client_id: Option<ClientId>,
    /// What a login asks for.
    #[serde(default, deserialize_with = "read_scope", serialize_with = "write_scope")]
    pub(crate) scope: Option<Scope>,
    /// The resources that the tokens are for.
    #[serde(default)]
    pub(crate) resources: Vec<ResourceId>,
    /// Other origins that the tokens may be sent to.
    #[serde(default)]
    pub(crate) origins: Vec<String>,
    /// How a user signs in.
    #[serde(default, deserialize_with = "read_choice", serialize_with = "write_choice")]
    pub(crate) sign_in: Option<SignIn>,
    /// The path of the redirect URI.
    pub(crate) redirect_path: Option<String>,
    /// The port of the redirect URI.
    pub(crate) redirect_port: Option<u16>,
    /// Whether everything is held to FAPI 2.0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) fapi2: bool,
    /// How the client authenticates.
    #[serde(default, deserialize_with = "read_choice", serialize_with = "write_choice")]
    pub(crate) auth_method: Option<AuthMethod>,
    /// The environment variable that holds the client's secret.
    pub(crate) secret_env: Option<String>,
    /// The file that holds the client's secret.
    pub(crate) secret_file: Option<String>,
    /// Whether to ask for the secret at the terminal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) secret_prompt: bool,
    /// The key for `private_key_jwt`: a name, or a file.
    pub(crate) auth_key: Option<String>,
    /// The certificate that the client shows, with its key, in PEM.
    pub(crate) client_certificate: Option<PathBuf>,
    /// The registration that holds the client's secret: `keybound register`.
    pub(crate) registration: Option<String>,
    /// The key to bind tokens to, where logins shall not make one of their own.
    pub(crate) key: Option<String>,
    /// What a new key signs with.
    #[serde(default, deserialize_with = "read_choice", serialize_with = "write_choice")]
    pub(crate) alg: Option<KeyAlgorithm>,
    /// Certificate authorities to trust besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// How long to wait for an answer, in seconds.
    pub(crate) timeout: Option<u64>,
}

/// How a user signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignIn {
    /// In a browser on this machine (RFC 8252)
    Browser,
    /// On another device, with a code (RFC 8628)
    Device,
}

/// How the client authenticates, by the names of OpenID Connect Core section 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthMethod {
    /// The secret in the header
    #[value(name = "client_secret_basic")]
    Basic,
    /// The secret in the body
    #[value(name = "client_secret_post")]
    Post,
    /// An assertion, signed with `auth_key`
    #[value(name = "private_key_jwt")]
    PrivateKeyJwt,
}

impl Profiles {
    /// Reads the file; none is as good as an empty one.
    pub(crate) fn load() -> Result<Self, CommandError> {
        let path = places::profiles()?;
        let text = read(&path)?;
        let mut profiles = Self::parse(&text, &path.display().to_string())?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        for profile in profiles.by_name.values_mut() {
            profile.resolve(folder);
        }
        Ok(profiles)
    }

    fn parse(text: &str, place: &str) -> Result<Self, CommandError> {
        let profiles: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(start).filter(|octet| *octet == b'\n').count();
            let what = format!("{place}, line {line}: {}", with_hint(error.message()));
            CommandError::usage(what).advise("mend that line; `keybound profile --help` shows a whole file")
        })?;
        match profiles.default.as_deref() {
            Some(name) if !profiles.by_name.contains_key(name) => Err(CommandError::usage(format!(
                "{place}: `default` names the profile `{name}`, which is not there"
            ))),
            _ => Ok(profiles),
        }
    }

    /// The name to go by: the one that was asked for, else the file's default.
    pub(crate) fn name(&self, asked: Option<&str>) -> String {
        asked.or(self.default.as_deref()).unwrap_or(DEFAULT).to_owned()
    }

    /// Keeps a profile under a name; all else in the file stays as it is, comments too.
    pub(crate) fn put(name: &str, profile: &Profile, is_default: bool) -> Result<(), CommandError> {
        edit(|document| {
            let text = toml::to_string(profile).map_err(CommandError::failed)?;
            let mut table: Table =
                text.parse::<DocumentMut>().map_err(CommandError::failed)?.as_table().clone();
            table.set_position(None);
            for empty in ["resources", "origins"] {
                if table.get(empty).and_then(Item::as_array).is_some_and(toml_edit::Array::is_empty) {
                    table.remove(empty);
                }
            }
            let all = document.entry("profile").or_insert_with(|| {
                let mut all = Table::new();
                all.set_implicit(true);
                Item::Table(all)
            });
            let all = all.as_table_mut().ok_or_else(|| CommandError::usage("`profile` is not a table"))?;
            all.insert(name, Item::Table(table));
            if is_default {
                put_default(document, name);
            }
            Ok(())
        })
    }

    /// Makes a profile the default.
    pub(crate) fn set_default(name: &str) -> Result<(), CommandError> {
        edit(|document| {
            put_default(document, name);
            Ok(())
        })
    }

    /// Forgets a profile.
    pub(crate) fn delete(name: &str) -> Result<(), CommandError> {
        edit(|document| {
            let all = document.get_mut("profile").and_then(Item::as_table_mut);
            if all.and_then(|all| all.remove(name)).is_none() {
                return Err(missing(name));
            }
            if document.get("default").and_then(Item::as_str) == Some(name) {
                document.remove("default");
            }
            Ok(())
        })
    }
}

impl Profile {
    /// Without what shows the client, and how.
    pub(crate) fn forget_credentials(&mut self) {
        (self.secret_env, self.secret_file, self.secret_prompt) = (None, None, false);
        (self.auth_key, self.client_certificate) = (None, None);
        (self.registration, self.auth_method) = (None, None);
    }

    /// Whether there is something that shows the client.
    pub(crate) fn shows_who_it_is(&self) -> bool {
        let is_named = [&self.secret_env, &self.secret_file, &self.auth_key, &self.registration]
            .iter()
            .any(|credential| credential.is_some());
        is_named || self.secret_prompt || self.client_certificate.is_some()
    }

    /// Files are named relative to the file of the profiles.
    fn resolve(&mut self, folder: &Path) {
        for path in [&mut self.ca_file, &mut self.client_certificate].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        if let Some(path) = self.secret_file.as_mut().filter(|path| *path != "-") {
            *path = folder.join(&*path).display().to_string();
        }
        if let Some(path) = self.auth_key.as_mut().filter(|name| crate::input::is_path(name)) {
            *path = folder.join(&*path).display().to_string();
        }
    }
}

/// Writes the name of the default; a comment above it stays.
fn put_default(document: &mut DocumentMut, name: &str) {
    match document.get_mut("default") {
        Some(default) => *default = toml_edit::value(name),
        None => {
            document.insert("default", toml_edit::value(name));
        }
    }
}

/// There is no such profile.
pub(crate) fn missing(name: &str) -> CommandError {
    CommandError::usage(format!("there is no profile `{name}`"))
        .advise("see `keybound profile list`, or make it with `keybound profile add`")
}

fn read(path: &Path) -> Result<String, CommandError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(CommandError::usage(format!("{}: {error}", path.display()))),
    }
}

/// Changes the file: the new one takes the old one's place at once, or not at all.
fn edit(change: impl FnOnce(&mut DocumentMut) -> Result<(), CommandError>) -> Result<(), CommandError> {
    let path = places::profiles()?;
    let cannot = |error: std::io::Error| CommandError::failed(format!("{}: {error}", path.display()));
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).map_err(cannot)?;
    // Whoever else edits it meanwhile waits until this is closed: neither change is lost.
    let place = fs::File::open(folder).map_err(cannot)?;
    place.lock().map_err(cannot)?;
    let text = read(&path)?;
    Profiles::parse(&text, &path.display().to_string())?;
    let mut document: DocumentMut = text.parse().map_err(CommandError::failed)?;
    change(&mut document)?;
    let mut aside = tempfile::NamedTempFile::new_in(folder).map_err(cannot)?;
    aside.write_all(document.to_string().as_bytes()).map_err(cannot)?;
    aside.persist(&path).map_err(|error| cannot(error.error))?;
    Ok(())
}

fn read_scope<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Scope>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Scope::parse(&text).map_err(D::Error::custom)).transpose()
}

fn write_scope<S: Serializer>(scope: &Option<Scope>, serializer: S) -> Result<S::Ok, S::Error> {
    scope.as_ref().map(ToString::to_string).serialize(serializer)
}

/// One of the words that the command line has for it.
fn read_choice<'de, T: ValueEnum, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    T::from_str(&text, false).map(Some).map_err(|_| {
        let words = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let words: Vec<String> = words.map(|word| word.get_name().to_owned()).collect();
        D::Error::custom(format!("`{text}` is none of {}", words.join(", ")))
    })
}

fn write_choice<T: ValueEnum, S: Serializer>(choice: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    let word = choice.as_ref().and_then(ValueEnum::to_possible_value);
    word.map(|word| word.get_name().to_owned()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_with_line_and_hint() {
        let text = "[profile.work]\nissuer = \"https://id.example\"\nclientid = \"cli\"\n";
        let told = Profiles::parse(text, "profiles.toml").expect_err("refused").to_string();
        assert!(told.starts_with("profiles.toml, line 3: "), "{told}");
        assert!(told.ends_with("Did you mean `client_id`?"), "{told}");
        let insecure =
            Profiles::parse("[profile.a]\nissuer = \"http://id.example\"\n", "p").expect_err("refused");
        assert!(insecure.to_string().starts_with("p, line 2: it must be an https URL"), "{insecure}");
        assert!(Profiles::parse("default = \"none\"\n", "p").is_err());
    }

    #[test]
    fn the_name_is_the_one_asked_for_else_the_default() {
        let text = "default = \"work\"\n[profile.work]\n[profile.home]\nscope = \"openid read\"\n";
        let profiles = Profiles::parse(text, "p").expect("read");
        assert_eq!((profiles.name(Some("home")).as_str(), profiles.name(None).as_str()), ("home", "work"));
        assert_eq!(Profiles::default().name(None), "default");
    }
}
