//! A session that several callers use at once: whoever finds the token no longer good renews it for all of them.

use crate::client::Client;
use crate::destination::Destination;
use crate::error::ClientError;
use crate::private_dir::FileLock;
use crate::prover::{Proof, Prover};
use crate::resource_exchange::{Credentials, ResourceError};
use crate::session::Session;
use crate::session_store::{SessionStore, SessionStoreError};
use http::{HeaderMap, Method};
use keybound_dpop::secret::Secret;
use keybound_oauth::identifier::{ClientId, Issuer};
use parking_lot::RwLock;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::OwnedMutexGuard;

/// How a session is kept up.
#[derive(Clone, Debug, Default)]
pub struct Upkeep {
    /// Who renews the access token; without, a token that is no longer good is the caller's to see.
    pub renewal: Option<Client>,
    /// Where the session is kept, so that a renewed token outlives this process.
    pub place: Option<Place>,
}

/// Finds the client that renews a session, for callers who may never have to: it is asked when there is something to renew,
/// and not before.
pub trait FindClient: fmt::Debug + Send + Sync {
    /// The client, under the key of the session. What else goes wrong is told as [`ClientError::Finding`].
    fn find(&self) -> Pin<Box<dyn Future<Output = Result<Client, ClientError>> + Send + '_>>;
}

/// A session's place in a store, shared with other processes.
#[derive(Clone, Debug)]
pub struct Place {
    /// The store.
    pub store: SessionStore,
    /// The session's name.
    pub name: String,
}

/// A session with its key. Cheap to clone; clones share the session, so that one renewal serves them all.
#[derive(Clone, Debug)]
pub struct SharedSession {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    prover: Prover,
    renewal: Option<Renewal>,
    place: Option<Place>,
    held: RwLock<Arc<Held>>,
    /// Held by whoever renews.
    renewing: Arc<tokio::sync::Mutex<Renewals>>,
    /// How many renewals have failed.
    failures: AtomicU64,
}

/// What one renewal leaves to the next.
#[derive(Debug, Default)]
struct Renewals {
    /// What the last failure said, for those who waited meanwhile.
    failure: Option<String>,
    /// The access token in the file, where the session in memory is newer and could not be kept.
    outdated: Option<Secret>,
}

#[derive(Debug)]
enum Renewal {
    By(Box<Client>),
    Sought(Arc<dyn FindClient>),
}

/// A session, and what all requests with its token have in common.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) session: Arc<Session>,
    credentials: Credentials,
}

impl Held {
    fn of(session: Session) -> Result<Arc<Self>, ResourceError> {
        let credentials = Credentials::of(&session)?;
        Ok(Arc::new(Self { session: Arc::new(session), credentials }))
    }

    /// Puts the token and a new proof into the headers of a request that goes there.
    pub(crate) fn put(
        &self,
        prover: &Prover,
        (method, to): (&Method, &Destination),
        headers: &mut HeaderMap,
    ) -> Result<Option<Proof>, ResourceError> {
        self.credentials.put(&self.session, prover, (method, to), headers)
    }
}

impl SharedSession {
    /// A session whose token is bound to the prover's key.
    ///
    /// # Errors
    /// [`ResourceError::WrongKey`] where it is bound to another one; [`ResourceError::OtherLogin`] where it is not one of
    /// the client that is to renew it.
    pub fn new(prover: Prover, session: Session, upkeep: Upkeep) -> Result<Self, ResourceError> {
        if let Some(client) = &upkeep.renewal {
            check_key(client.prover(), &session)?;
            check_login(&session, login_of(client))?;
        }
        Self::kept_up(prover, session, upkeep.renewal.map(Box::new).map(Renewal::By), upkeep.place)
    }

    /// The same, where the client that renews is sought only when there is something to renew.
    ///
    /// # Errors
    /// [`ResourceError::WrongKey`] where the token is bound to another key.
    pub fn seeking(
        prover: Prover,
        session: Session,
        finder: Arc<dyn FindClient>,
        place: Option<Place>,
    ) -> Result<Self, ResourceError> {
        Self::kept_up(prover, session, Some(Renewal::Sought(finder)), place)
    }

    fn kept_up(
        prover: Prover,
        session: Session,
        renewal: Option<Renewal>,
        place: Option<Place>,
    ) -> Result<Self, ResourceError> {
        check_key(&prover, &session)?;
        let held = RwLock::new(Held::of(session)?);
        let (renewing, failures) = Default::default();
        Ok(Self { shared: Arc::new(Shared { prover, renewal, place, held, renewing, failures }) })
    }

    /// The session as it is now.
    #[must_use]
    pub fn session(&self) -> Arc<Session> {
        Arc::clone(&self.held().session)
    }

    /// Who makes the proofs.
    #[must_use]
    pub fn prover(&self) -> &Prover {
        &self.shared.prover
    }

    /// Renews the access token, unless that has been done since `stale` was in use.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn renew(&self, stale: &Session) -> Result<Arc<Session>, ClientError> {
        Ok(Arc::clone(&self.renew_held(stale).await?.session))
    }

    pub(crate) fn held(&self) -> Arc<Held> {
        Arc::clone(&self.shared.held.read())
    }

    /// Whether there is what a new access token can be had with.
    pub(crate) fn is_renewable(&self, session: &Session) -> bool {
        self.shared.renewal.is_some() && session.tokens.refresh_token.is_some()
    }

    pub(crate) async fn renew_held(&self, stale: &Session) -> Result<Arc<Held>, ClientError> {
        let shared = Arc::clone(&self.shared);
        let failures = shared.failures.load(Ordering::Acquire);
        let turn = Arc::clone(&shared.renewing).lock_owned().await;
        if let Some(held) = shared.renewed_meanwhile(&turn, stale, failures)? {
            return Ok(held);
        }
        // A task of its own: a caller who goes away must not lose tokens that the server has already rotated.
        tokio::spawn(async move { shared.renew(turn).await }).await.map_err(|_| ClientError::Task)?
    }
}

impl Shared {
    /// What came of a renewal that another caller began. Who waited while it failed has its answer: else all would ask a
    /// server that is away, one after the other.
    fn renewed_meanwhile(
        &self,
        turn: &Renewals,
        stale: &Session,
        failures_before: u64,
    ) -> Result<Option<Arc<Held>>, ClientError> {
        let current = Arc::clone(&self.held.read());
        if current.session.tokens.access_token != stale.tokens.access_token {
            return Ok(Some(current));
        }
        match &turn.failure {
            Some(failure) if self.failures.load(Ordering::Acquire) != failures_before => {
                Err(ClientError::Renewal(failure.clone()))
            }
            _ => Ok(None),
        }
    }

    /// One at a time: within this process by the mutex, among processes by the lock on the session's file.
    async fn renew(&self, mut turn: OwnedMutexGuard<Renewals>) -> Result<Arc<Held>, ClientError> {
        let current = Arc::clone(&self.held.read());
        let renewed = self.renew_in_turn(&mut turn, &current.session).await;
        turn.failure = renewed.as_ref().err().map(ToString::to_string);
        if turn.failure.is_some() {
            self.failures.fetch_add(1, Ordering::Release);
        }
        renewed
    }

    async fn renew_in_turn(&self, turn: &mut Renewals, stale: &Session) -> Result<Arc<Held>, ClientError> {
        let client = match self.renewal.as_ref().ok_or(ClientError::NoRefreshToken)? {
            Renewal::By(client) => client.as_ref(),
            Renewal::Sought(finder) => &finder.find().await?,
        };
        check_key(client.prover(), stale)?;
        check_login(stale, login_of(client))?;
        let Some(place) = &self.place else {
            let tokens = client.refresh(&stale.tokens).await?;
            return self.put(Session { tokens, ..stale.clone() });
        };
        let (_lock, kept) = place.lock_and_load().await?;
        let in_file = kept.tokens.access_token.clone();
        let newest = if turn.outdated.as_ref() == Some(&in_file) { stale.clone() } else { kept };
        if newest.jkt != stale.jkt {
            return Err(ResourceError::WrongKey { bound: newest.jkt, at_hand: stale.jkt }.into());
        }
        check_login(&newest, (&stale.issuer, &stale.client_id))?;
        let is_new = newest.tokens.access_token != stale.tokens.access_token;
        if is_new && !newest.tokens.is_expired(self.prover.now()) {
            return self.put(newest);
        }
        let tokens = client.refresh(&newest.tokens).await?;
        // Kept before it is used: what the server has rotated must not be lost, whatever the token looks like. Nor where it
        // cannot be kept.
        let renewed = Session { tokens, ..newest };
        let saved = place.save(renewed.clone()).await;
        turn.outdated = saved.is_err().then_some(in_file);
        let held = self.put(renewed)?;
        saved.map(|()| held)
    }

    fn put(&self, session: Session) -> Result<Arc<Held>, ClientError> {
        let held = Held::of(session)?;
        *self.held.write() = Arc::clone(&held);
        Ok(held)
    }
}

/// Whose refresh tokens a client may send.
fn login_of(client: &Client) -> (&Issuer, &ClientId) {
    (&client.server().issuer, &client.identity().client_id)
}

/// A refresh token is shown to nobody but the server that issued it.
fn check_login(session: &Session, (issuer, client_id): (&Issuer, &ClientId)) -> Result<(), ResourceError> {
    if (&session.issuer, &session.client_id) == (issuer, client_id) {
        return Ok(());
    }
    let (issuer, client_id) = (session.issuer.as_str().to_owned(), session.client_id.as_str().to_owned());
    Err(ResourceError::OtherLogin { issuer, client_id })
}

fn check_key(prover: &Prover, session: &Session) -> Result<(), ResourceError> {
    if prover.jkt() == session.jkt {
        return Ok(());
    }
    Err(ResourceError::WrongKey { bound: session.jkt, at_hand: prover.jkt() })
}

impl Place {
    async fn lock_and_load(&self) -> Result<(FileLock, Session), ClientError> {
        let place = self.clone();
        blocking(move || {
            let lock = place.store.lock(&place.name)?;
            Ok((lock, place.store.load(&place.name)?))
        })
        .await
    }

    async fn save(&self, session: Session) -> Result<(), ClientError> {
        let place = self.clone();
        blocking(move || place.store.save(&place.name, &session)).await
    }
}

/// Files and their locks are not for the threads that serve tasks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SessionStoreError> + Send + 'static,
) -> Result<T, ClientError> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(|_| ClientError::Task)??)
}
