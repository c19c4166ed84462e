//! `[registration]` and `[client_id_metadata]`: clients that nobody here has written down.

use super::{Config, ConfigError, ConfigFile, Resource, Source, TokenForm};
use crate::reach::OPENID_SCOPES;
use keybound_dpop::jose::key_set::KeySet;
use keybound_oauth::client_metadata::GrantType;
use keybound_oauth::identifier::{Endpoint, Issuer, ResourceId, is_loopback};
use keybound_oauth::scope::Scope;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The scope of access tokens for the registration endpoint.
pub const REGISTRATION_SCOPE: &str = "client_registration";

const DAY_SECS: u64 = 24 * 60 * 60;
const MAX_CLIENTS: u32 = 1_000_000;
/// Issuers of software statements, at the most.
const MAX_STATEMENT_ISSUERS: usize = 32;

/// `[registration]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationFile {
    /// Who may register clients.
    #[serde(default)]
    pub mode: RegistrationMode,
    /// Whether a client may have tokens that are bound to no key.
    #[serde(default)]
    pub dpop: RegisteredDpop,
    /// Whether they may leave out PKCE and proofs, as OpenID clients of old do. Default: no.
    #[serde(default)]
    pub legacy_oidc: bool,
    /// The most that such a client may ask for. Default: what OpenID Connect knows and what the resources know.
    pub scopes: Option<Vec<String>>,
    /// The grant types that such a client may use. Default: codes, refresh tokens, device codes.
    pub grant_types: Option<Vec<String>>,
    /// How many may be registered at a time. Default: 10000.
    pub max_clients: Option<u32>,
    /// After how many days without use one is forgotten; 0: never. Default: 90.
    pub forget_after_days: Option<u32>,
    /// How many days a client secret lives; 0: for ever. Default: 0.
    pub secret_days: Option<u32>,
    /// Whether a software statement must be there. Default: no.
    #[serde(default)]
    pub require_software_statement: bool,
    /// Who may vouch for metadata.
    #[serde(default)]
    pub software_statement_issuers: Vec<StatementIssuerFile>,
    /// Whether URLs of such clients may lead to this machine, by http too: for development, with an issuer on loopback.
    #[serde(default)]
    pub loopback_urls: bool,
}

/// Who may register clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationMode {
    /// Nobody.
    #[default]
    Off,
    /// Who has an initial access token, or an access token with the scope `client_registration`.
    Token,
    /// Everybody.
    Open,
}

/// Whether a client that registers itself may have bearer tokens (RFC 9449 §5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegisteredDpop {
    /// Never.
    #[default]
    Required,
    /// Where it says so.
    Allowed,
    /// Unless it says `dpop_bound_access_tokens: true`.
    IfAsked,
}

/// `[[registration.software_statement_issuers]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementIssuerFile {
    /// `iss` of the statements.
    pub issuer: String,
    /// A file with its public keys.
    pub jwks: Option<PathBuf>,
    /// Where its public keys are.
    pub jwks_uri: Option<String>,
}

/// `[client_id_metadata]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientIdMetadataFile {
    /// `on`: a `client_id` may be the URL of its metadata.
    #[serde(default)]
    pub mode: Switch,
    /// The hosts whose documents are taken. Default: any.
    pub hosts: Option<Vec<String>>,
    /// Octets in a document. Default: 5120.
    pub max_bytes: Option<usize>,
    /// The least that a document is kept. Default: 60.
    pub min_secs: Option<u64>,
    /// The most that a document is kept. Default: 86400.
    pub max_secs: Option<u64>,
    /// How many documents are kept. Default: 1000.
    pub max_documents: Option<usize>,
}

/// Off, or on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Off.
    #[default]
    Off,
    /// On.
    On,
}

/// Clients that nobody here has written down.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Who may register clients.
    pub mode: RegistrationMode,
    /// What such clients may be.
    pub rules: ClientRules,
    /// The registration endpoint: a resource too, for callers that show an access token.
    pub resource: Option<Resource>,
    /// How many may be registered at a time.
    pub max_clients: u32,
    /// After how long without use one is forgotten.
    pub forget_after_secs: Option<u64>,
    /// How long a client secret lives.
    pub secret_secs: Option<u64>,
    /// Whether a software statement must be there.
    pub require_statement: bool,
    /// Who may vouch for metadata.
    pub statement_issuers: Vec<StatementIssuer>,
    /// Documents at the `client_id`; none where it must not be a URL.
    pub documents: Option<DocumentRules>,
}

/// What a client that nobody here has written down may be.
#[derive(Clone, Debug)]
pub struct ClientRules {
    /// Whether it may have bearer tokens.
    pub dpop: RegisteredDpop,
    /// Whether it may leave out PKCE and proofs.
    pub legacy_oidc: bool,
    /// The most that it may ask for.
    pub scopes: Scope,
    /// The grant types that it may use.
    pub grant_types: Vec<GrantType>,
    /// Whether its URLs may lead to this machine, by http too.
    pub loopback_urls: bool,
}

/// Who vouches for metadata.
#[derive(Clone, Debug)]
pub struct StatementIssuer {
    /// `iss`
    pub issuer: String,
    /// Its keys.
    pub keys: StatementKeys,
}

/// Where the keys of one who vouches are.
#[derive(Clone, Debug)]
pub enum StatementKeys {
    /// Here.
    Local(KeySet),
    /// There.
    Remote(Endpoint),
}

/// Client ID metadata documents.
#[derive(Clone, Debug)]
pub struct DocumentRules {
    /// The hosts whose documents are taken; none: any.
    pub hosts: Option<Vec<String>>,
    /// Octets in a document, at the most.
    pub max_bytes: usize,
    /// The least that a document is kept.
    pub min_secs: u64,
    /// The most that a document is kept.
    pub max_secs: u64,
    /// How many documents are kept.
    pub max_documents: usize,
}

impl ConfigFile {
    pub(super) fn checked_registration(
        &self,
        issuer: &Issuer,
        resources: &[Resource],
    ) -> Result<Registration, ConfigError> {
        let file = &self.registration;
        let wrong = |key: &str, what: &str| self.source.error(&format!("registration.{key}"), what);
        if file.loopback_urls && !is_loopback(issuer.url()) {
            return Err(wrong("loopback_urls", "is for an issuer on a loopback host: leave it out"));
        }
        let max_clients = file.max_clients.unwrap_or(10_000);
        if !(1..=MAX_CLIENTS).contains(&max_clients) {
            return Err(wrong("max_clients", "must be from 1 to 1000000"));
        }
        if file.require_software_statement && file.software_statement_issuers.is_empty() {
            let what = "name in `software_statement_issuers` who may vouch, or leave it out";
            return Err(wrong("require_software_statement", what));
        }
        let resource = match file.mode {
            RegistrationMode::Off => None,
            RegistrationMode::Token | RegistrationMode::Open => {
                Some(endpoint_as_resource(issuer).map_err(|what| self.source.error("issuer", what))?)
            }
        };
        let days = |days: u32| (days > 0).then(|| u64::from(days) * DAY_SECS);
        Ok(Registration {
            mode: file.mode,
            rules: file.rules(resources, &self.source)?,
            resource,
            max_clients,
            forget_after_secs: days(file.forget_after_days.unwrap_or(90)),
            secret_secs: days(file.secret_days.unwrap_or(0)),
            require_statement: file.require_software_statement,
            statement_issuers: file.statement_issuers(&self.source)?,
            documents: self.client_id_metadata.check(&self.source)?,
        })
    }
}

/// Access tokens for the registration endpoint are for its URL, with a scope of their own (AS-DCR-14).
fn endpoint_as_resource(issuer: &Issuer) -> Result<Resource, String> {
    let url = issuer.endpoint(crate::endpoint::REGISTER);
    Ok(Resource {
        identifier: ResourceId::parse(url.as_str()).map_err(|error| error.to_string())?,
        dpop: super::DpopMode::Required,
        scopes: Scope::parse(REGISTRATION_SCOPE).map_err(|error| error.to_string())?,
        default: false,
        tokens: TokenForm::Jwt,
        signing_alg: None,
        client: None,
        details: Vec::new(),
    })
}

impl RegistrationFile {
    fn rules(&self, resources: &[Resource], source: &Source) -> Result<ClientRules, ConfigError> {
        let wrong = |key: &str, what: String| source.error(&format!("registration.{key}"), what);
        let of_resources = || resources.iter().flat_map(|resource| resource.scopes.iter());
        let written = match &self.scopes {
            Some(scopes) => scopes.join(" "),
            None => OPENID_SCOPES.into_iter().chain(of_resources()).collect::<Vec<_>>().join(" "),
        };
        let scopes = Scope::parse(&written).map_err(|error| wrong("scopes", error.to_string()))?;
        let reserved = [super::INTROSPECT_SCOPE, REGISTRATION_SCOPE];
        if self.scopes.is_some() && reserved.iter().any(|name| scopes.contains(name)) {
            let what = format!("must not have {}: such clients are strangers", reserved.join(" or "));
            return Err(wrong("scopes", what));
        }
        let grant_types = match &self.grant_types {
            None => {
                vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::DeviceCode]
            }
            Some(names) => {
                let known = names.iter().map(|name| GrantType::parse(name)).collect::<Option<Vec<_>>>();
                known.filter(|known| !known.is_empty()).ok_or_else(|| {
                    let all: Vec<&str> = GrantType::ALL.iter().map(|grant| grant.as_str()).collect();
                    wrong("grant_types", format!("must be a list out of {}", all.join(", ")))
                })?
            }
        };
        Ok(ClientRules {
            dpop: self.dpop,
            legacy_oidc: self.legacy_oidc,
            scopes,
            grant_types,
            loopback_urls: self.loopback_urls,
        })
    }

    fn statement_issuers(&self, source: &Source) -> Result<Vec<StatementIssuer>, ConfigError> {
        if self.software_statement_issuers.len() > MAX_STATEMENT_ISSUERS {
            let what = format!("must be at most {MAX_STATEMENT_ISSUERS}");
            return Err(source.error("registration.software_statement_issuers", what));
        }
        let numbered = self.software_statement_issuers.iter().enumerate();
        numbered.map(|(index, issuer)| issuer.check(index, source)).collect()
    }

    /// Files are named from the folder of the configuration on.
    pub(super) fn resolve(&mut self, folder: &Path) {
        for jwks in self.software_statement_issuers.iter_mut().filter_map(|issuer| issuer.jwks.as_mut()) {
            *jwks = folder.join(&*jwks);
        }
    }
}

impl StatementIssuerFile {
    fn check(&self, index: usize, source: &Source) -> Result<StatementIssuer, ConfigError> {
        let wrong = |key: &str, what: String| {
            source.error(&format!("registration.software_statement_issuers.{index}.{key}"), what)
        };
        let keys = match (&self.jwks, &self.jwks_uri) {
            (Some(path), None) => {
                let json = std::fs::read(path)
                    .map_err(|error| wrong("jwks", format!("{} cannot be read: {error}", path.display())))?;
                StatementKeys::Local(KeySet::parse(&json).map_err(|error| wrong("jwks", error.to_string()))?)
            }
            (None, Some(uri)) => StatementKeys::Remote(
                Endpoint::parse(uri).map_err(|error| wrong("jwks_uri", error.to_string()))?,
            ),
            _ => return Err(wrong("issuer", "write `jwks`, a file, or `jwks_uri`, a URL".to_owned())),
        };
        Ok(StatementIssuer { issuer: self.issuer.clone(), keys })
    }
}

impl ClientIdMetadataFile {
    fn check(&self, source: &Source) -> Result<Option<DocumentRules>, ConfigError> {
        let wrong = |key: &str, what: &str| source.error(&format!("client_id_metadata.{key}"), what);
        let rules = DocumentRules {
            hosts: self.hosts.clone(),
            max_bytes: self.max_bytes.unwrap_or(5120),
            min_secs: self.min_secs.unwrap_or(60),
            max_secs: self.max_secs.unwrap_or(DAY_SECS),
            max_documents: self.max_documents.unwrap_or(1000),
        };
        if !(512..=64 * 1024).contains(&rules.max_bytes) {
            return Err(wrong("max_bytes", "must be from 512 to 65536"));
        }
        if !(1..=3600).contains(&rules.min_secs) {
            return Err(wrong("min_secs", "must be from 1 to 3600"));
        }
        if !(rules.min_secs..=30 * DAY_SECS).contains(&rules.max_secs) {
            return Err(wrong("max_secs", "must be from `min_secs` to 2592000"));
        }
        if !(1..=100_000).contains(&rules.max_documents) {
            return Err(wrong("max_documents", "must be from 1 to 100000"));
        }
        Ok((self.mode == Switch::On).then_some(rules))
    }
}

impl Config {
    /// Whether anybody may become a client without an operator.
    #[must_use]
    pub fn takes_strangers(&self) -> bool {
        self.registration.mode != RegistrationMode::Off || self.registration.documents.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(more: &str) -> Result<Config, ConfigError> {
        ConfigFile::parse(&format!("issuer = \"https://as.example\"\n{more}"), "k.toml")
            .and_then(|file| file.check())
    }

    #[test]
    fn as_dcr_12_nobody_registers_unless_it_is_switched_on() {
        let config = check("").expect("a configuration");
        assert_eq!(config.registration.mode, RegistrationMode::Off);
        assert!(config.registration.documents.is_none() && !config.takes_strangers());
        assert!(config.resource("https://as.example/register").is_none());
    }

    #[test]
    fn what_strangers_may_have_is_checked() {
        let config = check("[registration]\nmode = \"open\"").expect("a configuration");
        let rules = &config.registration.rules;
        assert!(rules.scopes.contains("openid") && !rules.scopes.contains(crate::config::INTROSPECT_SCOPE));
        assert!(!rules.grant_types.contains(&GrantType::ClientCredentials));
        assert!(check("[client_id_metadata]\nmode = \"on\"").is_ok_and(|config| config.takes_strangers()));
        for bad in [
            "[registration]\nmode = \"yes\"",
            "[registration]\nscopes = [\"introspect\"]",
            "[registration]\ngrant_types = [\"password\"]",
            "[registration]\nloopback_urls = true",
            "[registration]\nmax_clients = 0",
            "[registration]\nrequire_software_statement = true",
            "[[registration.software_statement_issuers]]\nissuer = \"x\"",
            "[[registration.software_statement_issuers]]\nissuer = \"x\"\njwks_uri = \"http://x.example\"",
            "[client_id_metadata]\nmax_bytes = 1",
            "[client_id_metadata]\nmin_secs = 60\nmax_secs = 59",
            "[client_id_metadata]\nmax_documents = 0",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
