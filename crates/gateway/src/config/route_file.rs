//! What an operator writes of routes and upstreams.

use super::file::{NonceMode, OneOrMany};
use serde::Deserialize;
use std::path::PathBuf;

/// `[[route]]`. What it leaves out is as at the file's top.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteFile {
    /// The path, and all paths below it.
    pub path: String,
    /// Where it leads: a URL, several that do the same, or the name of one of `[upstreams]`.
    pub upstream: Option<OneOrMany<String>>,
    /// Whether `path` is taken away from what the upstream gets.
    #[serde(default)]
    pub strip_prefix: bool,
    /// The methods that it takes. Default: all.
    pub methods: Option<Vec<String>>,
    /// Whether everybody may pass, without a token.
    #[serde(default)]
    pub public: bool,
    /// Which tokens are taken.
    pub dpop: Option<DpopFile>,
    /// Whether proofs must carry a nonce.
    pub nonce: Option<NonceMode>,
    /// The scopes that it needs besides those of all.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The identifiers of which a token's `aud` must hold one.
    pub audience: Option<OneOrMany<String>>,
    /// How the user must have signed in: one of these (RFC 9470).
    #[serde(default)]
    pub acr_values: Vec<String>,
    /// How many seconds ago, at the most.
    pub max_age_secs: Option<u64>,
    /// What is done while the log of used proofs is out of reach.
    pub without_replay_log: Option<WithoutReplayLogFile>,
    /// How the upstream is told who calls.
    pub identity: Option<IdentityFile>,
    /// Whether `Authorization` and `DPoP` go on to the upstream, which is itself a verifier.
    #[serde(default)]
    pub forward_token: bool,
    /// Whether paths with more than one reading go on, because the upstream reads them as they are.
    #[serde(default)]
    pub raw_path: bool,
    /// Whether nobody else can speak on the network between gateway and upstream.
    #[serde(default)]
    pub trusted_network: bool,
    /// The protocols that a connection may switch to.
    pub upgrade: Option<Vec<String>>,
    /// Bytes of a request body, at the most.
    pub max_body_bytes: Option<u64>,
    /// How long the upstream may take.
    #[serde(default)]
    pub timeout: TimeoutFile,
}

/// `dpop`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DpopFile {
    /// Bound tokens only.
    #[default]
    Required,
    /// Unbound tokens as Bearer too.
    Allowed,
    /// Everything passes as it came; what would have been refused is in the log.
    Observe,
}

/// `identity`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityFile {
    /// Fields in the clear.
    #[default]
    Headers,
    /// A signed assertion.
    Assertion,
    /// Nothing.
    None,
}

/// `without_replay_log`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithoutReplayLogFile {
    /// 503.
    #[default]
    Refuse,
    /// A proof with a nonce of the current step is let through.
    Nonce,
}

/// `[timeout]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutFile {
    /// Until there is a connection to the upstream. Default: 5.
    pub connect_secs: Option<u64>,
    /// Until its answer begins, counted anew while a request body moves. Default: 60.
    pub answer_secs: Option<u64>,
    /// Between two pieces of its answer, and while nothing moves in a tunnel. Default: 300.
    pub idle_secs: Option<u64>,
}

/// `[upstreams.NAME]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamFile {
    /// Where it is, or where several are that do the same.
    pub url: OneOrMany<String>,
    /// HTTP/2 only, also without TLS.
    #[serde(default)]
    pub http2: bool,
    /// The authorities that its certificate may come from, PEM. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// The gateway's own certificate, PEM.
    pub client_certificate: Option<PathBuf>,
    /// And its key, PEM.
    pub client_key: Option<PathBuf>,
    /// Whether nobody else can speak on the network between gateway and upstream.
    #[serde(default)]
    pub trusted_network: bool,
}

/// `[assertion]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssertionFile {
    /// The key that assertions are signed with, a private JWK. Default: one that lives as long as the process.
    pub key_file: Option<PathBuf>,
}
