//! The tower service: what is ambiguous is refused, then the path, then the guard, then the upstream.

use crate::assertion::{Assertions, KEYS_PATH};
use crate::forward::{self, AnswerBody, Ending, Manner, NoAnswer, Passage};
use crate::headers::{self, Entrance, Said, Who};
use crate::limits::Limits;
use crate::metrics::{Decision, GatewayMetrics, OpenTunnel, RouteTable};
use crate::observe::Observations;
use crate::path::PathError;
use crate::refusal::Refusal;
use crate::reload::Current;
use crate::route::{self, Identity, Route, Rule};
use crate::trace::Propagation;
use crate::tunnel::{self, Asked, Bounds};
use crate::{message, path};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use keybound_dpop::target::Target;
use keybound_resource::{Access, Cors, Demand, Guard, MetadataService, Observed, PublicUrl, Rejection};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower_service::Service;
use tracing::Instrument;

/// The body of an answer: the gateway's, or the upstream's.
pub type GatewayBody = Either<Full<Bytes>, AnswerBody>;

pub(crate) type Answer = Response<GatewayBody>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The gateway. Cheap to clone; clones share everything. A request whose extensions hold its peer's [`SocketAddr`] is
/// forwarded with it; one whose extensions hold a [`CancellationToken`] ends its tunnel or stream of events when that is
/// cancelled.
#[derive(Clone, Debug)]
pub struct GatewayService(pub(crate) Arc<Current>);

/// What a gateway is made of; [`service`](crate::service()) puts it together.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) guard: Guard,
    pub(crate) public: PublicUrl,
    pub(crate) entrance: Entrance,
    pub(crate) cors: Option<Cors>,
    pub(crate) metadata: Option<MetadataService>,
    pub(crate) routes: Vec<Route>,
    /// There where a route wants them.
    pub(crate) assertions: Option<Arc<Assertions>>,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) counts: RouteTable,
    pub(crate) limits: Limits,
    pub(crate) observations: Observations,
    pub(crate) propagation: Propagation,
}

impl<B> Service<Request<B>> for GatewayService
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let gateway = self.0.gateway();
        Box::pin(async move { Ok(gateway.answer(request).await) })
    }
}

impl Gateway {
    async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (parts, body) = request.into_parts();
        if let Some(answer) = self.published(&parts) {
            return answer.map(Either::Left);
        }
        let origin = self.cors.as_ref().and_then(|_| parts.headers.get(ORIGIN).cloned());
        let mut answer = match self.in_turn(&parts).and_then(|()| self.admit(&parts)) {
            Ok(Admitted::Here(answer)) => return answer.map(Either::Left),
            Ok(Admitted::Route(Some(route))) => self.by_rule(parts, body, route).await,
            Ok(Admitted::Route(None)) => self.nowhere(&parts).await.map(Either::Left),
            Err(refusal) => refusal.into_answer().map(Either::Left),
        };
        if let Some(cors) = &self.cors {
            cors.mark(origin.as_ref(), answer.headers_mut());
        }
        answer
    }

    /// What everybody may know, and pages of every origin (RFC 9728 §3). What has more than one reading is not answered.
    pub(crate) fn published(&self, request: &Parts) -> Option<Response<Full<Bytes>>> {
        let answer = self.metadata.as_ref()?.answer(request)?;
        message::check(request).is_ok().then_some(answer)
    }

    /// Whether the peer may ask again already.
    fn in_turn(&self, request: &Parts) -> Result<(), Refusal> {
        let peer = request.extensions.get::<SocketAddr>().map(SocketAddr::ip);
        self.limits.address(peer, self.guard.config().clock.monotonic())
    }

    /// Everything that is decided without the token: is there one reading of this request, and where does it lead?
    pub(crate) fn admit(&self, request: &Parts) -> Result<Admitted<'_>, Refusal> {
        self.read(request).inspect_err(|_| self.metrics.malformed())
    }

    fn read(&self, request: &Parts) -> Result<Admitted<'_>, Refusal> {
        message::check(request).map_err(|why| Refusal::bad_request(request, "RS-GW-05", why))?;
        if message::is_early(request) {
            return Err(Refusal::too_early());
        }
        // It leads nowhere, whatever its path; without it a page could not read why that is refused.
        if let Some(preflight) = self.cors.as_ref().and_then(|cors| cors.preflight(request)) {
            return Ok(Admitted::Here(Box::new(preflight)));
        }
        let received = request.uri.path();
        let route = route::find(&self.routes, received);
        if !route.is_some_and(|route| route.raw_path) {
            path::check(received)
                .and_then(|()| self.check_parameters(received, route))
                .map_err(|why| Refusal::bad_request_on(route, request, "RS-GW-11", why))?;
        }
        match &self.assertions {
            Some(assertions) if received == KEYS_PATH && request.method == Method::GET => {
                Ok(Admitted::Here(Box::new(key_set(assertions))))
            }
            _ => Ok(Admitted::Route(route)),
        }
    }

    /// Some servers drop the parameters of segments (`/a;x/b`) before they look for what a path names: without them it must
    /// lead to the same route.
    fn check_parameters(&self, received: &str, route: Option<&Route>) -> Result<(), PathError> {
        let Some(bare) = path::without_parameters(received) else { return Ok(()) };
        let is_same =
            route::find(&self.routes, &bare).map(|other| &other.path) == route.map(|route| &route.path);
        if is_same { Ok(()) } else { Err(PathError::Parameters) }
    }

    async fn by_rule<B>(&self, parts: Parts, body: B, route: &Route) -> Answer
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let access;
        let who = match &route.rule {
            Rule::Guarded(demand) => match self.judge_on(route, &parts, demand).await {
                Ok(found) => {
                    access = found;
                    Who::Caller(&access)
                }
                Err(rejection) => return rejection.into_response().map(Either::Left),
            },
            Rule::Observed(demand) => {
                self.look_on(route, &parts, demand).await;
                Who::Unjudged
            }
            Rule::Public => Who::Anybody,
        };
        let answer = self.forward(parts, body, route, who).await;
        let mut answer = answer.unwrap_or_else(|refusal| refusal.into_answer().map(Either::Left));
        if let Who::Caller(access) = who {
            self.guard.complete(access, answer.headers_mut());
        }
        answer
    }

    /// That no route leads to a path is told to good tokens only.
    pub(crate) async fn nowhere(&self, request: &Parts) -> Response<Full<Bytes>> {
        match self.judge(request, self.guard.demand()).await {
            Ok(access) => {
                self.metrics.no_route();
                let mut answer = Refusal::no_route().into_answer();
                self.guard.complete(&access, answer.headers_mut());
                answer
            }
            Err(rejection) => rejection.into_response(),
        }
    }

    pub(crate) async fn judge_on(
        &self,
        route: &Route,
        request: &Parts,
        demand: &Demand,
    ) -> Result<Access, Rejection> {
        let judged = self.judge(request, demand).await;
        if let Some(counts) = self.counts.of(&route.path) {
            counts.decided(
                judged.as_ref().map_or_else(|no| Decision::of_refusal(no.status()), |_| Decision::Allowed),
            );
        }
        judged
    }

    /// What the guard would have said, where it only looks on.
    pub(crate) async fn look_on(&self, route: &Route, request: &Parts, demand: &Demand) {
        if let Ok(target) = self.public.target(&request.uri) {
            let observed = self.guard.observe(request, &target, demand).await;
            self.observations.saw(&observed, self.guard.config().clock.unix());
            note(route, &observed);
        }
    }

    async fn judge(&self, request: &Parts, demand: &Demand) -> Result<Access, Rejection> {
        let target: Target =
            self.public.target(&request.uri).map_err(|_| self.guard.refuse_target(request))?;
        self.guard.check_for(request, &target, demand).await
    }

    /// A request that may pass, to the upstream and back.
    async fn forward<B>(
        &self,
        mut parts: Parts,
        body: B,
        route: &Route,
        who: Who<'_>,
    ) -> Result<Answer, Refusal>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let upstream = route.upstream.as_deref().ok_or_else(Refusal::no_route)?;
        if !route.takes(&parts.method) {
            return Err(Refusal::wrong_method(&route.methods));
        }
        if route.max_body_bytes.is_some_and(|max| announced(&parts).is_some_and(|length| length > max)) {
            return Err(Refusal::from(NoAnswer::TooLarge));
        }
        let now = self.guard.config().clock.now();
        if let Who::Caller(access) = who {
            self.limits.client(access, now.monotonic)?;
        }
        let assertion = match (who, route.identity, &self.assertions) {
            (Who::Caller(access), Identity::Assertion, Some(assertions)) => {
                let made = assertions.of(&parts, access, upstream.name(), now.unix);
                Some(made.map_err(|error| Refusal::internal(&error))?)
            }
            _ => None,
        };
        let asked = upstream.tunnels().and_then(|tunnels| Some((tunnel::asked(&mut parts, route)?, tunnels)));
        let (asked, connections) = asked.unzip();
        let peer = parts.extensions.get::<SocketAddr>().copied();
        let left = match who {
            Who::Caller(access) => Some(access.expires_at().since(now.unix)),
            _ => None,
        };
        let life = Life { token: left, leaving: parts.extensions.remove::<CancellationToken>() };
        headers::for_upstream(
            &mut parts.headers,
            &Said { who, assertion, public: &self.entrance, peer, route },
        );
        if let Some(asked) = &asked {
            asked.say(&mut parts.headers);
        }
        let connections = connections.unwrap_or(upstream.requests());
        let passage = Passage { route, upstream, connections, now: now.monotonic };
        let span = self.propagation.begin(route, &mut parts);
        // In a place of its own: it is large, and would be moved along with each of the futures around it.
        let answer = Box::pin(forward::send(parts, body, passage)).instrument(span).await;
        self.count(route, &answer, now.monotonic);
        let answer = answer?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return switched(answer, asked, route, life, self.metrics.tunnel());
        }
        let ending = Manner::of(answer.headers()).map(|manner| life.ending(manner));
        Ok(forward::to_caller(answer, route.idle_timeout, ending).map(Either::Right))
    }

    fn count<T>(&self, route: &Route, answer: &Result<T, NoAnswer>, begun: Duration) {
        let Some(counts) = self.counts.of(&route.path) else { return };
        match answer {
            Ok(_) => {
                let now = self.guard.config().clock.now();
                counts.answered(now.monotonic.saturating_sub(begun));
            }
            Err(no_answer) => counts.not_answered(*no_answer),
        }
    }
}

/// Where a request leads that has one reading.
pub(crate) enum Admitted<'g> {
    Here(Box<Response<Full<Bytes>>>),
    Route(Option<&'g Route>),
}

/// How long what has no end of its own may go on.
struct Life {
    token: Option<Duration>,
    leaving: Option<CancellationToken>,
}

impl Life {
    fn ending(self, manner: Manner) -> Ending {
        let at = Box::pin(async move {
            let expired = async {
                match self.token {
                    Some(left) => tokio::time::sleep(left).await,
                    None => std::future::pending().await,
                }
            };
            match self.leaving {
                Some(leaving) => {
                    tokio::select! {
                        () = expired => {}
                        () = leaving.cancelled_owned() => {}
                    }
                }
                None => expired.await,
            }
        });
        Ending { at, manner }
    }
}

/// The upstream has switched to another protocol: to the one that was asked for, or it is not believed.
fn switched(
    mut answer: Response<Incoming>,
    asked: Option<Asked>,
    route: &Route,
    life: Life,
    open: OpenTunnel,
) -> Result<Answer, Refusal> {
    let asked = asked.filter(|asked| asked.is_granted_by(answer.headers())).ok_or(NoAnswer::Broken)?;
    let upstream = hyper::upgrade::on(&mut answer);
    let mut answer =
        forward::to_caller(answer, route.idle_timeout, None).map(|_| Either::Left(Full::default()));
    asked.say(answer.headers_mut());
    asked.open(
        upstream,
        Bounds { token: life.token, idle: route.idle_timeout, leaving: life.leaving, _open: open },
    );
    Ok(answer)
}

fn note(route: &Route, observed: &Observed) {
    tracing::info!(
        target: "audit",
        event = "observed",
        route = route.shown(),
        would_pass = observed.would_pass(),
        row = observed.reason().map(keybound_resource::Reason::row),
        issuer = observed.issuer().map(|issuer| issuer.escape_default().to_string()),
        client_id = observed.client_id().map(|client| client.escape_default().to_string()),
        bound = observed.is_bound(),
        "request observed"
    );
}

/// The length that a request says its body has.
fn announced(request: &Parts) -> Option<u64> {
    request.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The keys by which upstreams verify assertions.
fn key_set(assertions: &Assertions) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(assertions.keys()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    answer
}
