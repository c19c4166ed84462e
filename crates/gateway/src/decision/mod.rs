//! The judgement for proxies that people already run: they ask, and forward themselves.
//!
//! A question is a request of the proxy, and what it asks about is what the proxy says. Only listed proxies are believed,
//! and of each only what its kind says (RFC 9700 §4.13, BCP-PRX-01). Bodies are never asked for.

mod auth_request;
mod ext_authz;
mod messages;

use crate::config::{Decision, Proxy, ProxyKind};
use crate::headers::{Kept, Who, say_who_calls};
use crate::refusal::Refusal;
use crate::route::{Identity, Route, Rule};
use crate::service::{Admitted, Gateway, GatewayService};
use bytes::Bytes;
use http::header::{HeaderMap, ORIGIN};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::combinators::WithTrailers;
use http_body_util::{Either, Full};
use std::convert::Infallible;
use std::future::{Future, Ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// The body of an answer to a proxy: what HTTP asks for, or gRPC.
pub type DecisionBody =
    Either<Full<Bytes>, WithTrailers<Full<Bytes>, Ready<Option<Result<HeaderMap, Infallible>>>>>;

/// Decides for proxies, by the rules of a gateway. Cheap to clone. A question must have its peer's [`SocketAddr`] among
/// its extensions.
#[derive(Clone, Debug)]
pub struct DecisionService {
    gateway: GatewayService,
    proxies: Arc<[Proxy]>,
}

/// What a proxy is to do.
enum Verdict {
    /// Forward the request.
    Pass(Box<Passed>),
    /// Answer with this, to the letter, and forward nothing.
    Answer(Response<Full<Bytes>>),
}

/// A request that may pass.
struct Passed {
    /// For the API, in place of whatever the caller sends under these names.
    identity: HeaderMap,
    /// For the caller, besides what the API says.
    for_caller: HeaderMap,
    /// Whether the API gets the token and the proof.
    kept: Kept,
}

impl DecisionService {
    /// Decides by the guard, the routes and the public URL of `gateway`: a proof counts once for both.
    #[must_use]
    pub fn new(gateway: &GatewayService, decision: &Decision) -> Self {
        Self { gateway: gateway.clone(), proxies: decision.proxies.clone().into() }
    }

    async fn answer<B>(self, request: Request<B>) -> Response<DecisionBody>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let gateway = &*self.gateway.0.gateway();
        let (parts, body) = request.into_parts();
        let kind = self.asking(&parts);
        if let Some(answer) = kind.and_then(|_| gateway.published(&parts)) {
            return answer.map(Either::Left);
        }
        match kind {
            None => unlisted(&parts).into_answer().map(Either::Left),
            Some(ProxyKind::Envoy) if ext_authz::is_grpc(&parts) => {
                ext_authz::answer(gateway, body).await.map(Either::Right)
            }
            Some(kind) => auth_request::answer(gateway, kind, parts).await.map(Either::Left),
        }
    }

    /// The kind of the proxy that asks; none if it is not listed.
    fn asking(&self, question: &Parts) -> Option<ProxyKind> {
        let peer = question.extensions.get::<SocketAddr>()?.ip();
        self.proxies.iter().find(|proxy| proxy.is_at(peer)).map(|proxy| proxy.kind)
    }
}

impl<B> Service<Request<B>> for DecisionService
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    type Response = Response<DecisionBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<DecisionBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}

/// Judges a request that a listed proxy asks about, just as if it had come to the gateway.
async fn decide(gateway: &Gateway, original: &Parts) -> Verdict {
    let mut verdict = match gateway.admit(original) {
        Ok(Admitted::Here(answer)) if answer.status() == StatusCode::NO_CONTENT => {
            return Verdict::Answer(*answer);
        }
        // What else is answered here is a 200, which a proxy would take for a yes.
        Ok(Admitted::Here(_)) => Verdict::Answer(Refusal::no_route().into_answer()),
        Ok(Admitted::Route(Some(route))) => by_rule(gateway, original, route).await,
        Ok(Admitted::Route(None)) => Verdict::Answer(gateway.nowhere(original).await),
        Err(refusal) => Verdict::Answer(refusal.into_answer()),
    };
    if let Some(cors) = &gateway.cors {
        cors.mark(original.headers.get(ORIGIN), verdict.for_caller_mut());
    }
    verdict
}

async fn by_rule(gateway: &Gateway, original: &Parts, route: &Route) -> Verdict {
    if let Rule::Guarded(demand) = &route.rule {
        return match gateway.judge_on(route, original, demand).await {
            Ok(access) => {
                let turn = gateway.limits.client(&access, gateway.guard.config().clock.monotonic());
                let mut verdict = match turn {
                    Ok(()) => pass(original, route, Who::Caller(&access)),
                    Err(refusal) => Verdict::Answer(refusal.into_answer()),
                };
                gateway.guard.complete(&access, verdict.for_caller_mut());
                verdict
            }
            Err(rejection) => Verdict::Answer(rejection.into_response()),
        };
    }
    if let Rule::Observed(demand) = &route.rule {
        gateway.look_on(route, original, demand).await;
        return pass(original, route, Who::Unjudged);
    }
    pass(original, route, Who::Anybody)
}

fn pass(original: &Parts, route: &Route, who: Who<'_>) -> Verdict {
    if !route.takes(&original.method) {
        return Verdict::Answer(Refusal::wrong_method(&route.methods).into_answer());
    }
    let (mut identity, for_caller) = (HeaderMap::new(), HeaderMap::new());
    if let (Who::Caller(access), Identity::Headers) = (who, route.identity) {
        say_who_calls(&mut identity, access);
    }
    Verdict::Pass(Box::new(Passed { identity, for_caller, kept: Kept::of(who, route) }))
}

impl Verdict {
    fn for_caller_mut(&mut self) -> &mut HeaderMap {
        match self {
            Self::Pass(passed) => &mut passed.for_caller,
            Self::Answer(answer) => answer.headers_mut(),
        }
    }
}

/// Somebody asks who is not listed: one audit event, and 403.
fn unlisted(question: &Parts) -> Refusal {
    let peer = question.extensions.get::<SocketAddr>().map(ToString::to_string).unwrap_or_default();
    tracing::warn!(target: "audit", event = "unlisted_proxy", row = "BCP-PRX-01", status = 403, peer, "question refused");
    Refusal::not_listed()
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::headers::IDENTITY;
    use toml::{Table, Value};

    fn at<'t>(mut value: &'t Value, path: &[&str]) -> &'t Value {
        for name in path {
            value = value.get(name).unwrap_or_else(|| panic!("no {name} of {path:?}"));
        }
        value
    }

    fn texts(value: &Value) -> Vec<String> {
        let texts = value.as_array().expect("a list").iter();
        texts.map(|text| text.as_str().expect("a text").to_ascii_lowercase()).collect()
    }

    /// Nobody runs Traefik here, so this is what is seen to: it is TOML, what a router names is there, and the API is told
    /// by us alone.
    #[test]
    fn bcp_prx_03_the_file_for_traefik_holds_together() {
        let text = include_str!("../../../../deploy/traefik/keybound.toml");
        let file = Value::Table(text.parse::<Table>().expect("TOML"));
        let http = at(&file, &["http"]);
        for (name, router) in at(http, &["routers"]).as_table().expect("routers") {
            at(http, &["services", at(router, &["service"]).as_str().expect("a name")]);
            let middlewares = router.get("middlewares").map(texts).unwrap_or_default();
            assert_eq!(middlewares.is_empty(), name == "published", "{name}");
            for middleware in middlewares {
                at(http, &["middlewares", &middleware]);
            }
        }
        let asks = at(http, &["middlewares", "keybound", "forwardAuth"]);
        assert_eq!(at(asks, &["trustForwardHeader"]), &Value::Boolean(false));
        let told = texts(at(asks, &["authResponseHeaders"]));
        assert_eq!(told, IDENTITY.map(|name| name.as_str().to_owned()));
        let ends = at(http, &["middlewares", "keybound-ends-here", "headers", "customRequestHeaders"]);
        let ends = ends.as_table().expect("fields");
        assert!(ends.contains_key("Authorization") && ends.contains_key("DPoP"));
        assert!(ends.values().all(|value| value.as_str() == Some("")), "{ends:?}");
        let rules = include_str!("../../../../deploy/traefik/gateway.toml");
        assert!(Config::parse(rules).expect("a configuration").decision.is_some());
    }
}
