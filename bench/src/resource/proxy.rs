//! The bare proxy: the same accept loop, allocator and HTTP library as the gateway, and nothing in between.

use crate::process::server::{Server, free_address};
use crate::process::serving::serve;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use keybound_bench::Failure;
use keybound_dpop::header::DPOP;
use keybound_serve::{BodyError, IncomingBody};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Poll};
use tower_service::Service;

/// Told this word, two addresses and a length, the program is a proxy from the one to the other. So that it sends as many
/// octets as the gateway, which keeps token and proof and tells who calls, it sends a field of that length in their place.
pub(crate) const PROXY: &str = "--serve-proxy";

const IN_THEIR_PLACE: HeaderName = HeaderName::from_static("x-caller");

type Answer = Response<Either>;
type Either = http_body_util::Either<Incoming, Empty<Bytes>>;

/// Starts it.
pub(crate) fn start(upstream: SocketAddr, length: usize) -> Result<Server, Failure> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([PROXY, &address.to_string(), &upstream.to_string(), &length.to_string()]);
    Server::start(command, address)
}

/// Serves until it is stopped.
pub(crate) fn run(address: &str, upstream: &str, length: &str) -> Result<(), Failure> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).set_host(false).build(connector);
    let field = HeaderValue::try_from("x".repeat(length.parse()?))?;
    serve(address, Proxy { client, upstream: upstream.parse()?, field })
}

#[derive(Clone)]
struct Proxy {
    client: Client<HttpConnector, UnsyncBoxBody<Bytes, BodyError>>,
    upstream: Authority,
    field: HeaderValue,
}

impl Service<Request<IncomingBody>> for Proxy {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<IncomingBody>) -> Self::Future {
        let Self { client, upstream, field } = self.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let mut uri = parts.uri.into_parts();
            uri.scheme = Some(Scheme::HTTP);
            uri.authority = Some(upstream);
            parts.uri = Uri::from_parts(uri).unwrap_or_default();
            parts.headers.remove(AUTHORIZATION);
            parts.headers.remove(DPOP);
            parts.headers.insert(IN_THEIR_PLACE, field);
            let answer = client.request(Request::from_parts(parts, body.boxed_unsync())).await;
            Ok(answer.map_or_else(|_| bad_gateway(), |answer| answer.map(Either::Left)))
        })
    }
}

fn bad_gateway() -> Answer {
    let mut answer = Response::new(Either::Right(Empty::new()));
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}
