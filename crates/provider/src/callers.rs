//! What is done about every request of a client, and every answer to one: counted, and readable where it may be.

use crate::endpoint;
use crate::provider::Provider;
use crate::respond;
use axum::body::Body;
use axum::extract::Request;
use http::header::ORIGIN;
use http::{Method, Response, StatusCode};
use keybound_resource::Cors;
use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Stands before the endpoints that clients call. One layer for all of it, because a token costs little more than its layers.
#[derive(Clone, Debug)]
pub(crate) struct Callers {
    provider: Arc<Provider>,
    cors: Option<Cors>,
}

impl Callers {
    /// These endpoints read no cookie: any page may call them, and read nonces and challenges (OPS-CORS-01, 02, 03).
    pub(crate) fn anywhere(provider: &Arc<Provider>) -> Self {
        Self { provider: Arc::clone(provider), cors: Some(Cors::any()) }
    }

    /// Called by servers alone: no page of another origin has business there.
    pub(crate) fn servers(provider: &Arc<Provider>) -> Self {
        Self { provider: Arc::clone(provider), cors: None }
    }

    /// OPS-LIM-05: what clients post is counted by address. UserInfo is not: one service calls it for all of its users.
    fn refusal(&self, request: &Request) -> Option<Response<Body>> {
        if request.method() != Method::POST || request.uri().path().ends_with(endpoint::USERINFO) {
            return None;
        }
        let (peer, now) = (request.extensions().get::<SocketAddr>()?, self.provider.now().monotonic);
        let admitted = self.provider.limits.address(peer.ip(), now, &self.provider.metrics);
        admitted.err().map(|denied| respond::refusal(&denied.into(), None))
    }
}

impl<S> Layer<S> for Callers {
    type Service = Called<S>;

    fn layer(&self, inner: S) -> Called<S> {
        Called { callers: self.clone(), inner }
    }
}

/// An endpoint that clients call.
#[derive(Clone, Debug)]
pub(crate) struct Called<S> {
    callers: Callers,
    inner: S,
}

impl<S> Service<Request> for Called<S>
where
    S: Service<Request, Response = Response<Body>, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Some(cors) = self.callers.cors.clone() else {
            return match self.callers.refusal(&request) {
                Some(refusal) => Box::pin(ready(Ok(refusal))),
                None => Box::pin(self.inner.call(request)),
            };
        };
        if request.method() == Method::OPTIONS {
            let (parts, _) = request.into_parts();
            let answer = cors.preflight(&parts).map(|preflight| preflight.map(Body::new));
            return Box::pin(ready(Ok(answer.unwrap_or_else(nothing_to_say))));
        }
        let origin = request.headers().get(ORIGIN).cloned();
        let next = self.callers.refusal(&request).ok_or_else(|| self.inner.call(request));
        Box::pin(async move {
            let mut response = match next {
                Ok(refusal) => refusal,
                Err(answer) => answer.await?,
            };
            cors.mark(origin.as_ref(), response.headers_mut());
            Ok(response)
        })
    }
}

/// Any other OPTIONS request.
fn nothing_to_say() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
