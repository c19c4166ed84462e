//! The sign-in session of a browser.

use super::consent::Consent;
use crate::store::id::{Id, SecretHash};
use keybound_dpop::time::UnixTime;

/// Who is signed in, in one browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What finds it.
    pub id: Id,
    /// What proves that it is the one whose cookie was set.
    pub secret_hash: SecretHash,
    /// Who signed in.
    pub subject: String,
    /// When.
    pub auth_time: UnixTime,
    /// How.
    pub acr: Option<String>,
    /// When the session began.
    pub created_at: UnixTime,
    /// When it was last used.
    pub last_seen_at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// What the pages need to know of who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// The name of its user.
    pub username: String,
    /// What the user lets one client have without being asked again; the latest first. It may have ended.
    pub consents: Vec<Consent>,
}
