//! Sign-in sessions: who is signed in, who takes part, and who has yet to be told of an end.

use super::{Fault, Id, LogoutNotice, SecretHash, Session, SignedIn, Store};
use keybound_dpop::time::UnixTime;

/// Each end that is no expiry writes notices for the clients that took part and want to be told.
impl Store {
    /// The sign-in session; none where the secret is not its secret. It may have ended. [`Write`](super::Write) begins, renews,
    /// replaces and ends one.
    pub async fn find_session(&self, id: Id, secret_hash: &SecretHash) -> Result<Option<Session>, Fault> {
        match self {
            Self::Embedded(db) => db.find_session(id, secret_hash),
        }
    }

    /// The same, with its user and what they let that client have; none where the user is gone.
    ///
    /// # Errors
    /// [`Fault`]
    pub async fn find_signed_in(
        &self,
        id: Id,
        secret_hash: &SecretHash,
        client_id: Option<&str>,
    ) -> Result<Option<SignedIn>, Fault> {
        match self {
            Self::Embedded(db) => db.find_signed_in(id, secret_hash, client_id),
        }
    }

    /// At most `limit` sessions in the order of their birth, of that user or of all, from the first after `after` on.
    /// They may have ended by time.
    pub async fn sessions(
        &self,
        subject: Option<&str>,
        after: Option<Id>,
        limit: u32,
    ) -> Result<Vec<Session>, Fault> {
        match self {
            Self::Embedded(db) => db.sessions(subject, after, limit),
        }
    }

    /// Ends the session as [`Write::EndSession`] does. False where there is none.
    pub async fn end_session(&self, id: Id, at: UnixTime) -> Result<bool, Fault> {
        match self {
            Self::Embedded(db) => db.end_session(id, at).await,
        }
    }

    /// Ends all sessions of the user in the same way; how many there were.
    pub async fn end_sessions_of(&self, subject: &str, at: UnixTime) -> Result<usize, Fault> {
        match self {
            Self::Embedded(db) => db.end_sessions_of(subject.to_owned(), at).await,
        }
    }

    /// The ids that the session had when the client came to take part in it: several where the user signed in anew
    /// meanwhile, none where the client has no part in it.
    pub async fn sids(&self, session: Id, client_id: &str) -> Result<Vec<Id>, Fault> {
        match self {
            Self::Embedded(db) => db.sids(session, client_id),
        }
    }

    /// The notices that are due, at most `per_client` of one client.
    pub async fn due_logout_notices(
        &self,
        now: UnixTime,
        per_client: u32,
    ) -> Result<Vec<LogoutNotice>, Fault> {
        match self {
            Self::Embedded(db) => db.due_logout_notices(now, per_client),
        }
    }
}
