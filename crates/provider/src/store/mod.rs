//! The store offers decisions, not rows.
//!
//! Whatever comes back to us as `id.secret` is looked up, shown to a rule, retired and followed by new records in one
//! transaction: [`Store::redeem_code`], [`Store::use_refresh_token`]. The rule is a plain function over the record; what
//! it asks for is a [`Verdict`], and what became of it a [`Decided`]. A client that has no right to a code cannot burn
//! it, two requests cannot share one, and the consequences of a refusal are written like any other change.
//!
//! A call whose future is dropped may still be carried out.

mod client;
mod consent;
mod id;
mod record;
mod session;
mod sqlite;
mod user;
mod verdict;

pub use consent::MAX_CONSENTS;
pub use id::{CREDENTIAL_ENTROPY, Credential, ID_ENTROPY, Id, SecretHash};
pub use record::{
    AccessToken, Approval, Client, ClientChanges, ClientSource, Code, CodeState, Consent, DeviceCode,
    DeviceCodeState, Grant, InitialToken, KeyChange, KeyUse, LogoutNotice, Pushed, RefreshToken,
    RefreshTokenState, Registered, Registering, SecretBytes, Session, SignedIn, SigningKey, User,
};
pub use sqlite::{Embedded, OpenError};
pub use verdict::{Decided, Fault, Verdict, Write};

use crate::metrics::Metrics;
use keybound_dpop::time::{Clock, UnixTime};
use keybound_oauth::device::UserCode;
use std::ops::AddAssign;
use std::path::Path;
use std::sync::Arc;

/// Where the provider keeps what must outlive it. Cheap to clone; every clone is the same store.
#[derive(Clone, Debug)]
pub enum Store {
    /// One SQLite file, for one node.
    Embedded(Embedded),
}

/// What became of a new user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Inserted {
    /// The user is there now.
    Yes,
    /// Another has that username. Nothing was written.
    UsernameTaken,
    /// Another has that subject. Nothing was written.
    SubjectTaken,
}

/// What became of a new device code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum DeviceCodeInserted {
    /// It is there now.
    Yes,
    /// The user code stands for another one. Nothing was written.
    UserCodeTaken,
    /// As many of the same client wait for an answer as may. Nothing was written.
    TooMany,
}

/// How many records were removed because they had ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Refresh tokens.
    pub refresh_tokens: usize,
    /// Grants, each with its codes and what else was left of it.
    pub grants: usize,
    /// Sign-in sessions.
    pub sessions: usize,
    /// Device codes.
    pub device_codes: usize,
    /// Pushed authorization requests.
    pub pushed: usize,
    /// Opaque access tokens.
    pub access_tokens: usize,
    /// Revocations of signed access tokens.
    pub revoked_tokens: usize,
    /// Consents that were remembered.
    pub consents: usize,
}

impl AddAssign for Swept {
    fn add_assign(&mut self, other: Self) {
        self.refresh_tokens += other.refresh_tokens;
        self.grants += other.grants;
        self.sessions += other.sessions;
        self.device_codes += other.device_codes;
        self.pushed += other.pushed;
        self.access_tokens += other.access_tokens;
        self.revoked_tokens += other.revoked_tokens;
        self.consents += other.consents;
    }
}

impl Store {
    /// Opens the SQLite file, or makes it, readable by its owner alone. Its folder has to be there. Several processes
    /// may open the same file. Blocks while it does.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Embedded::open(path).map(Self::Embedded)
    }

    /// Has the time of every look and every change counted there, by that clock; the first to ask is the one who gets it.
    pub fn measure(&self, clock: Arc<dyn Clock>, metrics: Metrics) {
        match self {
            Self::Embedded(db) => db.measure(clock, metrics),
        }
    }

    /// A number that changes with every change of clients, signing keys and replaced secrets, by whichever process: what is held in
    /// memory is good as long as it stays the same.
    pub async fn version(&self) -> Result<u64, Fault> {
        match self {
            Self::Embedded(db) => db.version(),
        }
    }

    /// Removes what ended before `now`. The service calls it every minute.
    pub async fn sweep(&self, now: UnixTime) -> Result<Swept, Fault> {
        match self {
            Self::Embedded(db) => db.sweep(now).await,
        }
    }

    /// The secret of that name, the same for all who ask, in every process: made of `entropy` on first use.
    pub async fn secret(&self, name: &str, entropy: [u8; 32]) -> Result<[u8; 32], Fault> {
        match self {
            Self::Embedded(db) => db.secret(name, entropy).await,
        }
    }

    /// Puts another secret in the place of the one of that name; changes [`Store::version`].
    pub async fn replace_secret(&self, name: &str, secret: [u8; 32]) -> Result<(), Fault> {
        match self {
            Self::Embedded(db) => db.replace_secret(name, secret).await,
        }
    }
}

/// Codes, refresh tokens and grants.
impl Store {
    /// Redeems an authorization code (RFC 6749 §4.1.3): `Take` marks it redeemed at `now`. See [`Verdict`] for what
    /// `decide` may do.
    pub async fn redeem_code<T, D>(
        &self,
        id: Id,
        secret_hash: SecretHash,
        now: UnixTime,
        decide: impl Fn(&Code, &Grant) -> Verdict<T, D> + Send + 'static,
    ) -> Result<Decided<T, D>, Fault>
    where
        T: Send + 'static,
        D: Send + 'static,
    {
        match self {
            Self::Embedded(db) => db.redeem_code((id, secret_hash), now, decide).await,
        }
    }

    /// Uses a refresh token (RFC 6749 §6): whether it stays or is rotated is for `decide` to write.
    pub async fn use_refresh_token<T, D>(
        &self,
        id: Id,
        secret_hash: SecretHash,
        decide: impl Fn(&RefreshToken, &Grant) -> Verdict<T, D> + Send + 'static,
    ) -> Result<Decided<T, D>, Fault>
    where
        T: Send + 'static,
        D: Send + 'static,
    {
        match self {
            Self::Embedded(db) => db.use_refresh_token((id, secret_hash), decide).await,
        }
    }

    /// Answers a pushed authorization request (RFC 9126 §4): `Take` marks it used at `now`.
    pub async fn redeem_pushed<T, D>(
        &self,
        id: Id,
        secret_hash: SecretHash,
        now: UnixTime,
        decide: impl Fn(&Pushed) -> Verdict<T, D> + Send + 'static,
    ) -> Result<Decided<T, D>, Fault>
    where
        T: Send + 'static,
        D: Send + 'static,
    {
        match self {
            Self::Embedded(db) => db.redeem_pushed((id, secret_hash), now, decide).await,
        }
    }

    /// Writes all of it or nothing, without a question.
    pub async fn write(&self, writes: Vec<Write>) -> Result<(), Fault> {
        match self {
            Self::Embedded(db) => db.write_all(writes).await,
        }
    }

    /// Looks at a code without touching it; none where the secret is not its secret. It may have ended.
    pub async fn find_code(&self, id: Id, secret_hash: &SecretHash) -> Result<Option<(Code, Grant)>, Fault> {
        match self {
            Self::Embedded(db) => db.find_code(id, secret_hash),
        }
    }

    /// Looks at a refresh token without touching it; none where the secret is not its secret. It may have ended.
    pub async fn find_refresh_token(
        &self,
        id: Id,
        secret_hash: &SecretHash,
    ) -> Result<Option<(RefreshToken, Grant)>, Fault> {
        match self {
            Self::Embedded(db) => db.find_refresh_token(id, secret_hash),
        }
    }

    /// Looks at a pushed request without touching it; none where the secret is not its secret. It may have expired.
    pub async fn find_pushed(&self, id: Id, secret_hash: &SecretHash) -> Result<Option<Pushed>, Fault> {
        match self {
            Self::Embedded(db) => db.find_pushed(id, secret_hash),
        }
    }

    /// The opaque access token; none where the secret is not its secret, or it was revoked by itself. It may have ended,
    /// or its grant.
    pub async fn find_access_token(
        &self,
        id: Id,
        secret_hash: &SecretHash,
    ) -> Result<Option<AccessToken>, Fault> {
        match self {
            Self::Embedded(db) => db.find_access_token(id, secret_hash),
        }
    }

    /// Whether the access token with that `jti` ended before its time: by itself, or with its grant.
    pub async fn is_revoked(&self, grant: Option<Id>, jti: &str) -> Result<bool, Fault> {
        match self {
            Self::Embedded(db) => db.is_revoked(grant, jti),
        }
    }

    /// The grant, unless it was revoked, or its access token with that `jti` by itself.
    pub async fn find_live_grant(&self, id: Id, jti: &str) -> Result<Option<Grant>, Fault> {
        match self {
            Self::Embedded(db) => db.live_grant(id, jti),
        }
    }

    /// The grant, as long as anything of it can be used.
    pub async fn grant(&self, id: Id) -> Result<Option<Grant>, Fault> {
        match self {
            Self::Embedded(db) => db.grant(id),
        }
    }
}

/// Device codes.
impl Store {
    /// Adds a device code, unless `max_pending` of its client wait for an answer already.
    pub async fn insert_device_code(
        &self,
        code: DeviceCode,
        max_pending: u32,
    ) -> Result<DeviceCodeInserted, Fault> {
        match self {
            Self::Embedded(db) => db.insert_device_code(code, max_pending).await,
        }
    }

    /// Redeems a device code (RFC 8628 §3.4): `Take` marks it taken. The grant is there once a user said yes.
    pub async fn redeem_device_code<T, D>(
        &self,
        id: Id,
        secret_hash: SecretHash,
        decide: impl Fn(&DeviceCode, Option<&Grant>) -> Verdict<T, D> + Send + 'static,
    ) -> Result<Decided<T, D>, Fault>
    where
        T: Send + 'static,
        D: Send + 'static,
    {
        match self {
            Self::Embedded(db) => db.redeem_device_code((id, secret_hash), decide).await,
        }
    }

    /// Answers the device code that the user code stands for (RFC 8628 §3.3): `Take` writes
    /// [`Write::AllowDevice`] or [`Write::DenyDevice`], and only for one that is pending.
    pub async fn answer_device_code<T, D>(
        &self,
        user_code: UserCode,
        decide: impl Fn(&DeviceCode) -> Verdict<T, D> + Send + 'static,
    ) -> Result<Decided<T, D>, Fault>
    where
        T: Send + 'static,
        D: Send + 'static,
    {
        match self {
            Self::Embedded(db) => db.answer_device_code(user_code, decide).await,
        }
    }

    /// Looks at a device code without touching it; none where the secret is not its secret. It may have ended.
    pub async fn find_device_code(
        &self,
        id: Id,
        secret_hash: &SecretHash,
    ) -> Result<Option<DeviceCode>, Fault> {
        match self {
            Self::Embedded(db) => db.find_device_code(id, secret_hash),
        }
    }

    /// The device code that the user code stands for. It may have ended.
    pub async fn device_code_by_user_code(&self, user_code: &UserCode) -> Result<Option<DeviceCode>, Fault> {
        match self {
            Self::Embedded(db) => db.device_code_by_user_code(user_code),
        }
    }
}

/// Signing keys. Each change changes [`Store::version`].
impl Store {
    /// Shows all keys to `decide` and writes what it asks for, in one transaction; gives what was written. What is
    /// refused writes nothing.
    pub async fn change_signing_keys<D>(
        &self,
        decide: impl Fn(&[SigningKey]) -> Result<KeyChange, D> + Send + 'static,
    ) -> Result<Result<KeyChange, D>, Fault>
    where
        D: Send + 'static,
    {
        match self {
            Self::Embedded(db) => db.change_signing_keys(decide).await,
        }
    }

    /// All keys, retired ones too, in the order in which they sign.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, Fault> {
        match self {
            Self::Embedded(db) => db.signing_keys(),
        }
    }
}
