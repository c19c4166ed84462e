//! The authorization code (RFC 6749 §4.1.2).

use super::time_ms;
use crate::store::id::{Id, SecretHash};
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization_details::AuthorizationDetails;
use serde::{Deserialize, Serialize};

/// An authorization code and what it was issued for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// What finds it.
    #[serde(skip, default = "Id::unread")]
    pub id: Id,
    /// What proves that it is the one that was handed out.
    #[serde(skip, default = "SecretHash::unread")]
    pub secret_hash: SecretHash,
    /// The family that everything issued from it belongs to.
    #[serde(skip, default = "Id::unread")]
    pub grant_id: Id,
    /// The client that it was issued to.
    pub client_id: String,
    /// Where it was sent.
    pub redirect_uri: String,
    /// Whether the authorization request named `redirect_uri`; the token request must then too (RFC 6749 §4.1.3).
    pub redirect_uri_sent: bool,
    /// `code_challenge`, method S256 (RFC 7636 §4.3).
    pub code_challenge: Option<String>,
    /// The key that the code is bound to (RFC 9449 §10).
    pub dpop_jkt: Option<String>,
    /// Who signed in.
    pub subject: String,
    /// What was granted.
    pub scope: Vec<String>,
    /// The resources that were granted (RFC 8707).
    pub resources: Vec<String>,
    /// What was granted in detail (RFC 9396).
    #[serde(default)]
    pub authorization_details: AuthorizationDetails,
    /// `nonce` of the authentication request (OpenID Connect Core §3.1.2.1).
    pub nonce: Option<String>,
    /// When the user signed in.
    #[serde(with = "time_ms")]
    pub auth_time: UnixTime,
    /// The sign-in session that it was issued in.
    pub session_id: Option<Id>,
    /// How the user signed in.
    pub acr: Option<String>,
    /// When it was issued.
    #[serde(with = "time_ms")]
    pub issued_at: UnixTime,
    /// When it ends.
    #[serde(skip)]
    pub expires_at: UnixTime,
    /// How often a redemption failed.
    #[serde(skip)]
    pub refusals: u8,
    /// Where it stands.
    #[serde(skip)]
    pub state: CodeState,
}

/// Where a code stands. Only a live one can be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodeState {
    /// Not yet redeemed.
    #[default]
    Live,
    /// Redeemed once; the row stays until the tokens of its grant have ended, so that reuse is seen.
    Redeemed {
        /// When.
        at: UnixTime,
    },
    /// Refused too often.
    Retired,
}
