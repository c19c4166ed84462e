//! A registered client, and how it came to be one.

use crate::store::id::{Id, SecretHash};
use keybound_dpop::time::UnixTime;
use serde_json::Value;

/// A client and its metadata (RFC 7591 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `client_id`.
    pub client_id: String,
    /// The metadata, as it was registered; of a secret only its digest, `client_secret_sha256`.
    pub metadata: Value,
    /// Who wrote it.
    pub source: ClientSource,
    /// When it came to be.
    pub created_at: UnixTime,
}

/// Who wrote a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientSource {
    /// The configuration file.
    File,
    /// A command on the command line.
    Command,
    /// Dynamic registration (RFC 7591 §3).
    Registered,
}

impl ClientSource {
    /// The word that stands for it in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Command => "command",
            Self::Registered => "registered",
        }
    }

    /// What the word stands for.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::File, Self::Command, Self::Registered].into_iter().find(|source| source.as_str() == word)
    }
}

/// A client that registers itself.
#[derive(Clone, Debug)]
pub struct Registering {
    /// The client.
    pub client: Client,
    /// What its registration access token hashes to.
    pub management: SecretHash,
    /// The initial access token that is used for it.
    pub initial: Option<(Id, SecretHash)>,
    /// How many may have registered themselves.
    pub max_clients: u32,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Registered {
    /// The client is there now.
    Yes,
    /// The initial access token is unknown, has ended, or was used as often as it may be. Nothing was written.
    TokenSpent,
}

/// A token by which programs register themselves (RFC 7591 §1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialToken {
    /// What finds it.
    pub id: Id,
    /// What proves that it is the one that was handed out.
    pub secret_hash: SecretHash,
    /// When it ends.
    pub expires_at: UnixTime,
    /// How many clients may still be registered with it.
    pub uses_left: u32,
}

/// What is new among the clients.
#[derive(Clone, Debug)]
pub struct ClientChanges {
    /// The version of the store that this is from.
    pub version: u64,
    /// Those that came or changed; all where `removed` is none.
    pub changed: Vec<Client>,
    /// The ids of those that went; none where that is no longer known.
    pub removed: Option<Vec<String>>,
}
