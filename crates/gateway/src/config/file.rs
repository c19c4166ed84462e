//! What an operator writes: TOML. Unknown keys are refused, with their line.

use super::decision::DecisionFile;
use super::introspection::{IntrospectionFile, RevocationFile};
use super::metadata::MetadataFile;
use super::replay::ReplayFile;
use super::route_file::{
    AssertionFile, DpopFile, IdentityFile, RouteFile, TimeoutFile, UpstreamFile, WithoutReplayLogFile,
};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// The URL under which callers know the API: an https origin, and the path prefix that something in front of the
    /// gateway takes away, if any.
    pub public_url: String,
    /// Where to listen. Default: 127.0.0.1:8080.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Where health and metrics are. Default: none.
    pub admin: Option<SocketAddr>,
    /// TLS from files; left out, plain HTTP is spoken, behind a proxy or on loopback.
    pub tls: Option<TlsFile>,
    /// The issuer, or `[[issuer]]` for several or for more to say of one.
    pub issuer: OneOrMany<IssuerFile>,
    /// The identifiers of the API, one of which a token's `aud` must hold. Default: the public URL with a slash at its
    /// end, and without.
    pub audience: Option<OneOrMany<String>>,
    /// Whether unbound tokens are taken as Bearer. Default: `"required"`.
    #[serde(default)]
    pub dpop: DpopFile,
    /// `realm` in challenges.
    pub realm: Option<String>,
    /// Nonces.
    #[serde(default)]
    pub nonce: NonceFile,
    /// Where used proofs are recorded.
    #[serde(default)]
    pub replay: ReplayFile,
    /// What is taken of proofs.
    #[serde(default)]
    pub proof: ProofFile,
    /// Which pages may call.
    pub cors: Option<CorsFile>,
    /// How often anybody may.
    #[serde(default)]
    pub limits: LimitsFile,
    /// What is published of the API.
    #[serde(default)]
    pub metadata: MetadataFile,
    /// How long the upstream may take.
    #[serde(default)]
    pub timeout: TimeoutFile,
    /// Where every path leads that no route names; left out, such a path is 404.
    pub upstream: Option<OneOrMany<String>>,
    /// Upstreams of which there is more to say than a URL, by the name that routes call them.
    #[serde(default)]
    pub upstreams: BTreeMap<String, UpstreamFile>,
    /// The scopes that every request needs.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// How upstreams are told who calls, where a route does not say.
    #[serde(default)]
    pub identity: IdentityFile,
    /// Assertions.
    #[serde(default)]
    pub assertion: AssertionFile,
    /// What is done while the log of used proofs is out of reach, where a route does not say.
    #[serde(default)]
    pub without_replay_log: WithoutReplayLogFile,
    /// Bytes of a request body, at the most, where a route does not say. Default: no limit.
    pub max_body_bytes: Option<u64>,
    /// The protocols that a connection may switch to, where a route does not say. Default: `["websocket"]`.
    pub upgrade: Option<Vec<String>>,
    /// As in a route, for paths that no route names.
    #[serde(default)]
    pub forward_token: bool,
    /// As in a route, for paths that no route names.
    #[serde(default)]
    pub raw_path: bool,
    /// As in a route, for every upstream.
    #[serde(default)]
    pub trusted_network: bool,
    /// Where proxies ask whether a request may pass.
    pub decision: Option<DecisionFile>,
    /// Paths with rules of their own.
    #[serde(default, rename = "route")]
    pub routes: Vec<RouteFile>,
}

/// `[tls]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFile {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM, readable by its owner alone.
    pub key: PathBuf,
}

/// `[[issuer]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerFile {
    /// The issuer identifier.
    pub url: String,
    /// Where its keys are. Default: where its metadata says.
    pub jwks_uri: Option<String>,
    /// A file with its keys, for an issuer that cannot be reached.
    pub jwks_file: Option<PathBuf>,
    /// The shape of its access tokens.
    #[serde(default)]
    pub tokens: TokensFile,
    /// How it is known that a signed token was revoked. Default: `"expiry"`.
    #[serde(default)]
    pub revocation: RevocationFile,
    /// How it is asked about tokens.
    pub introspection: Option<IntrospectionFile>,
}

/// `tokens`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokensFile {
    /// `at+jwt` (RFC 9068).
    #[default]
    Rfc9068,
    /// Any JWT that is none of the other kinds.
    Jwt,
    /// Tokens that say nothing themselves: the issuer is asked about each.
    Opaque,
}

/// `[nonce]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonceFile {
    /// Whether proofs must carry a nonce.
    #[serde(default)]
    pub mode: NonceMode,
    /// What nonces and records are derived from where nodes share a log: 64 random hexadecimal digits, the same at every
    /// node.
    pub secret_file: Option<PathBuf>,
}

/// `mode` of `[nonce]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NonceMode {
    /// Every proof.
    #[default]
    Required,
    /// None.
    Off,
}

/// `[proof]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    /// The accepted algorithms. Default: ES256, PS256, EdDSA, Ed25519.
    pub algorithms: Option<Vec<String>>,
    /// How old a proof may be where no nonce is asked for: 30 to 600. Default: 300.
    pub window_secs: Option<u64>,
}

/// `[limits]`: requests a minute; zero, the default: no limit.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsFile {
    /// From one address.
    #[serde(default)]
    pub address_per_minute: u32,
    /// Of one client.
    #[serde(default)]
    pub client_per_minute: u32,
}

/// `[cors]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsFile {
    /// Web origins, or `"*"`.
    pub origins: Vec<String>,
}

/// One thing, or a list of things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

/// A thing that can be written as a text alone.
pub trait FromText: Sized {
    /// The thing that the text stands for.
    fn from_text(text: &str) -> Self;
}

impl FromText for String {
    fn from_text(text: &str) -> Self {
        text.to_owned()
    }
}

impl FromText for IssuerFile {
    fn from_text(text: &str) -> Self {
        Self {
            url: text.to_owned(),
            jwks_uri: None,
            jwks_file: None,
            tokens: TokensFile::default(),
            revocation: RevocationFile::default(),
            introspection: None,
        }
    }
}

impl<'de, T: FromText + Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: FromText + Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany<T>, E> {
        Ok(OneOrMany(vec![T::from_text(text)]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<OneOrMany<T>, A::Error> {
        let items = Vec::<One<T>>::deserialize(SeqAccessDeserializer::new(items))?;
        Ok(OneOrMany(items.into_iter().map(|One(item)| item).collect()))
    }
}

/// An item of a list: a text that stands for a thing, or the thing.
struct One<T>(T);

impl<'de, T: FromText + Deserialize<'de>> Deserialize<'de> for One<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneVisitor(PhantomData)).map(One)
    }
}

struct OneVisitor<T>(PhantomData<T>);

impl<'de, T: FromText + Deserialize<'de>> Visitor<'de> for OneVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a table")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(T::from_text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}
