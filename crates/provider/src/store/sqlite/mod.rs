//! The embedded backend: SQLite in one file, one writing thread, readers beside it.

mod account;
mod client;
mod column;
mod consent;
mod decide;
mod device;
mod logout;
mod open;
mod read;
mod schema;
mod session;
mod signing_key;
mod standing;
mod sweep;
mod write;
mod writer;

pub use open::OpenError;

use super::id::{Id, SecretHash};
use super::record::{
    AccessToken, Client, ClientChanges, Code, DeviceCode, Grant, InitialToken, KeyChange, LogoutNotice,
    Pushed, RefreshToken, Registered, Registering, Session, SignedIn, SigningKey, User,
};
use super::verdict::{Decided, Fault, Verdict, Write};
use super::{DeviceCodeInserted, Inserted, Swept};
use crate::metrics::Metrics;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Clock, UnixTime};
use keybound_oauth::device::UserCode;
use parking_lot::Mutex;
use read::Guarded;
use rusqlite::Connection;
use serde_json::{Map, Value};
use standing::StandingLook;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use writer::Writer;

/// Readers that are kept open while nobody reads.
const READERS: usize = 16;

/// A store in one SQLite file.
#[derive(Clone)]
pub struct Embedded(Arc<Database>);

struct Database {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    writer: Writer,
    meter: OnceLock<(Arc<dyn Clock>, Metrics)>,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Embedded").field(&self.0.path).finish()
    }
}

impl Embedded {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |reason: String| OpenError::Other { path: path.to_owned(), reason };
        let connection = open::writer(path)?;
        let open_reader = || open::reader(path).map_err(|error| failed(error.to_string()));
        let (reader, look) = (open_reader()?, StandingLook::by(open_reader()?));
        let writer = Writer::start(connection, look).map_err(|error| failed(error.to_string()))?;
        Ok(Self(Arc::new(Database {
            path: path.to_owned(),
            readers: Mutex::new(vec![reader]),
            writer,
            meter: OnceLock::new(),
        })))
    }

    pub(super) fn measure(&self, clock: Arc<dyn Clock>, metrics: Metrics) {
        // Another provider over the same handle counts already.
        let _ = self.0.meter.set((clock, metrics));
    }

    /// What time it is, where somebody wants to know how long it takes.
    fn begin(&self) -> Option<Duration> {
        self.0.meter.get().map(|(clock, _)| clock.monotonic())
    }

    fn end(&self, begun: Option<Duration>, count: fn(&Metrics, Duration)) {
        if let (Some(begun), Some((clock, metrics))) = (begun, self.0.meter.get()) {
            count(metrics, clock.monotonic().saturating_sub(begun));
        }
    }

    /// A point read takes a few microseconds: it runs where it is called, no thread is kept waiting for it.
    fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let begun = self.begin();
        let kept = self.0.readers.lock().pop();
        let reader = match kept {
            Some(reader) => reader,
            None => open::reader(&self.0.path)?,
        };
        let found = look(&reader)?;
        let mut readers = self.0.readers.lock();
        if readers.len() < READERS {
            readers.push(reader);
        }
        drop(readers);
        self.end(begun, Metrics::store_read);
        Ok(found)
    }

    /// Queues the work at once: a future that had it inside would be moved with it, from call to call.
    fn write<T, F>(&self, work: F) -> impl Future<Output = Result<T, Fault>>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let begun = self.begin();
        let written = self.0.writer.submit(work);
        async move {
            let written = written.await;
            self.end(begun, Metrics::store_written);
            written
        }
    }

    pub(super) async fn redeem_code<T, D>(
        &self,
        (id, secret_hash): (Id, SecretHash),
        now: UnixTime,
        decide: impl Fn(&Code, &Grant) -> Verdict<T, D> + Send + 'static,
    ) -> Result<Decided<T, D>, Fault>
    where
        T: Send + 'static,
        D: Send + 'static,
    {
        self.write(move |db| decide::redeem_code(db, id, &secret_hash, now, &decide)).await
    }

    pub(super) async fn use_refresh_token<T, D>(
        &self,
        (id, secret_hash): (Id, SecretHash),
        decide: impl Fn(&RefreshToken, &Grant) -> Verdict<T, D> + Send + 'static,
    ) -> Result<Decided<T, D>, Fault>
    where
        T: Send + 'static,
        D: Send + 'static,
    {
        self.write(move |db| decide::use_refresh_token(db, id, &secret_hash, &decide)).await
    }

    pub(super) async fn redeem_pushed<T, D>(
        &self,
        (id, secret_hash): (Id, SecretHash),
        now: UnixTime,
        decide: impl Fn(&Pushed) -> Verdict<T, D> + Send + 'static,
    ) -> Result<Decided<T, D>, Fault>
    where
        T: Send + 'static,
        D: Send + 'static,
    {
        self.write(move |db| decide::redeem_pushed(db, id, &secret_hash, now, &decide)).await
    }

    pub(super) async fn redeem_device_code<T, D>(
        &self,
        (id, secret_hash): (Id, SecretHash),
        decide: impl Fn(&DeviceCode, Option<&Grant>) -> Verdict<T, D> + Send + 'static,
    ) -> Result<Decided<T, D>, Fault>
    where
        T: Send + 'static,
        D: Send + 'static,
    {
        self.write(move |db| device::redeem(db, id, &secret_hash, &decide)).await
    }

    pub(super) async fn answer_device_code<T, D>(
        &self,
        user_code: UserCode,
        decide: impl Fn(&DeviceCode) -> Verdict<T, D> + Send + 'static,
    ) -> Result<Decided<T, D>, Fault>
    where
        T: Send + 'static,
        D: Send + 'static,
    {
        self.write(move |db| device::answer(db, &user_code, &decide)).await
    }

    pub(super) async fn insert_device_code(
        &self,
        code: DeviceCode,
        max_pending: u32,
    ) -> Result<DeviceCodeInserted, Fault> {
        self.write(move |db| device::insert(db, &code, max_pending)).await
    }

    pub(super) fn find_device_code(&self, id: Id, hash: &SecretHash) -> Result<Option<DeviceCode>, Fault> {
        self.read(|db| Guarded::open(db, id, hash))
    }

    pub(super) fn device_code_by_user_code(&self, code: &UserCode) -> Result<Option<DeviceCode>, Fault> {
        self.read(|db| device::by_user_code(db, code))
    }

    pub(super) async fn write_all(&self, writes: Vec<Write>) -> Result<(), Fault> {
        self.write(move |db| write::apply_all(db, &writes)).await
    }

    pub(super) fn find_code(&self, id: Id, hash: &SecretHash) -> Result<Option<(Code, Grant)>, Fault> {
        self.read(|db| Guarded::open(db, id, hash))
    }

    pub(super) fn find_refresh_token(
        &self,
        id: Id,
        hash: &SecretHash,
    ) -> Result<Option<(RefreshToken, Grant)>, Fault> {
        self.read(|db| Guarded::open(db, id, hash))
    }

    pub(super) fn find_pushed(&self, id: Id, hash: &SecretHash) -> Result<Option<Pushed>, Fault> {
        self.read(|db| Guarded::open(db, id, hash))
    }

    pub(super) fn find_session(&self, id: Id, hash: &SecretHash) -> Result<Option<Session>, Fault> {
        self.read(|db| Guarded::open(db, id, hash))
    }

    pub(super) fn find_signed_in(
        &self,
        id: Id,
        hash: &SecretHash,
        client_id: Option<&str>,
    ) -> Result<Option<SignedIn>, Fault> {
        self.read(|db| session::signed_in(db, id, hash, client_id))
    }

    pub(super) fn sessions(
        &self,
        subject: Option<&str>,
        after: Option<Id>,
        limit: u32,
    ) -> Result<Vec<Session>, Fault> {
        self.read(|db| session::list(db, subject, after, limit))
    }

    pub(super) async fn end_session(&self, id: Id, at: UnixTime) -> Result<bool, Fault> {
        self.write(move |db| session::end(db, id, at)).await
    }

    pub(super) async fn end_sessions_of(&self, subject: String, at: UnixTime) -> Result<usize, Fault> {
        self.write(move |db| session::end_all_of(db, &subject, at)).await
    }

    pub(super) fn sids(&self, session: Id, client_id: &str) -> Result<Vec<Id>, Fault> {
        self.read(|db| logout::sids(db, session, client_id))
    }

    pub(super) fn due_logout_notices(
        &self,
        now: UnixTime,
        per_client: u32,
    ) -> Result<Vec<LogoutNotice>, Fault> {
        self.read(|db| logout::due(db, now, per_client))
    }

    pub(super) fn find_access_token(&self, id: Id, hash: &SecretHash) -> Result<Option<AccessToken>, Fault> {
        self.read(|db| Guarded::open(db, id, hash))
    }

    pub(super) fn is_revoked(&self, grant: Option<Id>, jti: &str) -> Result<bool, Fault> {
        self.read(|db| read::is_revoked(db, grant, jti))
    }

    pub(super) fn live_grant(&self, id: Id, jti: &str) -> Result<Option<Grant>, Fault> {
        self.read(|db| read::live_grant(db, id, jti))
    }

    pub(super) fn grant(&self, id: Id) -> Result<Option<Grant>, Fault> {
        self.read(|db| read::grant_by_id(db, id))
    }

    pub(super) async fn insert_user(&self, user: User) -> Result<Inserted, Fault> {
        self.write(move |db| account::insert_user(db, &user)).await
    }

    pub(super) async fn set_password(
        &self,
        username: String,
        password_hash: Secret,
        at: UnixTime,
    ) -> Result<bool, Fault> {
        self.write(move |db| account::set_password(db, &username, &password_hash, at)).await
    }

    pub(super) async fn set_claims(
        &self,
        username: String,
        claims: Map<String, Value>,
        at: UnixTime,
    ) -> Result<bool, Fault> {
        self.write(move |db| account::set_claims(db, &username, &claims, at)).await
    }

    pub(super) async fn remove_user(&self, username: String, at: UnixTime) -> Result<bool, Fault> {
        self.write(move |db| account::remove_user(db, &username, at)).await
    }

    pub(super) fn user_by_username(&self, username: &str) -> Result<Option<User>, Fault> {
        self.read(|db| account::user_by_username(db, username))
    }

    pub(super) fn user_by_subject(&self, subject: &str) -> Result<Option<User>, Fault> {
        self.read(|db| account::user_by_subject(db, subject))
    }

    pub(super) fn users(&self, after: &str, limit: u32) -> Result<Vec<User>, Fault> {
        self.read(|db| account::users(db, after, limit))
    }

    pub(super) async fn upsert_client(&self, client: Client) -> Result<(), Fault> {
        self.write(move |db| client::upsert(db, &client)).await
    }

    pub(super) async fn remove_client(&self, client_id: String, at: UnixTime) -> Result<bool, Fault> {
        self.write(move |db| client::remove(db, &client_id, at)).await
    }

    pub(super) fn client(&self, client_id: &str) -> Result<Option<Client>, Fault> {
        self.read(|db| client::by_id(db, client_id))
    }

    pub(super) fn clients(&self) -> Result<Vec<Client>, Fault> {
        self.read(client::every)
    }

    pub(super) fn clients_since(&self, version: u64) -> Result<ClientChanges, Fault> {
        self.read(|db| client::since(db, version))
    }

    pub(super) async fn register_client(&self, new: Registering) -> Result<Registered, Fault> {
        self.write(move |db| client::register(db, &new)).await
    }

    pub(super) fn managed_client(&self, id: &str, management: &SecretHash) -> Result<Option<Client>, Fault> {
        self.read(|db| client::managed(db, id, management))
    }

    pub(super) async fn change_client<D: Send + 'static>(
        &self,
        (id, management): (&str, SecretHash),
        at: UnixTime,
        decide: impl Fn(&Client) -> Result<Client, D> + Send + 'static,
    ) -> Result<Decided<Client, D>, Fault> {
        let id = id.to_owned();
        self.write(move |db| client::change(db, &id, &management, at, &decide)).await
    }

    pub(super) async fn touch_clients(&self, ids: Vec<String>, at: UnixTime) -> Result<(), Fault> {
        self.write(move |db| client::touch(db, &ids, at)).await
    }

    pub(super) async fn forget_clients(&self, unused_since: UnixTime, now: UnixTime) -> Result<usize, Fault> {
        let mut total = 0;
        loop {
            let (batch, more) = self.write(move |db| client::forget(db, unused_since, now)).await?;
            total += batch;
            if !more {
                return Ok(total);
            }
        }
    }

    pub(super) async fn insert_initial_token(&self, token: InitialToken) -> Result<(), Fault> {
        self.write(move |db| client::insert_initial_token(db, &token)).await
    }

    pub(super) fn initial_token(&self, id: Id, hash: &SecretHash) -> Result<Option<InitialToken>, Fault> {
        self.read(|db| client::initial_token(db, id, hash))
    }

    pub(super) async fn change_signing_keys<D: Send + 'static>(
        &self,
        decide: impl Fn(&[SigningKey]) -> Result<KeyChange, D> + Send + 'static,
    ) -> Result<Result<KeyChange, D>, Fault> {
        self.write(move |db| signing_key::change(db, &decide)).await
    }

    pub(super) fn signing_keys(&self) -> Result<Vec<SigningKey>, Fault> {
        self.read(signing_key::all)
    }

    pub(super) async fn secret(&self, name: &str, entropy: [u8; 32]) -> Result<[u8; 32], Fault> {
        if let Some(there) = self.read(|db| account::secret(db, name))? {
            return Ok(there);
        }
        let name = name.to_owned();
        self.write(move |db| account::create_secret(db, &name, entropy)).await
    }

    pub(super) async fn replace_secret(&self, name: &str, secret: [u8; 32]) -> Result<(), Fault> {
        let name = name.to_owned();
        self.write(move |db| account::replace_secret(db, &name, secret)).await
    }

    pub(super) fn version(&self) -> Result<u64, Fault> {
        self.read(account::version)
    }

    pub(super) async fn sweep(&self, now: UnixTime) -> Result<Swept, Fault> {
        let mut total = Swept::default();
        loop {
            let (batch, more) = self.write(move |db| sweep::sweep(db, now)).await?;
            total += batch;
            if !more {
                return Ok(total);
            }
        }
    }
}
