//! Sending with a session: nonces are put in, a token that is no longer good is renewed, and redirects are followed where
//! that is asked for and they stay on the same origin.

use super::body::Payload;
use super::trace::Trace;
use crate::error::CommandError;
use crate::server::Server;
use bytes::Bytes;
use http::{Method, Request, Response};
use keybound_client::api::{Api, ApiSettings, Place};
use keybound_client::nonce_rule::{Next, Round};
use keybound_client::prover::Prover;
use keybound_client::redirect::{MAX_REDIRECTS, follow};
use keybound_client::resource_exchange::{check_algorithms, is_token_refused, prepare};
use keybound_client::session::Session;
use keybound_client::transport::Transport;
use keybound_dpop::nonce_cache::Role;
use keybound_fetch::{Body, Streaming};
use std::sync::Arc;

/// Who calls.
pub(super) struct Caller {
    pub(super) server: Server,
    pub(super) transport: Transport,
    pub(super) prover: Prover,
    pub(super) place: Place,
    pub(super) trace: Trace,
}

/// An answer: its head, and its body, which is still coming.
pub(super) struct Came {
    pub(super) head: Response<Bytes>,
    pub(super) body: Streaming,
}

impl Caller {
    /// The answer to a request, after all that the resource may ask for before it answers.
    pub(super) async fn call(
        &self,
        session: Session,
        mut request: Request<Bytes>,
        mut payload: Payload,
        follows: bool,
    ) -> Result<Came, CommandError> {
        let mut session = Arc::new(session);
        let mut followed = 0;
        loop {
            let came;
            (session, came) = self.send_renewing(session, &request, &payload).await?;
            let next = if follows && followed < MAX_REDIRECTS { follow(&request, &came.head) } else { None };
            let Some(next) = next else { return Ok(came) };
            if next.method() != request.method() {
                payload = Payload::Whole(Bytes::new());
            }
            self.trace.note(&format!("following the redirect to {}", next.uri()))?;
            request = next;
            followed += 1;
        }
    }

    async fn send_renewing(
        &self,
        session: Arc<Session>,
        request: &Request<Bytes>,
        payload: &Payload,
    ) -> Result<(Arc<Session>, Came), CommandError> {
        let is_renewable = session.tokens.refresh_token.is_some();
        if is_renewable && session.tokens.is_expired(self.prover.now()) {
            let session = self.renew(&session).await?;
            let came = self.send(&session, request, payload).await?;
            return Ok((session, came));
        }
        let came = self.send(&session, request, payload).await?;
        if !is_renewable || !is_token_refused(&came.head) {
            return Ok((session, came));
        }
        let session = self.renew(&session).await?;
        check_repeatable(payload)?;
        let came = self.send(&session, request, payload).await?;
        Ok((session, came))
    }

    /// One exchange: again, with a new proof, where the resource asks for a nonce (RFC 9449 §9).
    async fn send(
        &self,
        session: &Session,
        request: &Request<Bytes>,
        payload: &Payload,
    ) -> Result<Came, CommandError> {
        let mut round = Round::new(Role::ResourceServer);
        if !payload.is_repeatable() {
            self.learn_nonce(session, request).await?;
        }
        loop {
            let outgoing = prepare(session, &self.prover, request).map_err(CommandError::failed)?;
            let came = self.exchange(outgoing.request, payload).await?;
            let answered = round.answered(&self.prover, &outgoing.to, outgoing.proof.as_ref(), &came.head);
            if answered.map_err(CommandError::failed)? == Next::Done {
                if outgoing.proof.is_some() {
                    check_algorithms(self.prover.algorithm(), &came.head).map_err(CommandError::failed)?;
                }
                return Ok(came);
            }
            check_repeatable(payload)?;
        }
    }

    /// Asks without a body first, where the body can be sent once only: for the nonce that the resource may want.
    async fn learn_nonce(&self, session: &Session, request: &Request<Bytes>) -> Result<(), CommandError> {
        self.trace.note("asking for a nonce first, since the body cannot be sent twice")?;
        let mut asking = Request::new(Bytes::new());
        *asking.method_mut() = Method::HEAD;
        *asking.uri_mut() = request.uri().clone();
        let outgoing = prepare(session, &self.prover, &asking).map_err(CommandError::failed)?;
        let came = self.exchange(outgoing.request, &Payload::Whole(Bytes::new())).await?;
        let proof = outgoing.proof.as_ref();
        self.prover.learn(Role::ResourceServer, &outgoing.to, proof, came.head.headers());
        Ok(())
    }

    async fn exchange(&self, request: Request<Bytes>, payload: &Payload) -> Result<Came, CommandError> {
        self.trace.sent(&request)?;
        let fetcher = self.transport.fetcher();
        let body = match payload.open()? {
            Some(upload) => fetcher.send_streaming(request.map(|_| Body::wrap(upload))).await?,
            None => fetcher.send_streaming(request).await?,
        };
        let mut head = Response::new(Bytes::new());
        *head.status_mut() = body.status();
        *head.version_mut() = body.version();
        head.headers_mut().clone_from(body.headers());
        self.trace.came(&head)?;
        Ok(Came { head, body })
    }

    /// The session with a new access token, which is kept.
    async fn renew(&self, stale: &Session) -> Result<Arc<Session>, CommandError> {
        self.trace.note("the access token is no longer good: renewing it")?;
        let (transport, prover) = (self.transport.clone(), self.prover.clone());
        let client_id = stale.client_id.clone();
        let client = self.server.client(transport.clone(), &stale.issuer, client_id, prover.clone()).await?;
        let settings =
            ApiSettings { renewal: Some(client), place: Some(self.place.clone()), ..ApiSettings::default() };
        let api = Api::new(transport, prover, stale.clone(), settings).map_err(CommandError::failed)?;
        api.renew(stale).await.map_err(CommandError::from_renewal)
    }
}

fn check_repeatable(payload: &Payload) -> Result<(), CommandError> {
    if payload.is_repeatable() {
        return Ok(());
    }
    Err(CommandError::failed("the resource wants the request again, and what came from stdin is gone")
        .advise("run the command again, or send the data from a file"))
}
