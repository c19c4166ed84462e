//! The device code, and the user code that stands for it (RFC 8628 §3.2).

use super::time_ms;
use crate::store::id::{Id, SecretHash};
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::device::UserCode;
use serde::{Deserialize, Serialize};

/// A device code and what was asked for with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCode {
    /// What finds it for the device.
    #[serde(skip, default = "Id::unread")]
    pub id: Id,
    /// What proves that it is the one that was handed out.
    #[serde(skip, default = "SecretHash::unread")]
    pub secret_hash: SecretHash,
    /// What finds it for the user. Kept as it is: a digest of 34 bits hides nothing.
    #[serde(skip, default = "unread")]
    pub user_code: UserCode,
    /// The client that it was issued to.
    #[serde(skip)]
    pub client_id: String,
    /// The key that it is bound to.
    pub dpop_jkt: Option<String>,
    /// What is granted if the user agrees.
    pub scope: Vec<String>,
    /// The resources that are (RFC 8707).
    pub resources: Vec<String>,
    /// What is granted in detail, unless the user leaves some of it out (RFC 9396).
    #[serde(default)]
    pub authorization_details: AuthorizationDetails,
    /// When it was issued.
    #[serde(with = "time_ms")]
    pub issued_at: UnixTime,
    /// When it ends.
    #[serde(skip)]
    pub expires_at: UnixTime,
    /// What the device has to wait between two polls, in seconds.
    #[serde(skip)]
    pub interval_secs: u32,
    /// When it was polled last.
    #[serde(skip)]
    pub polled_at: Option<UnixTime>,
    /// Where it stands.
    #[serde(skip)]
    pub state: DeviceCodeState,
}

/// Where a device code stands. Only an allowed one can be taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceCodeState {
    /// Nobody has answered.
    #[default]
    Pending,
    /// A user said yes.
    Allowed(Approval),
    /// A user said no.
    Denied,
    /// The tokens were handed out.
    Taken(Approval),
}

/// Whose yes it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The family that everything issued from it belongs to.
    #[serde(skip, default = "Id::unread")]
    pub grant_id: Id,
    /// Who signed in.
    pub subject: String,
    /// When.
    #[serde(with = "time_ms")]
    pub auth_time: UnixTime,
    /// How.
    pub acr: Option<String>,
    /// What the user left of the details.
    #[serde(default)]
    pub authorization_details: AuthorizationDetails,
}

fn unread() -> UserCode {
    UserCode::from_entropy(0)
}
