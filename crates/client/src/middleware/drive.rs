//! The loop between the rules for a request and the service that sends it.

use super::{ReplayBody, Rules, SendError};
use crate::answer::Answer;
use crate::resource_exchange::ResourceError;
use crate::resource_round::ResourceRound;
use crate::shared_session::SharedSession;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use std::future::poll_fn;
use tower_service::Service;

/// An answer that has begun.
pub(crate) trait Begun {
    fn begun(&self) -> Answer<'_>;
}

impl<B> Begun for Response<B> {
    fn begun(&self) -> Answer<'_> {
        Answer::begun(self.status(), self.headers())
    }
}

/// Sends a request, by way of that service, as often as the rules say. Without a body where there is `None`.
///
/// # Errors
/// [`SendError`]
pub(crate) async fn drive<S, B>(
    service: &mut S,
    shared: &SharedSession,
    rules: Rules,
    request: Request<Option<B>>,
) -> Result<S::Response, SendError<S::Error>>
where
    S: Service<Request<ReplayBody<B>>, Response: Begun>,
    B: Body<Data = Bytes>,
{
    let round = ResourceRound::begin(shared, request.method().clone(), request.uri()).await?;
    drive_round(service, shared, rules, (round, request)).await
}

/// The same, for a round that has begun.
///
/// # Errors
/// [`SendError`]
pub(crate) async fn drive_round<S, B>(
    service: &mut S,
    shared: &SharedSession,
    rules: Rules,
    (mut round, request): (ResourceRound, Request<Option<B>>),
) -> Result<S::Response, SendError<S::Error>>
where
    S: Service<Request<ReplayBody<B>>, Response: Begun>,
    B: Body<Data = Bytes>,
{
    let (mut parts, body) = request.into_parts();
    parts.uri = round.to().uri().clone();
    let mut body = ReplayBody::of(body, rules.max_kept_bytes);
    if !body.fits() && round.may_be_challenged(rules.nonces_are_good_for) {
        ask_for_nonce(service, shared, &parts).await?;
        round.catch_up();
    }
    loop {
        round.authorize(&mut parts.headers)?;
        let sending = Request::from_parts(parts.clone(), body.handle());
        let answer = send(service, sending).await?;
        let Some(why) = round.answered(answer.begun()).await? else { return Ok(answer) };
        if !body.rewind() {
            return Err(ResourceError::ResendNeeded(why).into());
        }
    }
}

/// A request of no consequence to the same URL, as whose answer the server gives its nonce, or shows that it has none
/// to give. Whatever else it answers is of no interest.
async fn ask_for_nonce<S, B>(
    service: &mut S,
    shared: &SharedSession,
    like: &Parts,
) -> Result<(), SendError<S::Error>>
where
    S: Service<Request<ReplayBody<B>>, Response: Begun>,
    B: Body<Data = Bytes>,
{
    let mut round = ResourceRound::begin(shared, Method::HEAD, &like.uri).await?;
    let mut parts = like.clone();
    parts.method = Method::HEAD;
    for of_the_body in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, TRANSFER_ENCODING, EXPECT] {
        parts.headers.remove(of_the_body);
    }
    round.authorize(&mut parts.headers)?;
    let answer = send(service, Request::from_parts(parts, ReplayBody::of(None, 0))).await?;
    round.answered(answer.begun()).await?;
    Ok(())
}

async fn send<S, R>(service: &mut S, request: Request<R>) -> Result<S::Response, SendError<S::Error>>
where
    S: Service<Request<R>>,
{
    poll_fn(|cx| service.poll_ready(cx)).await.map_err(SendError::Http)?;
    service.call(request).await.map_err(SendError::Http)
}
