//! A layer behind the guard: this route wants a scope (RFC 6750 §3.1, RS-CHK-05).

use crate::access::Access;
use crate::guard::Guard;
use crate::layer::GuardedBody;
use crate::rejection::Rejection;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Full};
use keybound_oauth::scope::Scope;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Lets through only tokens whose scope holds all of these. Stands behind a [`GuardLayer`](crate::GuardLayer).
#[derive(Clone, Debug)]
pub struct RequireScopeLayer {
    guard: Arc<Guard>,
    needed: Scope,
}

/// A service that wants a scope.
#[derive(Clone, Debug)]
pub struct RequireScopeService<S> {
    rule: RequireScopeLayer,
    inner: S,
}

impl RequireScopeLayer {
    /// `guard` is the one in front; it writes the refusal.
    #[must_use]
    pub const fn new(guard: Arc<Guard>, needed: Scope) -> Self {
        Self { guard, needed }
    }

    /// A request that no guard has looked at means that the layers are in the wrong order: it stays out.
    fn refusal(&self, request: &Parts) -> Option<Response<Full<Bytes>>> {
        let Some(access) = request.extensions.get::<Access>() else {
            tracing::error!("a route that wants a scope has no guard in front");
            return Some(unguarded());
        };
        self.guard.require_scope(access, &self.needed, request).err().map(Rejection::into_response)
    }
}

impl<S> Layer<S> for RequireScopeLayer {
    type Service = RequireScopeService<S>;

    fn layer(&self, inner: S) -> RequireScopeService<S> {
        RequireScopeService { rule: self.clone(), inner }
    }
}

impl<S, B, R> Service<Request<B>> for RequireScopeService<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send + 'static>,
    S::Error: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        if let Some(refusal) = self.rule.refusal(&parts) {
            return Box::pin(async move { Ok(refusal.map(Either::Left)) });
        }
        let answer = self.inner.call(Request::from_parts(parts, body));
        Box::pin(async move { Ok(answer.await?.map(Either::Right)) })
    }
}

/// What a caller is told where a guard is missing.
pub(crate) fn unguarded() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
