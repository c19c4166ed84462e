//! The access token that is no JWT: it says nothing by itself.

use crate::store::id::{Id, SecretHash};
use keybound_dpop::time::UnixTime;
use serde_json::{Map, Value};

/// An opaque access token and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// What finds it.
    pub id: Id,
    /// What proves that it is the one that was handed out.
    pub secret_hash: SecretHash,
    /// The family that it belongs to; none where the client acts for itself.
    pub grant_id: Option<Id>,
    /// When it ends.
    pub expires_at: UnixTime,
    /// The claims that it would hold if it were a JWT (RFC 9068 §2.2).
    pub claims: Map<String, Value>,
}
