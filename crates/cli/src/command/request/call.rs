//! Sending with a session, by the library's rules: what is left to do here is to show each sending, to find the client that
//! renews, to follow redirects, and to open a file again.

use super::body::Payload;
use super::trace::Trace;
use crate::error::CommandError;
use crate::server::Server;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body as HttpBody;
use keybound_client::answer::Answer;
use keybound_client::client::Client;
use keybound_client::error::ClientError;
use keybound_client::middleware::{DpopLayer, Rules, SendError};
use keybound_client::prover::Prover;
use keybound_client::redirect::{MAX_REDIRECTS, follow};
use keybound_client::resource_exchange::ResourceError;
use keybound_client::shared_session::{FindClient, SharedSession};
use keybound_client::transport::Transport;
use keybound_fetch::{Body, Fetcher, Streaming};
use keybound_oauth::identifier::{ClientId, Issuer};
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer as _;
use tower_service::Service;

/// How often a file is sent again after the resource has asked for more: for a nonce, for its clock, for another token.
const MAX_RESENDINGS: u8 = 3;

/// Who calls.
pub(super) struct Caller {
    pub(super) session: SharedSession,
    pub(super) fetcher: Fetcher,
    pub(super) trace: Trace,
}

/// An answer, whose body is still coming.
pub(super) type Came = Response<Streaming>;

impl Caller {
    /// The answer to a request, after all that the resource may ask for before it answers.
    pub(super) async fn call(
        &self,
        mut request: Request<Bytes>,
        mut payload: Payload,
        follows: bool,
    ) -> Result<Came, CommandError> {
        for _ in 0..MAX_REDIRECTS {
            let came = self.send(&request, &payload).await?;
            let answer = Answer::begun(came.status(), came.headers());
            let Some(next) = follow(&request, answer).filter(|_| follows) else { return Ok(came) };
            if next.method() != request.method() {
                payload = Payload::Whole(Bytes::new());
            } else if !payload.is_repeatable() {
                return Err(cannot_repeat());
            }
            self.trace.note(&format!("following the redirect to {}", next.uri()))?;
            request = next;
        }
        self.send(&request, &payload).await
    }

    /// One exchange; again where a file was too long to be kept while it was sent.
    async fn send(&self, request: &Request<Bytes>, payload: &Payload) -> Result<Came, CommandError> {
        let mut resendings = 0;
        loop {
            let rules = Rules::default().keeping(payload.kept_bytes());
            let wire =
                Wire { fetcher: self.fetcher.clone(), trace: self.trace, asked: request.method().clone() };
            let mut service = DpopLayer::new(self.session.clone()).with_rules(rules).layer(wire);
            let upload = payload.open()?;
            match service.call(request.clone().map(|_| upload)).await {
                Ok(came) => return Ok(came),
                Err(SendError::Http(error)) => return Err(error),
                Err(SendError::Client(ClientError::Resource(ResourceError::ResendNeeded(why)))) => {
                    if !payload.is_repeatable() || resendings == MAX_RESENDINGS {
                        return Err(cannot_repeat());
                    }
                    self.trace.note(&format!("{why}: sending the file again"))?;
                    resendings += 1;
                }
                Err(SendError::Client(error)) => return Err(CommandError::from_renewal(error)),
            }
        }
    }
}

fn cannot_repeat() -> CommandError {
    CommandError::failed("the resource wants the request again, and what came from stdin is gone")
        .advise("run the command again, or send the data from a file")
}

/// Sends requests, and shows them and their answers.
#[derive(Clone)]
struct Wire {
    fetcher: Fetcher,
    trace: Trace,
    /// The method of the request that is called for.
    asked: Method,
}

impl Wire {
    async fn send<B>(self, request: Request<B>) -> Result<Came, CommandError>
    where
        B: HttpBody<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Sync + 'static,
    {
        if *request.method() != self.asked {
            self.trace.note("asking for a nonce first, since the body cannot be sent twice")?;
        }
        self.trace.sent(&request)?;
        let body = self.fetcher.send_streaming(request.map(Body::wrap)).await?;
        let (status, version, headers) = (body.status(), body.version(), body.headers().clone());
        let mut came = Response::new(body);
        (*came.status_mut(), *came.version_mut(), *came.headers_mut()) = (status, version, headers);
        self.trace.came(&came)?;
        Ok(came)
    }
}

impl<B> Service<Request<B>> for Wire
where
    B: HttpBody<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Sync + 'static,
{
    type Response = Came;
    type Error = CommandError;
    type Future = Pin<Box<dyn Future<Output = Result<Came, CommandError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CommandError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// Who renews, if it comes to that: the server's metadata are not asked for before.
#[derive(Debug)]
pub(super) struct Renewer {
    pub(super) server: Server,
    pub(super) transport: Transport,
    pub(super) issuer: Issuer,
    pub(super) client_id: ClientId,
    pub(super) prover: Prover,
    pub(super) trace: Trace,
}

impl Renewer {
    async fn client(&self) -> Result<Client, CommandError> {
        self.trace.note("the access token is no longer good: renewing it")?;
        let (transport, prover) = (self.transport.clone(), self.prover.clone());
        self.server.client(transport, &self.issuer, self.client_id.clone(), prover).await
    }
}

impl FindClient for Renewer {
    fn find(&self) -> Pin<Box<dyn Future<Output = Result<Client, ClientError>> + Send + '_>> {
        Box::pin(async { self.client().await.map_err(|error| ClientError::Finding(error.into())) })
    }
}
