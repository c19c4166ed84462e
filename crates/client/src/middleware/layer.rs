//! Token and proof as a tower layer, for hyper's clients, tonic's channels, and any other service of requests.
//!
//! ```no_run
//! # use bytes::Bytes;
//! # use http_body_util::Full;
//! # use hyper_util::client::legacy::{Client, connect::HttpConnector};
//! # use hyper_util::rt::TokioExecutor;
//! # use keybound_client::middleware::DpopLayer;
//! # use keybound_client::shared_session::SharedSession;
//! # use tower::{ServiceBuilder, ServiceExt};
//! # async fn call(session: SharedSession, https: HttpConnector) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder(TokioExecutor::new()).build(https);
//! let service = ServiceBuilder::new().layer(DpopLayer::new(session)).service(client);
//! let request = http::Request::post("https://api.example/things").body(Full::new(Bytes::from("a thing")))?;
//! let answer = service.oneshot(request).await?;
//! # Ok(())
//! # }
//! ```

use super::{ReplayBody, Rules, SendError, drive};
use crate::shared_session::SharedSession;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Gives token and proof to all requests of a service. What is below it must not follow redirects, and must send requests
/// as they are: the proof says to which URL and by which method.
#[derive(Clone, Debug)]
pub struct DpopLayer {
    session: SharedSession,
    rules: Rules,
}

/// A service whose requests get token and proof.
#[derive(Clone, Debug)]
pub struct DpopService<S> {
    session: SharedSession,
    rules: Rules,
    inner: S,
}

impl DpopLayer {
    /// For requests with that session.
    #[must_use]
    pub fn new(session: SharedSession) -> Self {
        Self { session, rules: Rules::default() }
    }

    /// By other rules than [`Rules::default`].
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }
}

impl<S> Layer<S> for DpopLayer {
    type Service = DpopService<S>;

    fn layer(&self, inner: S) -> DpopService<S> {
        DpopService { session: self.session.clone(), rules: self.rules, inner }
    }
}

impl<S, B, R> Service<Request<B>> for DpopService<S>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>, Error: Send, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = SendError<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(SendError::Http)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that said it is ready goes; the new one will be asked (see `tower_service::Service`, "Be careful").
        let next = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, next);
        let (session, rules) = (self.session.clone(), self.rules);
        Box::pin(async move { drive(&mut ready, &session, rules, request.map(Some)).await })
    }
}
