//! One exchange with a server: token and proof put in, bodies passed both ways as they come.

use super::body::{AnswerBody, BoxError, Progress, Upload};
use super::connections::{Connections, Ways};
use super::gate::{Gate, Way};
use super::refusal::Refusal;
use super::targets::{Target, Targets};
use super::upgrade::Asked;
use super::{headers, location};
use crate::error::ClientError;
use crate::middleware::{ReplayBody, Rules, SendError, drive};
use crate::nonce_rule::challenges;
use crate::resource_exchange::ResourceError;
use bytes::Bytes;
use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use keybound_oauth::error::sanitise;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to begin its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooSlow(pub(super) Duration);

/// How one request goes.
pub(super) struct Passage<'a> {
    pub(super) way: Way,
    pub(super) gate: &'a Gate,
    pub(super) target: &'a Arc<Target>,
    pub(super) targets: &'a Targets,
    pub(super) ways: &'a Ways,
    pub(super) time: TooSlow,
}

impl Passage<'_> {
    /// Sends it with token and proof to that URL; returns as soon as the answer begins.
    pub(super) async fn send<B>(
        self,
        mut parts: Parts,
        body: B,
        uri: Uri,
    ) -> Result<Response<AnswerBody>, Refusal>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (asked, mut connections) = prepare(&mut parts, self.ways);
        self.name_origin(&mut parts.headers);
        parts.uri = uri.clone();
        let body = (!body.is_end_stream()).then(|| Upload::new(body));
        let progress = body.as_ref().map(Upload::progress);
        let request = Request::from_parts(parts, body);
        let answer = drive(&mut connections, &self.target.session, Rules::default(), request);
        let answer = self.time.bound(answer, progress).await?.map_err(|error| self.refusal(error))?;
        self.tell_challenges(&answer);
        let mut answer = finish(answer, asked);
        if answer.status().is_redirection() || answer.status() == StatusCode::CREATED {
            location::for_caller(answer.headers_mut(), self.way, &uri, self.targets);
        }
        Ok(answer)
    }

    /// To pages of its own, the server is known by another origin than the agent's.
    fn name_origin(&self, headers: &mut HeaderMap) {
        let is_own = headers.get(ORIGIN).is_some_and(|origin| !self.gate.is_page(origin));
        if is_own
            && self.way != Way::Inside
            && let Ok(origin) = HeaderValue::try_from(&self.target.origin)
        {
            headers.insert(ORIGIN, origin);
        }
    }

    /// A challenge is the caller's to see, who can do nothing about it; the log says who can.
    fn tell_challenges(&self, answer: &Response<Incoming>) {
        if answer.status() != StatusCode::UNAUTHORIZED {
            return;
        }
        let challenges = challenges(answer.headers());
        let code =
            challenges.iter().find_map(|challenge| challenge.get("error")).map(sanitise).unwrap_or_default();
        let (origin, profile) = (&self.target.origin, &self.target.profile);
        let advice =
            "log in again with `keybound login`, and look at the challenge with `keybound request -v`";
        tracing::warn!(target: "agent", origin, profile, error = code, advice, "the server refuses the token");
    }

    fn refusal(&self, error: SendError<legacy::Error>) -> Refusal {
        let (origin, profile) = (&self.target.origin, &self.target.profile);
        match error {
            SendError::Http(error) => unreachable(&error, origin),
            SendError::Client(ClientError::Resource(error @ ResourceError::ResendNeeded(_))) => {
                tracing::info!(target: "agent", origin, profile, %error, "to be sent again");
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).retry()
            }
            SendError::Client(error) => {
                tracing::warn!(target: "agent", origin, profile, %error, "not sent, or not with success");
                Refusal::new(StatusCode::BAD_GATEWAY, format!("profile `{profile}`: {error}"))
            }
        }
    }
}

/// Sends a request for a server that is none of ours, with nothing added.
pub(super) async fn send_as_it_is<B>(
    ways: &Ways,
    mut parts: Parts,
    body: B,
    time: TooSlow,
) -> Result<Response<AnswerBody>, Refusal>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let own = parts.headers.get(http::header::AUTHORIZATION).cloned();
    let (asked, connections) = prepare(&mut parts, ways);
    if let Some(own) = own {
        parts.headers.insert(http::header::AUTHORIZATION, own);
    }
    let body = (!body.is_end_stream()).then(|| Upload::new(body));
    let progress = body.as_ref().map(Upload::progress);
    let answer = connections.request(Request::from_parts(parts, ReplayBody::of(body, 0)));
    let answer = time.bound(answer, progress).await?;
    Ok(finish(answer.map_err(|error| unreachable(&error, "that server"))?, asked))
}

/// The request as it goes to a server, and over which connections.
fn prepare<'a>(parts: &mut Parts, ways: &'a Ways) -> (Option<Asked>, &'a Connections) {
    let asked = Asked::take(parts);
    headers::for_server(&mut parts.headers);
    if let Some(asked) = &asked {
        asked.say(&mut parts.headers);
    }
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    let connections = if asked.is_some() { &ways.upgrades } else { &ways.requests };
    (asked, connections)
}

/// The answer as the caller gets it.
fn finish(mut answer: Response<Incoming>, asked: Option<Asked>) -> Response<AnswerBody> {
    let is_switching = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    let granted = asked.filter(|asked| is_switching && asked.is_granted_by(answer.headers()));
    headers::for_caller(answer.headers_mut());
    if is_switching {
        let Some(asked) = granted else {
            return Refusal::new(StatusCode::BAD_GATEWAY, "the server switches to what nobody asked for")
                .answer();
        };
        asked.say(answer.headers_mut());
        asked.open(hyper::upgrade::on(&mut answer));
    }
    *answer.version_mut() = Version::HTTP_11;
    answer.extensions_mut().clear();
    answer.map(AnswerBody::of)
}

impl TooSlow {
    /// The time counts from the last piece of the request that moved: an upload may take as long as it takes.
    async fn bound<T>(
        self,
        answer: impl Future<Output = T>,
        upload: Option<Arc<Progress>>,
    ) -> Result<T, Refusal> {
        let moved = || upload.as_ref().map_or(0, |progress| progress.pieces());
        let (mut answer, mut seen) = (pin!(answer), moved());
        loop {
            match tokio::time::timeout(self.0, &mut answer).await {
                Ok(answer) => return Ok(answer),
                Err(_) if moved() == seen => {
                    return Err(Refusal::new(
                        StatusCode::GATEWAY_TIMEOUT,
                        "the server did not answer in time",
                    ));
                }
                Err(_) => seen = moved(),
            }
        }
    }
}

fn unreachable(error: &legacy::Error, origin: &str) -> Refusal {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let what = if error.is_connect() { "there is no connection to" } else { "the exchange broke off with" };
    let cause = sanitise(&cause.to_string());
    tracing::warn!(target: "agent", origin, cause, "no answer of the server");
    Refusal::new(StatusCode::BAD_GATEWAY, format!("{what} {origin} ({cause})"))
}
