//! A service without a framework: hyper speaks HTTP, and the guard is a layer around a tower service.
//!
//! `cargo run -p keybound-resource --example tower_service`
#![expect(clippy::print_stdout, reason = "an example shows what it answers")]

mod common;

use bytes::Bytes;
use common::{API, Failed, Others};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use keybound_dpop::time::SystemClock;
use keybound_resource::{Access, Guard, GuardConfig, GuardLayer, PublicUrl, TrustedIssuer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer;

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = request.extensions().get::<Access>().map_or("nobody", Access::subject);
    Ok(Response::new(Full::from(format!("hello, {name}"))))
}

/// Serves in the background.
async fn serve(issuer: TrustedIssuer) -> Result<SocketAddr, Failed> {
    let guard = Guard::new(GuardConfig::new(issuer, API, Arc::new(SystemClock::start()))?)?;
    // What proofs are for is the URL that callers see, never the address on which we listen.
    let layer = GuardLayer::new(Arc::new(guard), PublicUrl::parse(API)?);
    let service = layer.layer(tower::service_fn(hello));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let io = TokioIo::new(stream);
                auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
            });
        }
    });
    Ok(address)
}

async fn call(
    address: SocketAddr,
    request: Request<Empty<Bytes>>,
) -> Result<(u16, HeaderMap, Bytes), Failed> {
    let io = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    println!("{} {body:?}", head.status);
    Ok((head.status.as_u16(), head.headers, body))
}

async fn run() -> Result<(), Failed> {
    let others = Others::new()?;
    let address = serve(others.issuer()).await?;
    let token = others.token("hello")?;
    let request = |answer| {
        let request = others.request(Method::GET, "/hello", &token, answer)?;
        Ok::<_, Failed>(request.header("host", "api.example").body(Empty::new())?)
    };
    let (status, headers, _) = call(address, request(None)?).await?;
    if status != 401 {
        return Err("a proof without a nonce went through".into());
    }
    match call(address, request(Some(&headers))?).await? {
        (200, _, body) if &body[..] == b"hello, alice" => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

pub(crate) fn main() -> Result<(), Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}
