//! Calls to resources with a session: nonces are learnt, a token that is no longer good is renewed once, and redirects
//! never carry a proof along.

use crate::client::Client;
use crate::error::ClientError;
use crate::private_dir::FileLock;
use crate::prover::Prover;
use crate::redirect::{MAX_REDIRECTS, Redirects, follow};
use crate::resource_exchange::{ResourceError, check_algorithms, is_token_refused, prepare};
use crate::session::Session;
use crate::session_store::{SessionStore, SessionStoreError};
use crate::transport::Transport;
use bytes::Bytes;
use http::{Request, Response};
use keybound_dpop::nonce_cache::Role;
use keybound_dpop::secret::Secret;
use keybound_oauth::token::TokenType;
use parking_lot::RwLock;
use std::sync::Arc;

/// How calls are made.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Who renews the access token; without, a token that is no longer good is the caller's to see.
    pub renewal: Option<Client>,
    /// Where the session is kept, so that a renewed token outlives this process.
    pub place: Option<Place>,
    /// What to do about redirects.
    pub redirects: Redirects,
    /// Bytes in the body of an answer, at the most; 8 MiB.
    pub max_body_bytes: usize,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self { renewal: None, place: None, redirects: Redirects::Surface, max_body_bytes: 8 * 1024 * 1024 }
    }
}

/// A session's place in a store, shared with other processes.
#[derive(Clone, Debug)]
pub struct Place {
    /// The store.
    pub store: SessionStore,
    /// The session's name.
    pub name: String,
}

/// Calls resources with one session. Cheap to clone; clones share the session.
#[derive(Clone, Debug)]
pub struct Api {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    transport: Transport,
    prover: Prover,
    session: RwLock<Arc<Session>>,
    settings: ApiSettings,
    /// Held by whoever renews.
    renewing: tokio::sync::Mutex<()>,
}

impl Api {
    /// Calls with that session, whose token must be bound to the prover's key.
    ///
    /// # Errors
    /// [`ResourceError::WrongKey`] where it is bound to another one.
    pub fn new(
        transport: Transport,
        prover: Prover,
        session: Session,
        settings: ApiSettings,
    ) -> Result<Self, ResourceError> {
        let renewing_key = settings.renewal.as_ref().map(|client| client.prover().jkt());
        for at_hand in [Some(prover.jkt()), renewing_key].into_iter().flatten() {
            if at_hand != session.jkt {
                return Err(ResourceError::WrongKey { bound: session.jkt, at_hand });
            }
        }
        let session = RwLock::new(Arc::new(session));
        let renewing = tokio::sync::Mutex::default();
        Ok(Self { shared: Arc::new(Shared { transport, prover, session, settings, renewing }) })
    }

    /// The session as it is now.
    #[must_use]
    pub fn session(&self) -> Arc<Session> {
        self.shared.session()
    }

    /// Sends a request with the token and a proof, which take the place of any that are in it.
    ///
    /// On a nonce challenge it is sent once more with a new proof. Where the token is expired, or refused as invalid,
    /// it is renewed once, if the session can be renewed. Any other answer is handed back as it is.
    ///
    /// # Errors
    /// [`ClientError`] where there is no answer, or the resource asks for what this session does not have.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
        let mut request = request;
        let mut followed = 0;
        loop {
            let response = self.send_renewing(&request).await?;
            let next = match self.shared.settings.redirects {
                Redirects::SameOrigin if followed < MAX_REDIRECTS => follow(&request, &response),
                _ => None,
            };
            let Some(next) = next else { return Ok(response) };
            request = next;
            followed += 1;
        }
    }

    /// Renews the access token, unless that has been done since `stale` was in use.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn renew(&self, stale: &Session) -> Result<Arc<Session>, ClientError> {
        let (shared, token) = (Arc::clone(&self.shared), stale.tokens.access_token.clone());
        // A task of its own: a caller who goes away must not lose tokens that the server has already rotated.
        tokio::spawn(async move { shared.renew(&token).await }).await.map_err(|_| ClientError::Task)?
    }

    async fn send_renewing(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
        let mut session = self.session();
        let is_renewable = self.shared.settings.renewal.is_some() && session.tokens.refresh_token.is_some();
        let is_expired = session.tokens.is_expired(self.shared.prover.now());
        if is_renewable && is_expired {
            session = self.renew(&session).await?;
        }
        let response = self.shared.send_once(&session, request).await?;
        if !is_renewable || is_expired || !is_token_refused(&response) {
            return Ok(response);
        }
        let session = self.renew(&session).await?;
        self.shared.send_once(&session, request).await
    }
}

impl Shared {
    fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session.read())
    }

    async fn send_once(
        &self,
        session: &Session,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, ClientError> {
        let make = || Ok(prepare(session, &self.prover, request)?);
        let limit = self.settings.max_body_bytes;
        let response = self.transport.exchange(&self.prover, Role::ResourceServer, limit, make).await?;
        if session.tokens.token_type == TokenType::Dpop {
            check_algorithms(self.prover.algorithm(), &response)?;
        }
        Ok(response)
    }

    /// One at a time: within this process by the mutex, among processes by the lock on the session's file.
    async fn renew(&self, stale: &Secret) -> Result<Arc<Session>, ClientError> {
        let _turn = self.renewing.lock().await;
        let current = self.session();
        if current.tokens.access_token != *stale {
            return Ok(current);
        }
        let client = self.settings.renewal.as_ref().ok_or(ClientError::NoRefreshToken)?;
        let Some(place) = &self.settings.place else {
            let tokens = client.refresh(&current.tokens).await?;
            return Ok(self.put(Session { tokens, ..(*current).clone() }));
        };
        let (_lock, kept) = place.lock_and_load().await?;
        if kept.jkt != current.jkt {
            return Err(ResourceError::WrongKey { bound: kept.jkt, at_hand: current.jkt }.into());
        }
        if kept.tokens.access_token != *stale {
            return Ok(self.put(kept));
        }
        let tokens = client.refresh(&kept.tokens).await?;
        let renewed = self.put(Session { tokens, ..kept });
        place.save(Arc::clone(&renewed)).await?;
        Ok(renewed)
    }

    fn put(&self, session: Session) -> Arc<Session> {
        let session = Arc::new(session);
        *self.session.write() = Arc::clone(&session);
        session
    }
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

    async fn save(&self, session: Arc<Session>) -> Result<(), ClientError> {
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
