//! Our own servers: the shell, allocator and HTTP library of the program `keybound`, with a service that is as bare as can
//! be.

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use keybound_bench::Failure;
use keybound_serve::{Handler, IncomingBody, Options, ResponseBody, Server, bind, stop_signal};
use std::convert::Infallible;
use std::task::{Context, Poll};
use tower_service::Service;

/// Serves until it is stopped, with a thread for each core that it may run on.
pub(crate) fn serve<S, B>(address: &str, service: S) -> Result<(), Failure>
where
    S: Handler<B>,
    B: ResponseBody,
{
    serve_beside(address, service, std::future::ready(()))
}

/// The same, while something else runs on the same threads.
#[expect(clippy::print_stdout, reason = "the word that whoever started it waits for")]
pub(crate) fn serve_beside<S, B>(
    address: &str,
    service: S,
    beside: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure>
where
    S: Handler<B>,
    B: ResponseBody,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        let server = Server::new(bind(address.parse()?).await?, service, Options::new("bench"))?;
        tokio::spawn(beside);
        println!("ready");
        let stopped = async {
            stop.await;
        };
        server.run(stopped).await;
        Ok(())
    })
}

/// As the program `keybound` hands its routes to the shell.
#[derive(Clone)]
pub(crate) struct Routes(pub(crate) Router);

impl Service<Request<IncomingBody>> for Routes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = <Router as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: Request<IncomingBody>) -> Self::Future {
        self.0.call(request.map(Body::new))
    }
}
