//! What was written: the configuration file, in TOML.

use super::source::line_at;
use super::{
    ClientIdMetadataFile, ConfigError, DetailFile, LifetimesFile, PagesFile, RegistrationFile, Source,
    Wording,
};
use keybound_oauth::client_metadata::ProfileName;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
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
    /// Whether every authorization request must be pushed (RFC 9126 §5). Default: false.
    #[serde(default)]
    pub require_pushed_authorization_requests: bool,
    /// Proxies whose `X-Forwarded-For` is believed: addresses or networks. Default: none.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
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
    /// What we sign with.
    #[serde(default)]
    pub signing: SigningFile,
    /// How often anybody may ask.
    #[serde(default)]
    pub limits: LimitsFile,
    /// Whether programs register themselves.
    #[serde(default)]
    pub registration: RegistrationFile,
    /// Whether a `client_id` may be the URL of its metadata.
    #[serde(default)]
    pub client_id_metadata: ClientIdMetadataFile,
    /// `standard`, or `fapi2`: the FAPI 2.0 Security Profile, all of it.
    #[serde(default = "default_profile", deserialize_with = "profile")]
    pub profile: ProfileName,
    /// What client assertions must look like.
    #[serde(default)]
    pub assertion: AssertionFile,
    /// What becomes of refresh tokens.
    #[serde(default)]
    pub refresh_tokens: RefreshTokensFile,
    /// How long things live.
    #[serde(default)]
    pub lifetimes: LifetimesFile,
    /// What people see.
    #[serde(default)]
    pub pages: PagesFile,
    #[serde(skip)]
    pub(crate) source: Source,
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
    /// What people call it. Default: its identifier.
    pub name: Option<Wording>,
    /// Whether tokens for it must be bound.
    #[serde(default)]
    pub dpop: DpopMode,
    /// The form of its tokens.
    #[serde(default)]
    pub tokens: TokenForm,
    /// The scope tokens it knows.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What they let a client do, for people, by scope token.
    #[serde(default)]
    pub scope_texts: BTreeMap<String, Wording>,
    /// Whether it is meant where a request names no resource.
    #[serde(default)]
    pub default: bool,
    /// The algorithm that its access tokens are signed with. Default: that of `[signing]`.
    pub signing_alg: Option<String>,
    /// The client that the resource itself is: it may introspect the resource's tokens, and exchange them.
    #[serde(default)]
    pub client: Option<String>,
    /// What may be asked for in detail (RFC 9396).
    #[serde(default)]
    pub authorization_details: Vec<DetailFile>,
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
    /// A random text that says nothing by itself: the resource asks what it stands for (RFC 7662).
    Opaque,
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

/// `[signing]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningFile {
    /// The algorithm of access tokens, by its JOSE name. Default: ES256.
    pub access_tokens: Option<String>,
    /// The age in days at which a key gets a successor; 0: by command only. Default: 90.
    pub rotate_days: Option<u32>,
}

/// `[limits]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsFile {
    /// Requests a minute from one address, or one IPv6 network of 64 bits; 0: no limit. Default: 60000.
    pub address_per_minute: Option<u32>,
    /// Requests a minute of one client that authenticates; 0: no limit. Default: 60000.
    pub client_per_minute: Option<u32>,
    /// Clients a minute that register themselves from one address, without a token; 0: no limit. Default: 10.
    pub registrations_per_minute: Option<u32>,
}

/// `[assertion]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssertionFile {
    /// What `aud` may be. Default: what the profile asks for, which is `issuer_or_endpoint` in the standard one.
    pub audience: Option<AudienceRule>,
}

/// What `aud` of a client assertion may be (DEC-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudienceRule {
    /// The issuer or the URL of an endpoint, alone or in an array.
    IssuerOrEndpoint,
    /// The issuer as a string, and nothing else.
    Issuer,
}

/// `[refresh_tokens]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshTokensFile {
    /// Which are replaced when they are used.
    #[serde(default)]
    pub rotate: Rotate,
}

/// Which refresh tokens are replaced when they are used (DEC-01). The one before works for another minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotate {
    /// Those that neither a key nor client authentication protects.
    #[default]
    Unbound,
    /// All.
    Always,
}

fn default_profile() -> ProfileName {
    ProfileName::Standard
}

fn profile<'de, D: Deserializer<'de>>(from: D) -> Result<ProfileName, D::Error> {
    let written = String::deserialize(from)?;
    ProfileName::parse(&written).ok_or_else(|| D::Error::custom("must be \"standard\" or \"fapi2\""))
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

fn default_store() -> PathBuf {
    PathBuf::from("keybound.sqlite")
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
        let named = [Some(&mut file.store), file.clients.as_mut(), file.users.as_mut()];
        for path in named.into_iter().flatten().chain(file.pages.paths()) {
            *path = folder.join(&*path);
        }
        if let Some(tls) = &mut file.tls {
            tls.certificate = folder.join(&tls.certificate);
            tls.key = folder.join(&tls.key);
        }
        file.registration.resolve(folder);
        Ok(file)
    }

    /// Reads the text of a file; `place` is its name in errors.
    ///
    /// # Errors
    /// As [`ConfigFile::load`].
    pub fn parse(text: &str, place: &str) -> Result<Self, ConfigError> {
        let mut file: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(text, span.start));
            ConfigError { place: format!("{place}, line {line}"), what: with_hint(error.message()) }
        })?;
        file.source = Source::new(place, text);
        Ok(file)
    }
}

/// `unknown field `lissten`, expected one of `issuer`, `listen`…`: adds which one was probably meant.
#[must_use]
pub fn with_hint(message: &str) -> String {
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
    fn distance_counts_letters() {
        assert_eq!((distance("listen", "lissten"), distance("a", "b"), distance("", "abc")), (1, 1, 3));
    }
}
