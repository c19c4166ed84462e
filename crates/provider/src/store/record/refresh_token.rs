//! The refresh token (RFC 6749 §6, RFC 9449 §5).

use super::{Grant, time_ms};
use crate::store::id::{Id, SecretHash};
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization_details::AuthorizationDetails;
use serde::{Deserialize, Serialize};

/// A refresh token and what it is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshToken {
    /// What finds it.
    #[serde(skip, default = "Id::unread")]
    pub id: Id,
    /// What proves that it is the one that was handed out.
    #[serde(skip, default = "SecretHash::unread")]
    pub secret_hash: SecretHash,
    /// The family that it belongs to.
    #[serde(skip, default = "Id::unread")]
    pub grant_id: Id,
    /// The client that it was issued to.
    pub client_id: String,
    /// Whom it speaks for.
    pub subject: String,
    /// The key that it is bound to; none for a confidential client, which is bound by its authentication.
    pub jkt: Option<String>,
    /// What was granted.
    pub scope: Vec<String>,
    /// The resources that were granted (RFC 8707).
    pub resources: Vec<String>,
    /// What was granted in detail (RFC 9396).
    #[serde(default)]
    pub authorization_details: AuthorizationDetails,
    /// When the user signed in; the same in every ID token of the family (OpenID Connect Core §12.2).
    #[serde(with = "time_ms")]
    pub auth_time: UnixTime,
    /// How the user signed in.
    #[serde(default)]
    pub acr: Option<String>,
    /// The sign-in session that the grant was given in.
    pub session_id: Option<Id>,
    /// Whether it outlives the sign-in (`offline_access`, OpenID Connect Core §11).
    pub offline: bool,
    /// When it was issued.
    #[serde(with = "time_ms")]
    pub issued_at: UnixTime,
    /// When it was last used; when it was issued where it never was.
    #[serde(skip)]
    pub last_used_at: UnixTime,
    /// The end that no use moves.
    #[serde(skip)]
    pub expires_at: UnixTime,
    /// The end that use moves; never later than `expires_at`.
    #[serde(skip)]
    pub idle_expires_at: UnixTime,
    /// Where it stands.
    #[serde(skip)]
    pub state: RefreshTokenState,
}

/// Where a refresh token stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshTokenState {
    /// Good for use.
    #[default]
    Live,
    /// Used, and another was issued in its place.
    Rotated {
        /// When, for the first time.
        at: UnixTime,
        /// The token issued then.
        successor: Id,
    },
    /// Its grant was revoked, or its sign-in ended and it is not for offline use.
    Revoked,
}

impl RefreshTokenState {
    /// The grant's end is its tokens' end: one rule for every backend, and no row to write per token.
    pub(in crate::store) fn of(offline: bool, grant: &Grant, rotated: Option<(UnixTime, Id)>) -> Self {
        let session_ended = grant.session_ended_at.is_some() && !offline;
        match rotated {
            _ if grant.revoked_at.is_some() || session_ended => Self::Revoked,
            Some((at, successor)) => Self::Rotated { at, successor },
            None => Self::Live,
        }
    }
}
