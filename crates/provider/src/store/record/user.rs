//! A person who can sign in.

use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use serde_json::{Map, Value};

/// A person who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// What they type; unique, byte for byte.
    pub username: String,
    /// `sub`: unique (OpenID Connect Core §2).
    pub subject: String,
    /// The password's hash in PHC text form.
    pub password_hash: Secret,
    /// What is known of them (OpenID Connect Core §5.1).
    pub claims: Map<String, Value>,
    /// When any of this was last changed.
    pub updated_at: UnixTime,
}
