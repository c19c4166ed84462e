//! Consents that are remembered.

use super::{Consent, Fault, Id, Store};

/// Extents that are remembered of one user at one client, at the most; the oldest makes room.
pub const MAX_CONSENTS: u32 = 16;

impl Store {
    /// What the user lets the client have without being asked again, or all clients; the latest first. It may have ended.
    /// [`Write`](super::Write) remembers, uses and forgets.
    pub async fn consents(&self, subject: &str, client_id: Option<&str>) -> Result<Vec<Consent>, Fault> {
        match self {
            Self::Embedded(db) => db.consents(subject, client_id),
        }
    }

    /// At most `limit` of all that is remembered, oldest first, from the first one after `after` on.
    pub async fn all_consents(&self, after: Option<Id>, limit: u32) -> Result<Vec<Consent>, Fault> {
        match self {
            Self::Embedded(db) => db.all_consents(after, limit),
        }
    }
}
