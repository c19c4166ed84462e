//! The bare handler: it reads a body and answers what it was told to. The same accept loop, allocator and HTTP library as
//! whatever it stands beside or behind, the same bytes in and out, and nothing in between.

use super::load::Answer;
use super::server::free_address;
use super::serving::{Routes, serve, serve_beside};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{any, get, post};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use keybound_bench::Failure;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

/// Told this word, an address and a file with an answer, the program is a server that gives it.
pub(crate) const ANSWER: &str = "--serve-answer";
/// This word besides makes it one that does not fall asleep while there is work. Where a server is behind what is measured,
/// the kernel has whoever sends it something pay for waking it, and that the more often the slower they are; an API on
/// another machine is not woken by them.
pub(crate) const AWAKE: &str = "awake";
/// How long the body is that comes from [`LONG`].
pub(crate) const LONG_LEN: u64 = 1 << 30;
/// Where a long body comes from.
pub(crate) const LONG: &str = "/long";
/// Where the answer says how many octets the fields of the request had.
pub(crate) const FIELDS: &str = "/fields";

/// What it has done: requests, and pieces of bodies.
static DONE: AtomicU64 = AtomicU64::new(0);
/// Looks for work before it falls asleep: some ten milliseconds of them.
const LOOKS: u32 = 10_000;
/// How long it then sleeps, unless something comes.
const NAP: Duration = Duration::from_millis(10);

/// A piece of the long body.
static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// What every request is answered with.
#[derive(Clone)]
struct Known {
    headers: HeaderMap,
    body: String,
}

/// How to start it, to answer like this.
pub(crate) fn command(folder: &Path, answer: &Answer<'_>) -> Result<(Command, SocketAddr), Failure> {
    let (file, address) = (folder.join("answer"), free_address()?);
    std::fs::write(&file, format!("{}{}", answer.head, answer.body))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([ANSWER, &address.to_string()]).arg(file);
    Ok((command, address))
}

/// Serves until it is stopped.
pub(crate) fn run(address: &str, file: &str) -> Result<(), Failure> {
    serve(address, routes(file)?)
}

/// The same, [`AWAKE`].
pub(crate) fn run_awake(address: &str, file: &str) -> Result<(), Failure> {
    serve_beside(address, routes(file)?, stay_awake())
}

/// Whoever loads it is on the same core, and has it whenever it wants.
async fn stay_awake() {
    loop {
        let before = DONE.load(Relaxed);
        for _ in 0..LOOKS {
            tokio::task::yield_now().await;
            std::thread::yield_now();
        }
        if DONE.load(Relaxed) == before {
            tokio::time::sleep(NAP).await;
        }
    }
}

fn routes(file: &str) -> Result<Routes, Failure> {
    let known = read(&std::fs::read_to_string(file)?)?;
    let routes = Router::new().route("/token", post(answer)).route("/authorize", get(answer));
    let routes = routes.route("/orders", any(answer)).route(FIELDS, get(fields)).route(LONG, get(long));
    Ok(Routes(routes.with_state(known)))
}

async fn answer(State(known): State<Known>, request: Request<Body>) -> Response<Body> {
    let mut body = request.into_body();
    let mut response = Response::new(Body::from(known.body));
    *response.headers_mut() = known.headers;
    DONE.fetch_add(1, Relaxed);
    while let Some(frame) = body.frame().await {
        DONE.fetch_add(1, Relaxed);
        if frame.is_err() {
            *response.status_mut() = StatusCode::BAD_REQUEST;
            break;
        }
    }
    response
}

async fn fields(headers: HeaderMap) -> String {
    let octets: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    octets.to_string()
}

async fn long() -> Response<Body> {
    let mut response = Response::new(Body::new(Pieces { left: LONG_LEN }));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(LONG_LEN));
    response
}

/// A long body, which is nowhere as a whole.
struct Pieces {
    left: u64,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left = self.left.saturating_sub(PIECE.len() as u64);
        DONE.fetch_add(1, Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
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
