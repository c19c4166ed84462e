//! An axum router as a service of the shell: the request's body changes its type, nothing else.

use axum::body::Body;
use http::Request;
use keybound_serve::IncomingBody;
use std::task::{Context, Poll};
use tower_service::Service;

/// The routes behind a listener.
#[derive(Clone, Debug)]
pub(crate) struct Routes<S>(pub(crate) S);

impl<S: Service<Request<Body>>> Service<Request<IncomingBody>> for Routes<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<IncomingBody>) -> Self::Future {
        self.0.call(request.map(Body::new))
    }
}
