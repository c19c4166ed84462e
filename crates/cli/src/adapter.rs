//! An axum router as a service of the shell: the request's body changes its type, nothing else.

use axum::Router;
use axum::body::Body;
use http::Request;
use keybound_serve::IncomingBody;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tower_service::Service;

/// The router behind a listener.
#[derive(Clone, Debug)]
pub(crate) struct Routes(pub(crate) Router);

impl Service<Request<IncomingBody>> for Routes {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = <Router as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: Request<IncomingBody>) -> Self::Future {
        self.0.call(request.map(Body::new))
    }
}
