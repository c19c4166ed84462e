//! A registered client.

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
