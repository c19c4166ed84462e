//! Calls to resources with a session: nonces are learnt, a token that is no longer good is renewed once, and redirects
//! never carry a proof along.

use crate::answer::Answer;
use crate::client::Client;
use crate::error::ClientError;
use crate::middleware::{Rules, drive};
use crate::prover::Prover;
use crate::redirect::{MAX_REDIRECTS, Redirects, follow};
use crate::resource_exchange::ResourceError;
use crate::session::Session;
pub use crate::shared_session::Place;
use crate::shared_session::{SharedSession, Upkeep};
use crate::transport::Transport;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use keybound_fetch::Streaming;
use std::error::Error;
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

/// Calls resources with one session. Cheap to clone; clones share the session.
#[derive(Clone, Debug)]
pub struct Api {
    transport: Transport,
    session: SharedSession,
    redirects: Redirects,
    max_body_bytes: usize,
    rules: Rules,
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
        let ApiSettings { renewal, place, redirects, max_body_bytes } = settings;
        let session = SharedSession::new(prover, session, Upkeep { renewal, place })?;
        Ok(Self { transport, session, redirects, max_body_bytes, rules: Rules::default() })
    }

    /// The session as it is now.
    #[must_use]
    pub fn session(&self) -> Arc<Session> {
        self.session.session()
    }

    /// The session, to be used by others too.
    #[must_use]
    pub const fn shared_session(&self) -> &SharedSession {
        &self.session
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
            let mut service = self.transport.collecting(self.max_body_bytes);
            let kept = self.may_follow(followed).then(|| request.clone());
            let sending = request.map(|body| Some(Full::new(body)));
            let response = drive(&mut service, &self.session, self.rules, sending).await?;
            let Some(next) = kept.and_then(|kept| follow(&kept, &response)) else { return Ok(response) };
            request = next;
            followed += 1;
        }
    }

    /// As [`Api::send`], with bodies that are sent and read as they come, of whatever size. A redirect is followed where the
    /// new request has no body.
    ///
    /// A body that is too long to be kept cannot be sent twice. Where the resource may ask for a nonce that is not known,
    /// a HEAD request to the same URL goes before it; where it asks for one all the same, that is an error.
    ///
    /// # Errors
    /// [`ClientError`]; [`ResourceError::ResendNeeded`] where the request is to be sent again by the caller.
    pub async fn send_streaming<B>(&self, request: Request<B>) -> Result<Streaming, ClientError>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let mut sending = request.map(Some);
        let mut service = self.transport.beginning();
        let mut followed = 0;
        loop {
            let had_body = sending.body().as_ref().is_some_and(|body| !body.is_end_stream());
            let kept = self.may_follow(followed).then(|| head(&sending));
            let response = drive(&mut service, &self.session, self.rules, sending).await?;
            let answer = Answer::begun(response.status(), response.headers());
            let next = kept.and_then(|kept| {
                follow(&kept, answer).filter(|next| !had_body || next.method() != kept.method())
            });
            let Some(next) = next else { return Ok(response) };
            sending = next.map(|_| None);
            followed += 1;
        }
    }

    /// Renews the access token, unless that has been done since `stale` was in use.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn renew(&self, stale: &Session) -> Result<Arc<Session>, ClientError> {
        self.session.renew(stale).await
    }

    fn may_follow(&self, followed: u8) -> bool {
        self.redirects == Redirects::SameOrigin && followed < MAX_REDIRECTS
    }
}

/// A request without its body.
fn head<B>(request: &Request<B>) -> Request<Bytes> {
    let mut head = Request::new(Bytes::new());
    head.method_mut().clone_from(request.method());
    head.uri_mut().clone_from(request.uri());
    head.headers_mut().clone_from(request.headers());
    head
}
