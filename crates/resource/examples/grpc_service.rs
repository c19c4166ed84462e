//! A gRPC service. A call is a POST of `/package.Service/Method`: the proof says so, and travels with the token in the call's
//! metadata, each time anew. A refusal is a plain HTTP answer, which gRPC clients know as a status: 401 is
//! `UNAUTHENTICATED`, 403 `PERMISSION_DENIED`, 503 `UNAVAILABLE`.
//!
//! `cargo run -p keybound-resource --example grpc_service`
#![expect(clippy::print_stdout, reason = "an example shows what it answers")]

mod common;

use bytes::{Buf, BufMut};
use common::{API, Failed, Others};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use keybound_dpop::time::SystemClock;
use keybound_resource::{Access, Guard, GuardConfig, GuardLayer, PublicUrl, TrustedIssuer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower_layer::Layer;

const PATH: &str = "/hello.Greeter/Hello";

/// The message is a text. Elsewhere a code generator writes this.
#[derive(Clone, Copy, Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| Status::invalid_argument("not a text"))
    }
}

/// Who gets here has shown a token and the key that it is bound to.
async fn hello(request: tonic::Request<String>) -> Result<tonic::Response<String>, Status> {
    let access = request.extensions().get::<Access>();
    let access = access.ok_or_else(|| Status::internal("no guard stands in front"))?;
    Ok(tonic::Response::new(format!("{}, {}", request.get_ref(), access.subject())))
}

async fn greeter(request: Request<Incoming>) -> Result<http::Response<tonic::body::Body>, Infallible> {
    let mut grpc = tonic::server::Grpc::new(Text);
    Ok(grpc.unary(tower::service_fn(hello), request).await)
}

/// Serves in the background.
async fn serve(issuer: TrustedIssuer) -> Result<SocketAddr, Failed> {
    let guard = Guard::new(GuardConfig::new(issuer, API, Arc::new(SystemClock::start()))?)?;
    let layer = GuardLayer::new(Arc::new(guard), PublicUrl::parse(API)?);
    let service = layer.layer(tower::service_fn(greeter));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let io = TokioIo::new(stream);
            tokio::spawn(async move {
                auto::Builder::new(TokioExecutor::new()).http2_only().serve_connection(io, service).await
            });
        }
    });
    Ok(address)
}

/// A call with a token and a new proof in its metadata.
async fn call(
    client: &mut tonic::client::Grpc<Channel>,
    (others, token): (&Others, &str),
    answer: Option<&HeaderMap>,
) -> Result<tonic::Response<String>, Status> {
    let shown = others.request(Method::POST, PATH, token, answer).and_then(|shown| Ok(shown.body(())?));
    let shown = shown.map_err(|error| Status::internal(error.to_string()))?;
    let mut request = tonic::Request::new("hello".to_owned());
    *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(shown.headers().clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    client.unary(request, PathAndQuery::from_static(PATH), Text).await
}

async fn run() -> Result<(), Failed> {
    let others = Others::new()?;
    let address = serve(others.issuer()).await?;
    let mut client = tonic::client::Grpc::new(Endpoint::new(format!("http://{address}"))?.connect().await?);
    let token = others.token("hello")?;
    let challenged =
        call(&mut client, (&others, &token), None).await.err().ok_or("no nonce was asked for")?;
    println!("{:?}", challenged.code());
    let answer = call(&mut client, (&others, &token), Some(challenged.metadata().as_ref())).await?;
    println!("{}", answer.get_ref());
    match (challenged.code(), answer.get_ref().as_str()) {
        (Code::Unauthenticated, "hello, alice") => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

pub(crate) fn main() -> Result<(), Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}
