//! What a user lets a client have without being asked again.

use crate::store::id::Id;
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization_details::AuthorizationDetails;
use serde::{Deserialize, Serialize};

/// A consent that is remembered: one extent of one client's access, as it was allowed on a page. Several of one client
/// stand beside each other, so that no scope reaches a resource that it was not allowed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// What finds it.
    #[serde(skip, default = "Id::unread")]
    pub id: Id,
    /// Who gave it.
    #[serde(skip)]
    pub subject: String,
    /// To which client.
    #[serde(skip)]
    pub client_id: String,
    /// A digest of what the client was known by then: it must be the same client still.
    pub client_hash: String,
    /// To what, as it was shown: with the scopes that stand for claims that were asked for by name.
    pub scope: Vec<String>,
    /// Where (RFC 8707).
    pub resources: Vec<String>,
    /// In detail (RFC 9396).
    pub authorization_details: AuthorizationDetails,
    /// When it was given.
    #[serde(skip)]
    pub given_at: UnixTime,
    /// When it last answered a request.
    #[serde(skip)]
    pub used_at: Option<UnixTime>,
    /// When it ends.
    #[serde(skip)]
    pub expires_at: UnixTime,
}
