//! What a client has yet to be told (OpenID Connect Back-Channel Logout §2.5).

use crate::store::id::Id;
use keybound_dpop::time::UnixTime;

/// A client that has yet to be told that a session has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutNotice {
    /// What finds it.
    pub id: i64,
    /// The client.
    pub client_id: String,
    /// Who was signed in.
    pub subject: String,
    /// The id that the session had when the client came to take part in it.
    pub sid: Id,
    /// When the session ended.
    pub ended_at: UnixTime,
    /// How often the client was told in vain.
    pub tries: u32,
    /// When it is to be told next.
    pub due_at: UnixTime,
}
