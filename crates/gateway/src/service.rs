//! The tower service: what is ambiguous is refused, then the path, then the guard, then the upstream.

use crate::forward::{Forwarder, NoAnswer};
use crate::headers::{self, Said};
use crate::metrics::{Decision, GatewayMetrics, RouteTable};
use crate::reload::Current;
use crate::route::{self, Route};
use crate::trace::Propagation;
use crate::{message, path};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use keybound_resource::{Access, Cors, Guard, PublicUrl, Rejection};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;
use tracing::Instrument;

/// The body of an answer: the gateway's, or the upstream's.
pub type GatewayBody = Either<Full<Bytes>, Incoming>;

type Answer = Response<GatewayBody>;

/// The gateway. Cheap to clone; clones share everything. A request whose extensions hold its peer's [`SocketAddr`] is
/// forwarded with it.
#[derive(Clone, Debug)]
pub struct GatewayService(pub(crate) Arc<Current>);

/// What a gateway is made of; [`service`](crate::service()) puts it together.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) guard: Guard,
    pub(crate) public: PublicUrl,
    pub(crate) cors: Option<Cors>,
    pub(crate) routes: Vec<Route>,
    pub(crate) forwarder: Forwarder,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) counts: RouteTable,
    pub(crate) propagation: Propagation,
}

/// A refusal of the gateway itself.
struct Refusal {
    status: StatusCode,
    error: &'static str,
    why: String,
}

impl<B> Service<Request<B>> for GatewayService
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
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
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let (parts, body) = request.into_parts();
        let origin = self.cors.as_ref().and_then(|_| parts.headers.get(ORIGIN).cloned());
        let mut answer = match self.admit(&parts) {
            Ok(Admitted::Preflight(answer)) => return *answer,
            Ok(Admitted::Route(route)) => self.guarded(parts, body, route).await,
            Err(refusal) => {
                self.metrics.malformed();
                refusal.into_answer()
            }
        };
        if let Some(cors) = &self.cors {
            cors.mark(origin.as_ref(), answer.headers_mut());
        }
        answer
    }

    /// Everything that is decided without the token: is there one reading of this request, and where does it lead?
    fn admit(&self, request: &Parts) -> Result<Admitted<'_>, Refusal> {
        message::check(request).map_err(|why| Refusal::bad_request(request, "RS-GW-05", why))?;
        let received = request.uri.path();
        let route = route::find(&self.routes, received);
        if !route.is_some_and(|route| route.raw_path) {
            path::check(received).map_err(|why| Refusal::bad_request(request, "RS-GW-11", why))?;
        }
        match self.cors.as_ref().and_then(|cors| cors.preflight(request)) {
            Some(preflight) => Ok(Admitted::Preflight(Box::new(preflight.map(Either::Left)))),
            None => Ok(Admitted::Route(route)),
        }
    }

    async fn guarded<B>(&self, mut parts: Parts, body: B, route: Option<&Route>) -> Answer
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let judged = self.judge(&parts, route).await;
        self.count(route, &judged);
        let access = match judged {
            Ok(access) => access,
            Err(rejection) => return rejection.into_response().map(Either::Left),
        };
        let mut answer = match route {
            Some(route) => {
                let peer = parts.extensions.get::<SocketAddr>().copied();
                let said = Said { access: &access, public: &self.public, peer, route };
                headers::for_upstream(&mut parts.headers, &said);
                let span = self.propagation.begin(route, &mut parts);
                let exchange = self.forwarder.send(Request::from_parts(parts, body), &route.upstream);
                match self.timed(route, exchange).instrument(span).await {
                    Ok(answer) => answer.map(Either::Right),
                    Err(no_answer) => Refusal::from(no_answer).into_answer(),
                }
            }
            None => Refusal::no_route().into_answer(),
        };
        self.guard.complete(&access, answer.headers_mut());
        answer
    }

    fn count(&self, route: Option<&Route>, judged: &Result<Access, Rejection>) {
        match (route.and_then(|route| self.counts.of(&route.path)), judged) {
            (Some(counts), Ok(_)) => counts.decided(Decision::Allowed),
            (Some(counts), Err(rejection)) => counts.decided(Decision::of_refusal(rejection.status())),
            (None, Ok(_)) => self.metrics.no_route(),
            (None, Err(_)) => {}
        }
    }

    async fn timed<T>(
        &self,
        route: &Route,
        exchange: impl Future<Output = Result<T, NoAnswer>>,
    ) -> Result<T, NoAnswer> {
        let Some(counts) = self.counts.of(&route.path) else { return exchange.await };
        let clock = &self.guard.config().clock;
        let begun = clock.now().monotonic;
        let answer = exchange.await;
        match &answer {
            Ok(_) => counts.answered(clock.now().monotonic.saturating_sub(begun)),
            Err(no_answer) => counts.not_answered(*no_answer),
        }
        answer
    }

    async fn judge(&self, request: &Parts, route: Option<&Route>) -> Result<Access, Rejection> {
        let target = self.public.target(&request.uri).map_err(|_| self.guard.refuse_target(request))?;
        let access = self.guard.check(request, &target).await?;
        if let Some(route) = route {
            self.guard.require_scope(&access, &route.scopes, request)?;
        }
        Ok(access)
    }
}

enum Admitted<'g> {
    Preflight(Box<Answer>),
    Route(Option<&'g Route>),
}

impl Refusal {
    /// One audit event, and 400.
    fn bad_request(request: &Parts, row: &'static str, why: impl ToString) -> Self {
        let path: String = request.uri.path().chars().take(200).flat_map(char::escape_default).collect();
        let why = why.to_string();
        tracing::warn!(target: "audit", event = "malformed_request", row, status = 400, path, why, "request refused");
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_request", why: format!("{row}: {why}") }
    }

    fn no_route() -> Self {
        let why = "no route leads to this path".to_owned();
        Self { status: StatusCode::NOT_FOUND, error: "not_found", why }
    }

    fn into_answer(self) -> Answer {
        let body = serde_json::json!({ "error": self.error, "error_description": self.why });
        let mut answer = Response::new(Either::Left(Full::from(body.to_string())));
        *answer.status_mut() = self.status;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }
}

impl From<NoAnswer> for Refusal {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::Broken => Self {
                status: StatusCode::BAD_GATEWAY,
                error: "bad_gateway",
                why: "the service behind this gateway cannot be reached".to_owned(),
            },
            NoAnswer::TooSlow => Self {
                status: StatusCode::GATEWAY_TIMEOUT,
                error: "gateway_timeout",
                why: "the service behind this gateway did not answer in time".to_owned(),
            },
        }
    }
}
