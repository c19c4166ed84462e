//! Configuration in two types: [`ConfigFile`] is what was written, [`Config`] what may be relied on.

use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::proof::check::Policy;
use keybound_dpop::target::Target;
use keybound_oauth::identifier::{Issuer, ResourceId};
use keybound_oauth::scope::Scope;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The configuration file, in TOML. Unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// The issuer identifier: an https URL without query and fragment; http on a loopback host only.
    pub issuer: String,
    /// Where to listen. Default: 127.0.0.1:8080.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Where health and metrics are. Default: none.
    #[serde(default)]
    pub admin: Option<SocketAddr>,
    /// The SQLite file. Default: `keybound.sqlite` beside the configuration.
    #[serde(default = "default_store")]
    pub store: PathBuf,
    /// A JSON file: an array of client metadata (RFC 7591 §2) with `client_id`, and `client_secret` where one is used.
    pub clients: Option<PathBuf>,
    /// A JSON file: an array of users with `username`, `password_hash` (Argon2id, PHC text), `claims`, and `sub`.
    pub users: Option<PathBuf>,
    /// TLS from files; left out, plain HTTP is spoken, for a loopback issuer or behind a proxy.
    pub tls: Option<TlsFile>,
    /// The protected resources that tokens are issued for.
    #[serde(default, rename = "resource")]
    pub resources: Vec<ResourceFile>,
    /// When proofs must carry a nonce.
    #[serde(default)]
    pub nonce: NonceFile,
    /// What proofs are accepted.
    #[serde(default)]
    pub proof: ProofFile,
}

/// `[tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFile {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM, readable by its owner alone.
    pub key: PathBuf,
}

/// `[[resource]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceFile {
    /// The resource indicator (RFC 8707 §2), which becomes `aud`.
    pub identifier: String,
    /// Whether tokens for it must be bound.
    #[serde(default)]
    pub dpop: DpopMode,
    /// The form of its tokens.
    #[serde(default)]
    pub tokens: TokenForm,
    /// The scope tokens it knows.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whether it is meant where a request names no resource.
    #[serde(default)]
    pub default: bool,
}

/// Whether tokens for a resource must be bound to a key. The stricter of this and the client's
/// `dpop_bound_access_tokens` wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DpopMode {
    /// No token without a proof.
    #[default]
    Required,
    /// A client that says `dpop_bound_access_tokens: false` may have a bearer token.
    Allowed,
    /// The resource knows nothing of DPoP: such a client gets a bearer token even with a proof, and the proof binds
    /// the refresh token alone (RFC 9449 §5).
    RefreshOnly,
}

/// The form of access tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenForm {
    /// A signed JWT (RFC 9068).
    #[default]
    Jwt,
}

/// `[nonce]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonceFile {
    /// Who must use nonces.
    #[serde(default)]
    pub mode: NonceMode,
}

/// Who must use nonces (AS-NON-01).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NonceMode {
    /// Everybody.
    #[default]
    Required,
    /// Clients that do not authenticate.
    PublicClients,
    /// Nobody.
    Off,
}

/// `[proof]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    /// The accepted algorithms, by their JOSE names. Default: ES256, PS256, EdDSA, Ed25519.
    pub algorithms: Option<Vec<String>>,
    /// Without nonces: how old `iat` may be. Default 300, from 30 to 600.
    pub past_window_secs: Option<u64>,
    /// Without nonces: how far ahead `iat` may be. Default 30, at most 60.
    pub future_window_secs: Option<u64>,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

fn default_store() -> PathBuf {
    PathBuf::from("keybound.sqlite")
}

/// Seconds that things live.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Access tokens (AS-TOK-11).
    pub access_token_secs: u64,
    /// Authorization codes (AS-AUT-07).
    pub code_secs: u64,
    /// ID tokens (OIDC-IDT-10).
    pub id_token_secs: u64,
    /// Refresh tokens, whatever happens (AS-RT-10).
    pub refresh_token_secs: u64,
    /// Refresh tokens that are not used.
    pub refresh_idle_secs: u64,
    /// Sign-in sessions.
    pub session_secs: u64,
    /// How long a rotated refresh token still works for the same client (DEC-26).
    pub rotation_grace_secs: u64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            access_token_secs: 600,
            code_secs: 60,
            id_token_secs: 600,
            refresh_token_secs: 90 * DAY,
            refresh_idle_secs: 30 * DAY,
            session_secs: 12 * 3600,
            rotation_grace_secs: 60,
        }
    }
}

/// A protected resource.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its identifier, the `aud` of its tokens.
    pub identifier: ResourceId,
    /// Whether its tokens must be bound.
    pub dpop: DpopMode,
    /// The scope tokens it knows.
    pub scopes: Scope,
    /// Whether it is meant where none is named.
    pub default: bool,
}

/// What the provider may rely on.
#[derive(Clone, Debug)]
pub struct Config {
    /// The issuer.
    pub issuer: Issuer,
    /// The issuer's URL as a target: scheme, host and port of every `htu` (never a `Host` header).
    pub base: Target,
    /// The resources.
    pub resources: Vec<Resource>,
    /// Who must use nonces.
    pub nonce: NonceMode,
    /// What proofs are accepted.
    pub proof: Policy,
    /// How long things live.
    pub lifetimes: Lifetimes,
}

/// Why a configuration cannot be used: what, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ConfigError {
    /// The file, and the line where it is known.
    pub place: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl ConfigFile {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ConfigError`] with the line and, for an unknown key, the nearest known one.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            place: path.display().to_string(),
            what: format!("cannot be read: {error}. Give the file with --config, or write one (see `keybound serve --help`)"),
        })?;
        let mut file = Self::parse(&text, &path.display().to_string())?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        for named in [Some(&mut file.store), file.clients.as_mut(), file.users.as_mut()].into_iter().flatten()
        {
            *named = folder.join(&*named);
        }
        if let Some(tls) = &mut file.tls {
            tls.certificate = folder.join(&tls.certificate);
            tls.key = folder.join(&tls.key);
        }
        Ok(file)
    }

    /// Reads the text of a file; `place` is its name in errors.
    ///
    /// # Errors
    /// As [`ConfigFile::load`].
    pub fn parse(text: &str, place: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .map_or(1, |span| 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count());
            ConfigError { place: format!("{place}, line {line}"), what: with_hint(error.message()) }
        })
    }

    /// What may be relied on.
    ///
    /// # Errors
    /// [`ConfigError`] for a value that cannot be used, or a combination that is not safe.
    pub fn check(&self) -> Result<Config, ConfigError> {
        let wrong = |key: &str, what: String| ConfigError { place: format!("`{key}`"), what };
        let issuer = Issuer::parse(&self.issuer).map_err(|error| wrong("issuer", error.to_string()))?;
        let base = Target::parse(issuer.as_str()).map_err(|error| wrong("issuer", error.to_string()))?;
        let resources = self.resources.iter().map(ResourceFile::check).collect::<Result<Vec<_>, _>>()?;
        if resources.iter().filter(|resource| resource.default).count() > 1 {
            return Err(wrong("resource", "only one resource can be the `default`".to_owned()));
        }
        for (index, resource) in resources.iter().enumerate() {
            let before = resources.iter().take(index);
            if before.into_iter().any(|other| other.identifier == resource.identifier) {
                return Err(wrong("resource", format!("{} is there twice", resource.identifier)));
            }
            if resource.identifier.as_str() == issuer.as_str() {
                return Err(wrong(
                    "resource",
                    "the issuer is a resource already (UserInfo); leave it out".to_owned(),
                ));
            }
        }
        Ok(Config {
            issuer,
            base,
            resources,
            nonce: self.nonce.mode,
            proof: self.proof.check()?,
            lifetimes: Lifetimes::default(),
        })
    }
}

impl ResourceFile {
    fn check(&self) -> Result<Resource, ConfigError> {
        let wrong = |what: String| ConfigError { place: format!("resource `{}`", self.identifier), what };
        let identifier = ResourceId::parse(&self.identifier).map_err(|error| wrong(error.to_string()))?;
        let scopes = Scope::parse(&self.scopes.join(" ")).map_err(|error| wrong(error.to_string()))?;
        Ok(Resource { identifier, dpop: self.dpop, scopes, default: self.default })
    }
}

impl ProofFile {
    fn check(&self) -> Result<Policy, ConfigError> {
        let wrong = |what: String| ConfigError { place: "[proof]".to_owned(), what };
        let mut policy = Policy::default();
        if let Some(names) = &self.algorithms {
            let known = names.iter().map(|name| Algorithm::parse(name)).collect::<Option<Vec<_>>>();
            let known = known.filter(|known| !known.is_empty()).ok_or_else(|| {
                let all = AlgorithmSet::of(&Algorithm::ALL).algs();
                wrong(format!("`algorithms` must be a list out of {all}"))
            })?;
            policy.algorithms = AlgorithmSet::of(&known);
        }
        if let Some(secs) = self.past_window_secs {
            if !(30..=600).contains(&secs) {
                return Err(wrong("`past_window_secs` must be from 30 to 600".to_owned()));
            }
            policy.past_window_secs = secs;
        }
        if let Some(secs) = self.future_window_secs {
            if secs > 60 {
                return Err(wrong("`future_window_secs` must be at most 60".to_owned()));
            }
            policy.future_window_secs = secs;
        }
        Ok(policy)
    }
}

impl Config {
    /// The resource of that identifier.
    #[must_use]
    pub fn resource(&self, identifier: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.identifier.as_str() == identifier)
    }

    /// The resource that is meant where none is named: the one marked so, or the only one there is.
    #[must_use]
    pub fn default_resource(&self) -> Option<&Resource> {
        match self.resources.as_slice() {
            [only] => Some(only),
            all => all.iter().find(|resource| resource.default),
        }
    }

    /// The URL of an endpoint of ours; `path` begins with a slash.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> String {
        self.issuer.endpoint(path).to_string()
    }
}

/// `unknown field `lissten`, expected one of `issuer`, `listen`…`: adds which one was probably meant.
fn with_hint(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (Some(written), true) = (quoted.next(), message.starts_with("unknown field")) else {
        return message.to_owned();
    };
    let near = quoted.map(|known| (distance(written, known), known)).min();
    match near {
        Some((distance, known)) if distance <= 3 => format!("{message}. Did you mean `{known}`?"),
        _ => message.to_owned(),
    }
}

/// How many letters must be added, dropped or changed to get from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let changed = diagonal + usize::from(from != to);
            diagonal = *cell;
            *cell = changed.min(left + 1).min(*cell + 1);
            left = *cell;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_with_line_and_hint() {
        let error = ConfigFile::parse("issuer = \"https://as.example\"\nlissten = \"x\"\n", "k.toml")
            .expect_err("refused");
        assert_eq!(error.place, "k.toml, line 2");
        assert!(error.what.ends_with("Did you mean `listen`?"), "{}", error.what);
    }

    #[test]
    fn values_are_checked() {
        let check = |text: &str| ConfigFile::parse(text, "k.toml").and_then(|file| file.check().map(|_| ()));
        assert_eq!(check("issuer = \"https://as.example\""), Ok(()));
        for bad in [
            "issuer = \"http://as.example\"",
            "issuer = \"https://as.example?x\"",
            "issuer = \"https://as.example\"\n[[resource]]\nidentifier = \"https://as.example\"",
            "issuer = \"https://as.example\"\n[proof]\nalgorithms = [\"HS256\"]",
            "issuer = \"https://as.example\"\n[proof]\npast_window_secs = 601",
            "issuer = \"https://as.example\"\n[nonce]\nmode = \"optional\"",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!((distance("listen", "lissten"), distance("a", "b"), distance("", "abc")), (1, 1, 3));
    }
}
