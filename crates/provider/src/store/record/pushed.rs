//! The pushed authorization request (RFC 9126 §2).

use crate::store::id::{Id, SecretHash};
use keybound_dpop::time::UnixTime;
use serde::{Deserialize, Serialize};

/// An authorization request that its client sent us ahead of the browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// What finds it.
    #[serde(skip, default = "Id::unread")]
    pub id: Id,
    /// What proves that it is the one whose `request_uri` was handed out.
    #[serde(skip, default = "SecretHash::unread")]
    pub secret_hash: SecretHash,
    /// The client that pushed it.
    pub client_id: String,
    /// The parameters, form-encoded, without those of client authentication; the key of a proof is `dpop_jkt` in them.
    pub parameters: String,
    /// Until when a browser may come with it.
    #[serde(skip)]
    pub expires_at: UnixTime,
    /// Until when a visitor who came in time may finish.
    #[serde(skip)]
    pub keep_until: UnixTime,
    /// When the client got its answer.
    #[serde(skip)]
    pub used_at: Option<UnixTime>,
}
