//! What a logout means to clients: the name that each knows a session by, and the word that it has ended
//! (OpenID Connect Back-Channel Logout). The page and the cookie are in [`interaction::logout`](crate::interaction::logout).

mod deliver;

pub use deliver::{Courier, PAUSES_SECS, deliver_due};

use crate::provider::Provider;
use crate::store::Id;
use keybound_dpop::jose::base64url;
use keybound_oauth::identifier::ClientId;

/// `sid`: 128 bits that are the same for one session and client and say nothing else, so that two clients cannot find
/// out that they have the same browser before them.
#[must_use]
pub fn sid(provider: &Provider, session: Id, client_id: &ClientId) -> String {
    let mac = provider.form_key.0.mac(&[b"sid", session.as_bytes(), client_id.as_str().as_bytes()]);
    base64url::encode(mac.first_chunk::<16>().map_or(&[][..], |chunk| chunk))
}
