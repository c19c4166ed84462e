//! The guard as a tower layer, for any HTTP service: axum, hyper, tonic.

use crate::cors::Cors;
use crate::demand::Demand;
use crate::guard::Guard;
use crate::public_url::PublicUrl;
use bytes::Bytes;
use http::header::ORIGIN;
use http::{Request, Response};
use http_body_util::{Either, Full};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// The body of an answer: the guard's, or the service's.
pub type GuardedBody<B> = Either<Full<Bytes>, B>;

/// Puts a [`Guard`] in front of a service. What gets through carries an [`Access`](crate::Access) among its extensions.
#[derive(Clone, Debug)]
pub struct GuardLayer(Arc<Setup>);

#[derive(Clone, Debug)]
struct Setup {
    guard: Arc<Guard>,
    public: PublicUrl,
    demand: Option<Arc<Demand>>,
    cors: Option<Cors>,
}

/// What a route has asked for, for the refusals of those who ask for more behind the guard.
#[derive(Clone)]
pub(crate) struct Asked(pub(crate) Arc<Demand>);

/// A service with a [`Guard`] in front.
#[derive(Clone, Debug)]
pub struct GuardService<S> {
    setup: Arc<Setup>,
    inner: S,
}

impl GuardLayer {
    /// For a service that callers know under that URL.
    #[must_use]
    pub fn new(guard: Arc<Guard>, public: PublicUrl) -> Self {
        Self(Arc::new(Setup { guard, public, demand: None, cors: None }))
    }

    /// Asks for this instead of what the guard asks of all: another scope, audience or sign-in, nonces or none.
    #[must_use]
    pub fn asking(self, demand: Demand) -> Self {
        Self(Arc::new(Setup { demand: Some(Arc::new(demand)), ..Setup::clone(&self.0) }))
    }

    /// Lets pages of these origins call. Without it there is no cross-origin access, and a preflight needs a token
    /// like any other request.
    #[must_use]
    pub fn with_cors(self, cors: Cors) -> Self {
        Self(Arc::new(Setup { cors: Some(cors), ..Setup::clone(&self.0) }))
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = GuardService<S>;

    fn layer(&self, inner: S) -> GuardService<S> {
        GuardService { setup: Arc::clone(&self.0), inner }
    }
}

impl<S, B, R> Service<Request<B>> for GuardService<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        let setup = Arc::clone(&self.setup);
        Box::pin(async move {
            let Some(cors) = &setup.cors else { return answer(&setup, ready, request).await };
            let (parts, body) = request.into_parts();
            if let Some(preflight) = cors.preflight(&parts) {
                return Ok(preflight.map(Either::Left));
            }
            let origin = parts.headers.get(ORIGIN).cloned();
            let mut response = answer(&setup, ready, Request::from_parts(parts, body)).await?;
            cors.mark(origin.as_ref(), response.headers_mut());
            Ok(response)
        })
    }
}

async fn answer<S, B, R>(
    setup: &Setup,
    mut service: S,
    request: Request<B>,
) -> Result<Response<GuardedBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    let (mut parts, body) = request.into_parts();
    let judged = match setup.public.target(&parts.uri) {
        Ok(target) => {
            let demand = setup.demand.as_deref().unwrap_or_else(|| setup.guard.demand());
            setup.guard.check_for(&parts, &target, demand).await
        }
        Err(_) => Err(setup.guard.refuse_target(&parts)),
    };
    let access = match judged {
        Ok(access) => access,
        Err(rejection) => return Ok(rejection.into_response().map(Either::Left)),
    };
    parts.extensions.insert(access.clone());
    match &setup.demand {
        Some(demand) => parts.extensions.insert(Asked(Arc::clone(demand))),
        None => parts.extensions.remove(),
    };
    let mut response = service.call(Request::from_parts(parts, body)).await?;
    setup.guard.complete(&access, response.headers_mut());
    Ok(response.map(Either::Right))
}
