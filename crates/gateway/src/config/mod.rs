//! Configuration in two types: [`ConfigFile`] is what was written, [`Config`] what may be relied on. What would be
//! unsafe is refused, with the reason.

mod file;

pub use file::{
    ConfigFile, CorsFile, DpopFile, FromText, IssuerFile, NonceFile, NonceMode, OneOrMany, ProofFile,
    RouteFile, TimeoutFile, TlsFile, TokensFile,
};

use crate::path;
use crate::route::{Route, Upstream};
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::proof::check::Policy;
use keybound_oauth::identifier::{Endpoint, Issuer, is_loopback, is_protected};
use keybound_oauth::scope::Scope;
use keybound_resource::{Cors, DpopUse, PublicUrl, TokenProfile};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// A configuration that has been checked as a whole.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where health and metrics are.
    pub admin: Option<SocketAddr>,
    /// Certificate and key.
    pub tls: Option<TlsFile>,
    /// The URL under which callers know the API.
    pub public_url: PublicUrl,
    /// Whose tokens are taken.
    pub issuers: Vec<IssuerConfig>,
    /// The identifiers of the API.
    pub audience: Vec<String>,
    /// Which tokens are taken.
    pub dpop: DpopUse,
    /// `realm` in challenges.
    pub realm: Option<String>,
    /// Whether proofs must carry a nonce.
    pub nonces: bool,
    /// What is taken of proofs.
    pub proof: Policy,
    /// Which pages may call.
    pub cors: Option<Cors>,
    /// Until there is a connection to an upstream.
    pub connect_timeout: Duration,
    /// Until its answer begins.
    pub answer_timeout: Duration,
    /// The longest path first.
    pub(crate) routes: Vec<Route>,
}

/// An issuer, and where its keys come from.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// Its identifier.
    pub issuer: Issuer,
    /// Where its keys come from.
    pub keys: KeysFrom,
    /// The shape of its access tokens.
    pub tokens: TokenProfile,
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug)]
pub enum KeysFrom {
    /// From where its metadata says.
    Metadata,
    /// From this URL.
    Url(Endpoint),
    /// From a file that was read.
    Fixed(KeySet),
}

/// Why a configuration is refused. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, or a key is unknown, missing or of the wrong type. The text shows the line.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A value cannot be used.
    #[error("`{key}`: {reason}")]
    Value {
        /// The key.
        key: String,
        /// Why not.
        reason: String,
    },
}

impl Config {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the line or the key, and the reason.
    pub fn parse(toml: &str) -> Result<Self, ConfigError> {
        Self::try_from(toml::from_str::<ConfigFile>(toml)?)
    }

    /// Reads and checks a configuration file. Paths in it count from its folder.
    ///
    /// # Errors
    /// [`ConfigError`] names the line or the key, and the reason.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|error| value("the file", format!("{}: {error}", file.display())))?;
        let mut written: ConfigFile = toml::from_str(&text)?;
        let folder = file.parent().unwrap_or_else(|| Path::new("."));
        if let Some(tls) = &mut written.tls {
            tls.certificate = folder.join(&tls.certificate);
            tls.key = folder.join(&tls.key);
        }
        for keys in written.issuer.0.iter_mut().filter_map(|issuer| issuer.jwks_file.as_mut()) {
            *keys = folder.join(&*keys);
        }
        Self::try_from(written)
    }
}

impl TryFrom<ConfigFile> for Config {
    type Error = ConfigError;

    fn try_from(file: ConfigFile) -> Result<Self, ConfigError> {
        let public_url = public_url(&file.public_url)?;
        let audience = match &file.audience {
            Some(OneOrMany(names)) => names.clone(),
            None => {
                let bare = file.public_url.trim_end_matches('/');
                vec![format!("{bare}/"), bare.to_owned()]
            }
        };
        if audience.is_empty() || audience.iter().any(String::is_empty) {
            return Err(value(
                "audience",
                "an API needs an identifier, or tokens for any other would be taken",
            ));
        }
        let origins = file.cors.as_ref().map(|cors| Cors::only(&cors.origins));
        Ok(Self {
            listen: file.listen,
            admin: file.admin,
            issuers: issuers(&file.issuer.0)?,
            audience,
            dpop: match file.dpop {
                DpopFile::Required => DpopUse::Required,
                DpopFile::Allowed => DpopUse::Allowed,
            },
            realm: file.realm.clone(),
            nonces: file.nonce.mode == NonceMode::Required,
            proof: policy(&file.proof)?,
            cors: origins.transpose().map_err(|error| value("cors.origins", error))?,
            connect_timeout: timeout("timeout.connect_secs", file.timeout.connect_secs, 5)?,
            answer_timeout: timeout("timeout.answer_secs", file.timeout.answer_secs, 60)?,
            routes: routes(&file)?,
            public_url,
            tls: file.tls,
        })
    }
}

fn value(key: impl Into<String>, reason: impl ToString) -> ConfigError {
    ConfigError::Value { key: key.into(), reason: reason.to_string() }
}

/// Tokens and proofs travel under this URL: https, or this machine.
fn public_url(text: &str) -> Result<PublicUrl, ConfigError> {
    let public = PublicUrl::parse(text).map_err(|error| value("public_url", error))?;
    let url = Url::parse(text).map_err(|error| value("public_url", error))?;
    if !is_protected(&url) {
        return Err(value(
            "public_url",
            "tokens would travel in the clear: it must be https, or http on a loopback host",
        ));
    }
    Ok(public)
}

fn issuers(files: &[IssuerFile]) -> Result<Vec<IssuerConfig>, ConfigError> {
    if files.is_empty() {
        return Err(value("issuer", "somebody must be trusted to issue tokens"));
    }
    files.iter().map(issuer).collect()
}

fn issuer(file: &IssuerFile) -> Result<IssuerConfig, ConfigError> {
    let issuer = Issuer::parse(&file.url).map_err(|error| value("issuer", error))?;
    let keys = match (&file.jwks_uri, &file.jwks_file) {
        (Some(_), Some(_)) => return Err(value("issuer.jwks_file", "there is a jwks_uri already: keep one")),
        (Some(uri), None) => {
            KeysFrom::Url(Endpoint::parse(uri).map_err(|error| value("issuer.jwks_uri", error))?)
        }
        (None, Some(path)) => KeysFrom::Fixed(key_file(path)?),
        (None, None) => KeysFrom::Metadata,
    };
    let tokens = match file.tokens {
        TokensFile::Rfc9068 => TokenProfile::Rfc9068,
        TokensFile::Jwt => TokenProfile::Jwt,
    };
    Ok(IssuerConfig { issuer, keys, tokens })
}

fn key_file(path: &Path) -> Result<KeySet, ConfigError> {
    let unusable = |error: String| value("issuer.jwks_file", format!("{}: {error}", path.display()));
    let json = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    KeySet::parse(&json).map_err(|error| unusable(error.to_string()))
}

fn policy(file: &ProofFile) -> Result<Policy, ConfigError> {
    let mut policy = Policy::default();
    if let Some(names) = &file.algorithms {
        let read = |name: &String| {
            Algorithm::parse(name).ok_or_else(|| {
                value(
                    "proof.algorithms",
                    format!("{name:?} is not an asymmetric signature algorithm known here"),
                )
            })
        };
        let algorithms: Vec<Algorithm> = names.iter().map(read).collect::<Result<_, _>>()?;
        if algorithms.is_empty() {
            return Err(value("proof.algorithms", "with none, no proof could be made"));
        }
        policy.algorithms = AlgorithmSet::of(&algorithms);
    }
    if let Some(secs) = file.window_secs {
        if !(30..=600).contains(&secs) {
            return Err(value("proof.window_secs", "must be 30 to 600"));
        }
        policy.past_window_secs = secs;
    }
    Ok(policy)
}

fn timeout(key: &str, secs: Option<u64>, default: u64) -> Result<Duration, ConfigError> {
    match secs.unwrap_or(default) {
        secs @ 1..=3600 => Ok(Duration::from_secs(secs)),
        _ => Err(value(key, "must be 1 to 3600")),
    }
}

/// The routes, and the one for all other paths, the longest path first.
fn routes(file: &ConfigFile) -> Result<Vec<Route>, ConfigError> {
    let mut written = file.routes.clone();
    if file.upstream.is_some() && !written.iter().any(|route| route.path == "/") {
        written.push(RouteFile {
            path: "/".to_owned(),
            upstream: None,
            scopes: Vec::new(),
            forward_token: file.forward_token,
            raw_path: file.raw_path,
            trusted_network: file.trusted_network,
        });
    }
    let mut routes: Vec<Route> =
        written.iter().map(|written| route(written, file)).collect::<Result<_, _>>()?;
    if routes.is_empty() {
        return Err(value("upstream", "there must be an upstream, or a route with one"));
    }
    routes.sort_by(|one, other| (other.path.len(), &other.path).cmp(&(one.path.len(), &one.path)));
    if let Some((route, _)) =
        routes.iter().zip(routes.iter().skip(1)).find(|(one, next)| one.path == next.path)
    {
        return Err(value("route.path", format!("{:?} is there twice", route.path)));
    }
    Ok(routes)
}

fn route(written: &RouteFile, file: &ConfigFile) -> Result<Route, ConfigError> {
    let key = |name: &str| format!("route {:?}: {name}", written.path);
    let path = written.path.trim_end_matches('/');
    if !path.is_empty() {
        path::check(path).map_err(|error| value(key("path"), error))?;
    }
    let upstream = written.upstream.as_ref().or(file.upstream.as_ref());
    let upstream =
        upstream.ok_or_else(|| value(key("upstream"), "there is none, neither here nor for all"))?;
    let scopes = file.scopes.iter().chain(&written.scopes).map(String::as_str).collect::<Vec<_>>().join(" ");
    Ok(Route {
        path: path.to_owned(),
        upstream: self::upstream(upstream, written.trusted_network || file.trusted_network)
            .map_err(|reason| value(key("upstream"), reason))?,
        scopes: Scope::parse(&scopes).map_err(|error| value(key("scopes"), error))?,
        forward_token: written.forward_token,
        raw_path: written.raw_path,
    })
}

/// The link to the upstream carries what we vouch for: loopback, or a network that the operator vouches for (RFC 9700
/// §4.13, BCP-PRX-02).
fn upstream(text: &str, trusted_network: bool) -> Result<Upstream, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.scheme() != "http" || !url.username().is_empty() || url.password().is_some() {
        return Err("it must be http://host:port".to_owned());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no path: the path of a request goes on as it came".to_owned());
    }
    if !is_loopback(&url) && !trusted_network {
        return Err("it is on another machine, and whoever can speak to it can say who calls; \
                    if only the gateway can, say `trusted_network = true`"
            .to_owned());
    }
    Upstream::new(url.authority()).ok_or_else(|| "it names no host".to_owned())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
