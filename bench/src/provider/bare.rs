//! The bare handler: it reads a form and answers what it was told to. The same accept loop, allocator and HTTP library as
//! the provider, the same bytes in and out, and nothing in between.

use super::load::Answer;
use super::server::free_address;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{get, post};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use keybound_bench::Failure;
use keybound_serve::{IncomingBody, Options, Server, bind, stop_signal};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::task::{Context, Poll};
use tower_service::Service;

/// Told this word, an address and a file with an answer, the program is a server that gives it.
pub(crate) const SERVE: &str = "--serve-answer";

/// What every request is answered with.
#[derive(Clone)]
struct Known {
    headers: HeaderMap,
    body: String,
}

/// How to start it, to answer like this.
pub(super) fn command(folder: &Path, answer: &Answer<'_>) -> Result<(Command, SocketAddr), Failure> {
    let (file, address) = (folder.join("answer"), free_address()?);
    std::fs::write(&file, format!("{}{}", answer.head, answer.body))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([SERVE, &address.to_string()]).arg(file);
    Ok((command, address))
}

/// Serves until it is stopped.
pub(crate) fn serve(address: &str, file: &str) -> Result<(), Failure> {
    let known = read(&std::fs::read_to_string(file)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(address.parse()?, known))
}

#[expect(clippy::print_stdout, reason = "the word that whoever started it waits for")]
async fn run(address: SocketAddr, known: Known) -> Result<(), Failure> {
    let routes =
        Router::new().route("/token", post(answer)).route("/authorize", get(answer)).with_state(known);
    let stop = stop_signal()?;
    let server = Server::new(bind(address).await?, Routes(routes), Options::new("bare"))?;
    println!("ready");
    let stopped = async {
        stop.await;
    };
    server.run(stopped).await;
    Ok(())
}

async fn answer(State(known): State<Known>, request: Request<Body>) -> Response<Body> {
    let read = request.into_body().collect().await;
    let mut response = Response::new(Body::from(known.body));
    *response.headers_mut() = known.headers;
    if read.is_err() {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response
}

/// An answer as it went over the wire; what the HTTP library writes by itself is left out.
fn read(answer: &str) -> Result<Known, Failure> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer has a head")?;
    let mut headers = HeaderMap::new();
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(": ").ok_or("a header has a name and a value")?;
        if !["content-length", "date"].contains(&name) {
            headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
        }
    }
    Ok(Known { headers, body: body.to_owned() })
}

/// As the program `keybound` hands its routes to the shell.
#[derive(Clone)]
struct Routes(Router);

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
