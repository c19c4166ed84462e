//! Where used proofs are recorded, and what nodes that share the record have in common.

use super::file::{ConfigFile, OneOrMany};
use super::{ConfigError, value};
use keybound_dpop::replay::DEFAULT_CAPACITY;
use keybound_dpop::secret::Secret;
use keybound_resource::LogServer;
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All but the owner and a group.
const OTHERS: u32 = 0o007;

/// `[replay]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayFile {
    /// Where the log is. Default: `"memory"`.
    #[serde(default)]
    pub log: LogKind,
    /// How many gateways serve the public URL. Default: 1.
    pub nodes: Option<u32>,
    /// Whether a proof may count once at each of several nodes.
    #[serde(default)]
    pub once_per_node: bool,
    /// Records that a log in memory holds at the most. Default: 4 million.
    pub capacity: Option<usize>,
    /// Where Redis or PostgreSQL is, without a password; or several, which are nodes of one cluster.
    pub url: Option<OneOrMany<String>>,
    /// A file with the URL, for one with a password; or with several, a line each.
    pub url_file: Option<PathBuf>,
    /// Whether the URLs are of nodes of a cluster of Redis.
    #[serde(default)]
    pub cluster: bool,
    /// The authorities that the server's certificate may come from, PEM. Default: the system's.
    pub trusted_roots: Option<PathBuf>,
    /// Whether nobody else can speak on the network between gateway and log.
    #[serde(default)]
    pub trusted_network: bool,
    /// How long the log may take to answer, in milliseconds: 20 to 5000. Default: 250.
    pub timeout_ms: Option<u64>,
}

/// `log` of `[replay]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// In this process: one node.
    #[default]
    Memory,
    /// In Redis or Valkey.
    Redis,
    /// In PostgreSQL.
    Postgres,
}

/// Where used proofs are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayConfig {
    /// In this process, so many at the most.
    Memory {
        /// Records at the most.
        capacity: usize,
    },
    /// Elsewhere, for all nodes.
    Shared {
        /// Redis or PostgreSQL.
        kind: LogKind,
        /// Where that is.
        server: LogServer,
        /// What nonces and records are derived from, the same for all nodes.
        secret: Secret,
    },
}

impl ReplayConfig {
    /// Whether other nodes use the same log.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Shared { .. })
    }
}

impl ReplayFile {
    /// Paths count from this folder.
    pub(super) fn resolve(&mut self, folder: &Path) {
        for path in [&mut self.url_file, &mut self.trusted_roots].into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }
}

/// What was written, once it is safe (OPS-REP-05).
pub(super) fn read(file: &ConfigFile) -> Result<ReplayConfig, ConfigError> {
    let (replay, secret_file) = (&file.replay, file.nonce.secret_file.as_deref());
    let nodes = replay.nodes.unwrap_or(1);
    if nodes == 0 {
        return Err(value("replay.nodes", "must be 1 or more"));
    }
    if replay.log == LogKind::Memory {
        return memory(replay, secret_file, nodes);
    }
    if replay.once_per_node || replay.capacity.is_some() {
        return Err(value("replay", "`once_per_node` and `capacity` are for a log in memory"));
    }
    let secret_file = secret_file.ok_or_else(|| {
        value(
            "nonce.secret_file",
            "nodes that share a log must share the secret of nonces, or each would refuse the others' nonces and \
             record the same proof under a name of its own: name a file with 64 random hexadecimal digits, the same \
             at every node",
        )
    })?;
    Ok(ReplayConfig::Shared {
        kind: replay.log,
        server: server(replay)?,
        secret: secret("nonce.secret_file", secret_file)?,
    })
}

fn memory(replay: &ReplayFile, secret_file: Option<&Path>, nodes: u32) -> Result<ReplayConfig, ConfigError> {
    if nodes > 1 && !replay.once_per_node {
        return Err(value(
            "replay.log",
            "a log in memory knows what this node has seen alone, and a proof could be used once at each of the nodes: \
             share one in \"redis\" or \"postgres\", or say `once_per_node = true` if that will do",
        ));
    }
    if replay.url.is_some() || replay.url_file.is_some() || replay.cluster {
        return Err(value("replay.log", "there is a server for it, so it must be \"redis\" or \"postgres\""));
    }
    if secret_file.is_some() {
        let why = "it is for nodes that share a log; with one in memory the secret is drawn at start, so that nonces from \
                   before are stale";
        return Err(value("nonce.secret_file", why));
    }
    match replay.capacity.unwrap_or(DEFAULT_CAPACITY) {
        capacity @ 1000..=1_000_000_000 => Ok(ReplayConfig::Memory { capacity }),
        _ => Err(value("replay.capacity", "must be 1000 to 1000000000")),
    }
}

fn server(replay: &ReplayFile) -> Result<LogServer, ConfigError> {
    let urls: Vec<Secret> = match (&replay.url, &replay.url_file) {
        (Some(OneOrMany(urls)), None) => {
            if urls.iter().any(|url| holds_password(url)) {
                return Err(value(
                    "replay.url",
                    "it holds a password: put it into a file, and name that as `url_file`",
                ));
            }
            urls.iter().map(Secret::new).collect()
        }
        (None, Some(path)) => {
            let text = secret("replay.url_file", path)?;
            let lines = text.reveal().lines().map(str::trim).filter(|line| !line.is_empty());
            lines.map(Secret::new).collect()
        }
        _ => return Err(value("replay.url", "the log needs `url` or `url_file`")),
    };
    if urls.is_empty() {
        return Err(value("replay.url", "there is none"));
    }
    let trusted_roots = replay.trusted_roots.as_deref().map(|path| {
        std::fs::read(path)
            .map_err(|error| value("replay.trusted_roots", format!("{}: {error}", path.display())))
    });
    let timeout = match replay.timeout_ms.unwrap_or(250) {
        millis @ 20..=5000 => Duration::from_millis(millis),
        _ => return Err(value("replay.timeout_ms", "must be 20 to 5000")),
    };
    Ok(LogServer {
        urls,
        cluster: replay.cluster,
        trusted_roots: trusted_roots.transpose()?,
        timeout,
        trusted_network: replay.trusted_network,
    })
}

/// `user:password@`, or a parameter that says so.
fn holds_password(url: &str) -> bool {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || url.contains("password")
}

/// The text of a file that must not be open to everybody.
fn secret(key: &str, path: &Path) -> Result<Secret, ConfigError> {
    let mut text = String::new();
    let mode = File::open(path).and_then(|mut file| {
        file.read_to_string(&mut text)?;
        Ok(file.metadata()?.permissions().mode())
    });
    let text = Secret::new(text);
    match mode {
        Ok(mode) if mode & OTHERS != 0 => {
            Err(value(key, format!("{}: everybody can read it: chmod 600 it", path.display())))
        }
        Ok(_) => Ok(Secret::new(text.reveal().trim())),
        Err(error) => Err(value(key, format!("{}: {error}", path.display()))),
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
