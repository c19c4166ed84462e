//! What a rule says of a record, what it asks to be written, and what became of it.

use super::id::Id;
use super::record::{AccessToken, Approval, Code, Consent, Grant, Pushed, RefreshToken, Session};
use keybound_dpop::time::UnixTime;

/// What a rule says of the record that it was shown.
///
/// The rule runs inside the store's transaction: it is pure and quick, owns what it needs, may run twice, and never
/// signs, verifies or hashes a password.
#[derive(Debug)]
pub enum Verdict<T, D> {
    /// The record is used: it is marked so, and `writes` go with it.
    Take {
        /// What is written along with the use.
        writes: Vec<Write>,
        /// What the caller gets once all is on disk.
        out: T,
    },
    /// The record is left as it was: who asked had no right to it, and must not be able to spoil it.
    Leave(D),
    /// The use is refused, and the refusal has consequences: reuse of a code revokes what came of it
    /// (RFC 6749 §4.1.2, RFC 9700 §4.14.2).
    Revoke {
        /// What is written along with the refusal.
        writes: Vec<Write>,
        /// Why it was refused.
        denied: D,
    },
}

/// What became of a decision, after it was written.
#[derive(Debug, PartialEq, Eq)]
pub enum Decided<T, D> {
    /// The record was used, by this call and no other.
    Taken(T),
    /// The rule refused.
    Denied(D),
    /// There is no such record, or the secret is not its secret. The rule was not asked, nothing was written.
    Unknown,
}

/// One change. Those of a verdict are written together or not at all.
#[derive(Clone, Debug)]
pub enum Write {
    /// A new family, before anything that belongs to it.
    InsertGrant(Grant),
    /// A new code of a grant that is there; the grant is kept as long as the code can be redeemed.
    InsertCode(Box<Code>),
    /// A new refresh token of a grant that is there; the grant is kept as long as the token can be used.
    InsertRefreshToken(Box<RefreshToken>),
    /// A new opaque access token; its grant, where it has one, is there and is kept as long as the token can be used.
    InsertAccessToken(Box<AccessToken>),
    /// The opaque access token ends.
    RemoveAccessToken {
        /// The token.
        id: Id,
    },
    /// The signed access token ends before its time.
    RevokeToken {
        /// Its `jti`.
        jti: String,
        /// When it would have ended.
        expires_at: UnixTime,
    },
    /// The token has a successor. Of several rotations the first stands: its time begins the grace period.
    RotateRefreshToken {
        /// The token that was used.
        id: Id,
        /// The token that was issued in its place.
        successor: Id,
        /// When it was used.
        at: UnixTime,
    },
    /// The token was used and stays.
    TouchRefreshToken {
        /// The token.
        id: Id,
        /// When it was used.
        at: UnixTime,
        /// When it ends if it is not used again.
        idle_expires_at: UnixTime,
    },
    /// A redemption of the code failed for a reason that guessing could explain.
    CodeRefused {
        /// The code.
        id: Id,
        /// Whether this was once too often: the code is then of no more use.
        retire: bool,
    },
    /// The grant is kept at least until then, because an access token of it lives that long.
    KeepGrant {
        /// The grant.
        id: Id,
        /// The end of what was issued from it.
        until: UnixTime,
    },
    /// The whole family ends: its refresh tokens read as revoked from now on. The first revocation's time stands.
    RevokeGrant {
        /// The grant.
        id: Id,
        /// When.
        at: UnixTime,
    },
    /// All families of the user at one client end, and what is remembered of it: consent was withdrawn.
    RevokeGrantsOf {
        /// Whose.
        subject: String,
        /// At which client; every client where left out.
        client_id: Option<String>,
        /// When.
        at: UnixTime,
    },
    /// A consent is remembered; the oldest of its user and client goes where there are too many.
    RememberConsent(Box<Consent>),
    /// A request is answered because of the consent: nothing is written where it was forgotten in between.
    UseConsent {
        /// The consent.
        id: Id,
        /// When.
        at: UnixTime,
    },
    /// The user is asked again for this.
    ForgetConsent {
        /// The consent.
        id: Id,
    },
    /// The user is asked again for everything.
    ForgetConsentsOf {
        /// Who.
        subject: String,
        /// At which client; every client where left out.
        client_id: Option<String>,
    },
    /// A new pushed authorization request.
    InsertPushed(Box<Pushed>),
    /// A user said yes to a device: its code can be taken. The grant is kept as long as that is so.
    AllowDevice {
        /// The device code.
        id: Id,
        /// Whose yes it was, with a grant that is there.
        approval: Approval,
    },
    /// A user said no to a device.
    DenyDevice {
        /// The device code.
        id: Id,
    },
    /// A device asked, and has to wait.
    DevicePolled {
        /// The device code.
        id: Id,
        /// When.
        at: UnixTime,
        /// How long it has to wait until it asks again, in seconds.
        interval_secs: u32,
    },
    /// A new sign-in session.
    InsertSession(Session),
    /// The session was seen, and its end moves.
    RenewSession {
        /// The session.
        id: Id,
        /// When it was seen.
        last_seen_at: UnixTime,
        /// When it ends now.
        expires_at: UnixTime,
    },
    /// The sign-in ends, and with it every refresh token issued in it that is not for offline use.
    EndSession {
        /// The session.
        id: Id,
        /// When.
        at: UnixTime,
    },
    /// Another sign-in in the same browser: the old session is gone. Its grants move along where the user is the
    /// same, and end like those of [`Write::EndSession`] where not.
    ReplaceSession {
        /// The session before.
        old: Id,
        /// The session from now on.
        new: Session,
        /// When.
        at: UnixTime,
    },
    /// A client was told that a session has ended, or never will be.
    RemoveLogoutNotice {
        /// The notice.
        id: i64,
    },
    /// A client was told in vain.
    DelayLogoutNotice {
        /// The notice.
        id: i64,
        /// How often, so far.
        tries: u32,
        /// When it is to be told next.
        due_at: UnixTime,
    },
}

/// The store could not do its work. Nothing of what was asked is written, unless the answer itself was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Busy, full, broken, or a rule that panicked. 503 on the wire.
    #[error("the store is not available for the moment")]
    Unavailable {
        /// What happened, for the log only.
        reason: String,
    },
}

impl Fault {
    /// What happened, for the log only.
    #[must_use]
    pub fn reason(&self) -> &str {
        let Self::Unavailable { reason } = self;
        reason
    }

    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }
}
