//! The family of everything that was issued from one authorization.

use crate::store::id::Id;
use keybound_dpop::time::UnixTime;
use keybound_oauth::claims_request::ClaimsRequest;

/// One authorization: what is revoked together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What finds it.
    pub id: Id,
    /// The client that it was given to.
    pub client_id: String,
    /// The user who gave it; none where the client acts for itself.
    pub subject: Option<String>,
    /// The sign-in session that it belongs to now.
    pub session_id: Option<Id>,
    /// When it was given.
    pub created_at: UnixTime,
    /// When it was revoked.
    pub revoked_at: Option<UnixTime>,
    /// When its sign-in session ended; what is for offline use lives on.
    pub session_ended_at: Option<UnixTime>,
    /// The claims that were asked for by name and granted, besides those of the scope (OpenID Connect Core §5.5).
    pub claims: ClaimsRequest,
}
