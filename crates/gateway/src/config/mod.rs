//! Configuration in two types: [`ConfigFile`] is what was written, [`Config`] what may be relied on. What would be
//! unsafe is refused, with the reason.

mod decision;
mod file;
mod flags;
mod introspection;
mod issuers;
mod metadata;
mod replay;
mod route_file;
mod routes;
mod told;
mod upstreams;

pub(crate) use decision::Proxy;
pub use decision::{Decision, DecisionFile, ProxyFile, ProxyKind};
pub use file::{
    ConfigFile, CorsFile, FromText, IssuerFile, LimitsFile, NonceFile, NonceMode, OneOrMany, ProofFile,
    TlsFile, TokensFile,
};
pub use flags::Flags;
pub use metadata::{MetadataFile, WordingFile};
pub use replay::{LogKind, ReplayConfig, ReplayFile};
pub use route_file::{
    AssertionFile, DpopFile, IdentityFile, RouteFile, TimeoutFile, UpstreamFile, WithoutReplayLogFile,
};
pub use told::Told;

pub use introspection::{AuthMethodFile, IntrospectionFile, IssuerAsked, RevocationFile};

use crate::limits::RateLimits;
use crate::route::Route;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::proof::check::Policy;
use keybound_dpop::secret::Secret;
use keybound_oauth::identifier::{Endpoint, Issuer, is_protected};
use keybound_oauth::resource_metadata::ForPeople;
use keybound_resource::{Cors, DpopUse, PublicUrl, TokenProfile};
use std::net::SocketAddr;
use std::path::Path;
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
    /// Where used proofs are recorded.
    pub replay: ReplayConfig,
    /// What is taken of proofs.
    pub proof: Policy,
    /// Which pages may call.
    pub cors: Option<Cors>,
    /// How often anybody may.
    pub limits: RateLimits,
    /// The key that assertions are signed with, a private JWK; none where one is made at start.
    pub assertion_key: Option<Secret>,
    /// What people read in the metadata that are published; none where none are.
    pub metadata: Option<ForPeople>,
    /// Where proxies ask, and which.
    pub decision: Option<Decision>,
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
    /// How it is asked about them.
    pub asked: Option<IssuerAsked>,
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        Self::try_from(ConfigFile::read(file)?)
    }
}

impl ConfigFile {
    /// Reads a configuration file as it was written, but for paths in it, which count from its folder.
    ///
    /// # Errors
    /// [`ConfigError`] names the line and the reason.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|error| value("the file", format!("{}: {error}", file.display())))?;
        let mut written: Self = toml::from_str(&text)?;
        let folder = file.parent().unwrap_or_else(|| Path::new("."));
        if let Some(tls) = &mut written.tls {
            tls.certificate = folder.join(&tls.certificate);
            tls.key = folder.join(&tls.key);
        }
        for file in written.files_of_upstreams() {
            *file = folder.join(&*file);
        }
        for issuer in &mut written.issuer.0 {
            if let Some(keys) = &mut issuer.jwks_file {
                *keys = folder.join(&*keys);
            }
            if let Some(introspection) = &mut issuer.introspection {
                introspection.place_in(folder);
            }
        }
        written.replay.resolve(folder);
        if let Some(secret) = &mut written.nonce.secret_file {
            *secret = folder.join(&*secret);
        }
        Ok(written)
    }
}

impl Config {
    /// Whether it forwards requests itself; if not, proxies ask it and forward.
    #[must_use]
    pub fn forwards(&self) -> bool {
        self.routes.iter().any(|route| route.upstream.is_some())
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
            issuers: issuers::read(&file.issuer.0)?,
            audience,
            dpop: match file.dpop {
                DpopFile::Required | DpopFile::Observe => DpopUse::Required,
                DpopFile::Allowed => DpopUse::Allowed,
            },
            realm: file.realm.clone(),
            nonces: file.nonce.mode == NonceMode::Required,
            replay: replay::read(&file)?,
            proof: policy(&file.proof)?,
            limits: RateLimits {
                address_per_minute: file.limits.address_per_minute,
                client_per_minute: file.limits.client_per_minute,
            },
            cors: origins.transpose().map_err(|error| value("cors.origins", error))?,
            assertion_key: file.assertion.key_file.as_deref().map(assertion_key).transpose()?,
            metadata: metadata::read(&file.metadata)?,
            decision: file.decision.as_ref().map(decision::read).transpose()?,
            routes: routes::read(&file)?,
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

/// A private key that signs with ES256 or another algorithm of proofs, as a JWK: whoever has it can say who calls.
fn assertion_key(file: &Path) -> Result<Secret, ConfigError> {
    let unusable = |why: String| value("assertion.key_file", why);
    let json = introspection::private(file).map_err(unusable)?;
    SigningKey::from_private_jwk(json.reveal().as_bytes())
        .map_err(|error| unusable(format!("{}: {error}", file.display())))?;
    Ok(json)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
