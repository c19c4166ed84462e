//! HTTP/1.1 and HTTP/2 on either side, in every pair, over TLS and without; gRPC end to end.

use crate::secure::{Authority, serve_tls};
use crate::world::{PUBLIC, Seen, Upstream, World, serve};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::HeaderMap;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keybound_gateway::Config;
use std::convert::Infallible;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

const TWO: &str = "[upstreams.two]\nhttp2 = true\n";

type Frames = Vec<Result<Frame<Bytes>, Infallible>>;

/// A body with trailers.
fn with_trailers(data: &'static str, name: &'static str, value: &'static str) -> Frames {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, HeaderValue::from_static(value));
    vec![Ok(Frame::data(Bytes::from_static(data.as_bytes()))), Ok(Frame::trailers(trailers))]
}

/// An upstream that remembers what it saw, and answers with its own version in a field and a trailer.
async fn telling() -> (std::net::SocketAddr, Arc<Mutex<Vec<(Version, Seen)>>>) {
    let seen: Arc<Mutex<Vec<(Version, Seen)>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let address = serve(move |request: Request<Incoming>| {
        let kept = Arc::clone(&kept);
        async move { tell(request, &kept).await }
    })
    .await;
    (address, seen)
}

async fn tell(
    request: Request<Incoming>,
    kept: &Mutex<Vec<(Version, Seen)>>,
) -> Response<StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>> {
    let (parts, body) = request.into_parts();
    let version = parts.version;
    let body = body.collect().await.expect("a body");
    let trailers = body.trailers().cloned();
    kept.lock().expect("a lock").push((
        version,
        Seen {
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            headers: parts.headers,
            body: body.to_bytes(),
            trailers,
        },
    ));
    let frames = with_trailers("data", "x-end", "well");
    Response::builder()
        .header("x-version", format!("{version:?}"))
        .header("trailer", "x-end")
        .body(StreamBody::new(stream::iter(frames)))
        .expect("a response")
}

/// Sends a POST with a body and a trailer over HTTP/2, and reads the answer with its trailers.
async fn post_http_2(world: &World, path: &str) -> (http::response::Parts, Bytes, HeaderMap) {
    let stream = TcpStream::connect(world.address).await.expect("connected");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    let token = world.token();
    let request = Request::post(format!("http://api.example{path}"))
        .version(Version::HTTP_2)
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", world.proof("POST", &format!("{PUBLIC}{path}"), &token, None))
        .header("te", "trailers")
        .header("trailer", "x-sum, keybound-subject")
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    let mut frames = with_trailers("abc", "x-sum", "7");
    if let Some(Ok(last)) = frames.last_mut() {
        last.trailers_mut()
            .expect("trailers")
            .insert("keybound-subject", HeaderValue::from_static("mallory"));
    }
    let body = StreamBody::new(stream::iter(frames));
    let answer = sender.send_request(request.body(body).expect("a request")).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a body");
    let trailers = body.trailers().cloned().unwrap_or_default();
    (head, body.to_bytes(), trailers)
}

#[tokio::test]
async fn every_pair_of_versions_with_trailers_both_ways() {
    let (address, seen) = telling().await;
    let rest = format!(
        "upstream = \"http://{address}\"\n[nonce]\nmode = \"off\"\n{TWO}url = \"http://{address}\"\n\
         [[route]]\npath = \"/two\"\nupstream = \"two\""
    );
    let world = World::start_at(PUBLIC, &rest).await;
    for (path, expected) in [("/one", "HTTP/1.1"), ("/two", "HTTP/2.0")] {
        let (head, body, trailers) = post_http_2(&world, path).await;
        assert_eq!(
            (head.status.as_u16(), &head.headers["x-version"]),
            (200, &HeaderValue::from_static(expected))
        );
        assert_eq!(
            (body.as_ref(), trailers.get("x-end")),
            (b"data".as_slice(), Some(&HeaderValue::from_static("well")))
        );

        let credentials = world.credentials("POST", path);
        let heard = world
            .ask(&format!(
                "POST {path} HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\
                 {credentials}\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nKeybound-Subject: mallory\r\n\r\n"
            ))
            .await;
        assert_eq!((heard.status, heard.all("x-version")), (200, vec![expected]));
        assert!(heard.body.contains("data") && heard.body.contains("x-end: well"), "{heard:?}");
    }
    let seen = seen.lock().expect("a lock").clone();
    assert_eq!(seen.len(), 4);
    for (version, request) in seen {
        assert_eq!((request.body.as_ref(), request.all("te")), (b"abc".as_slice(), vec!["trailers"]));
        let trailers = request.trailers.as_ref().expect("trailers");
        assert_eq!(
            (trailers.len(), trailers.get("x-sum")),
            (1, Some(&HeaderValue::from_static("7"))),
            "{version:?}"
        );
        assert!(request.all("connection").is_empty() && request.all("authorization").is_empty());
        assert_eq!(request.all("keybound-subject").len(), 1);
        assert!(request.all("cookie").is_empty() || request.all("cookie") == ["a=1; b=2"]);
    }
}

#[tokio::test]
async fn bcp_prx_02_an_upstream_over_tls_agrees_on_http_2_and_is_known_by_its_authority() {
    let authority = Authority::new();
    let seen: Arc<Mutex<Vec<(Version, Seen)>>> = Arc::default();
    let kept = Arc::clone(&seen);
    for alpn in ["h2", "http/1.1"] {
        let kept = Arc::clone(&kept);
        let address = serve_tls(&authority, None, &[alpn], move |request: Request<Incoming>| {
            let kept = Arc::clone(&kept);
            async move { tell(request, &kept).await }
        })
        .await;
        let ask = async |ca: &str| {
            let upstream =
                format!("[upstreams.safe]\nurl = \"https://localhost:{}\"\nca_file = {ca:?}", address.port());
            let rest = format!("upstream = \"safe\"\n[nonce]\nmode = \"off\"\n{upstream}");
            World::start_at(PUBLIC, &rest).await.get("/a", "").await
        };
        let heard = ask(&authority.ca_file()).await;
        let expected = if alpn == "h2" { "HTTP/2.0" } else { "HTTP/1.1" };
        assert_eq!((heard.status, heard.all("x-version")), (200, vec![expected]));
        let other = Authority::new();
        assert_eq!(ask(&other.ca_file()).await.status, 502, "an authority that we do not trust");
    }
    assert_eq!(seen.lock().expect("a lock").len(), 2);
}

#[tokio::test]
async fn rs_gw_04_the_gateway_shows_its_certificate() {
    let (authority, upstream) = (Authority::new(), Upstream::start(200, &[]).await);
    let address = serve_tls(&authority, Some(&authority), &["h2"], |_: Request<Incoming>| async {
        Response::new(Full::new(Bytes::from_static(b"known")))
    })
    .await;
    drop(upstream);
    let (certificate, key) = authority.client_files();
    let permit = |mode| std::fs::set_permissions(&key, Permissions::from_mode(mode)).expect("permissions");
    permit(0o640);
    let own = format!("client_certificate = {certificate:?}\nclient_key = {key:?}\n");
    for (more, status) in [(own.as_str(), 200), ("", 502)] {
        let rest = format!(
            "upstream = \"safe\"\n[nonce]\nmode = \"off\"\n[upstreams.safe]\nurl = \"https://localhost:{}\"\n\
             ca_file = {:?}\n{more}",
            address.port(),
            authority.ca_file()
        );
        let world = World::start_at(PUBLIC, &rest).await;
        assert_eq!(world.get("/a", "").await.status, status, "{more}");
    }
    permit(0o644);
    let error = Config::parse(&format!(
        "public_url = {PUBLIC:?}\nissuer = \"https://i\"\nupstream = \"safe\"\n[upstreams.safe]\nurl = \"https://a\"\n{own}"
    ));
    let error = error.expect_err("others can read it").to_string();
    assert!(error.contains("others may read it (mode 644)"), "{error}");
}

/// Messages that are bytes.
#[derive(Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(to, &item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; bytes::Buf::remaining(from)];
        bytes::Buf::copy_to_slice(from, &mut message);
        Ok(Some(message))
    }
}

/// A gRPC service: `Say` echoes or fails, `Chat` echoes each message as it comes.
#[derive(Clone)]
struct Echo;

impl tower_service::Service<tonic::Request<Vec<u8>>> for Echo {
    type Response = tonic::Response<Vec<u8>>;
    type Error = Status;
    type Future = std::future::Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Status>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<Vec<u8>>) -> Self::Future {
        let subject = request.metadata().get("keybound-subject").cloned();
        let mut answer = tonic::Response::new(request.into_inner());
        if answer.get_ref() == b"fail" {
            return std::future::ready(Err(Status::failed_precondition("as you wish")));
        }
        if let Some(subject) = subject {
            answer.metadata_mut().insert("x-subject", subject);
        }
        std::future::ready(Ok(answer))
    }
}

impl tower_service::Service<tonic::Request<Streaming<Vec<u8>>>> for Echo {
    type Response = tonic::Response<Streaming<Vec<u8>>>;
    type Error = Status;
    type Future = std::future::Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Status>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<Streaming<Vec<u8>>>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new(request.into_inner())))
    }
}

async fn grpc_server() -> std::net::SocketAddr {
    serve(|request: Request<Incoming>| async move {
        let mut grpc = tonic::server::Grpc::new(Plain);
        if request.uri().path().ends_with("/Say") {
            grpc.unary(Echo, request).await
        } else {
            grpc.streaming(Echo, request).await
        }
    })
    .await
}

/// A gateway before a gRPC server, and a channel to it.
async fn grpc() -> (World, tonic::client::Grpc<Channel>) {
    let rest =
        format!("upstream = \"two\"\n[nonce]\nmode = \"off\"\n{TWO}url = \"http://{}\"", grpc_server().await);
    let world = World::start_at(PUBLIC, &rest).await;
    let channel = Endpoint::from_shared(format!("http://{}", world.address)).expect("an endpoint");
    let mut client = tonic::client::Grpc::new(channel.connect().await.expect("connected"));
    client.ready().await.expect("ready");
    (world, client)
}

fn signed<T>(world: &World, token: &str, path: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let proof = world.proof("POST", &format!("{PUBLIC}{path}"), token, None);
    for (name, value) in [("authorization", format!("DPoP {token}")), ("dpop", proof)] {
        request.metadata_mut().insert(name, value.parse().expect("ASCII"));
    }
    request
}

const SAY: &str = "/echo.Echo/Say";
const CHAT: &str = "/echo.Echo/Chat";

#[tokio::test]
async fn grpc_calls_pass_with_their_status() {
    let (world, mut client) = grpc().await;
    let token = world.token();
    let path = PathAndQuery::from_static(SAY);
    let request = signed(&world, &token, SAY, b"hello".to_vec());
    let answer = client.unary(request, path.clone(), Plain).await.expect("an answer");
    assert_eq!(answer.metadata().get("x-subject").expect("a subject"), "alice%20d'or%20%25");
    assert_eq!(answer.into_inner(), b"hello");

    client.ready().await.expect("ready");
    let request = signed(&world, &token, SAY, b"fail".to_vec());
    let status = client.unary(request, path.clone(), Plain).await.expect_err("a status");
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "as you wish"));

    client.ready().await.expect("ready");
    let without = tonic::Request::new(b"hello".to_vec());
    let status = client.unary(without, path, Plain).await.expect_err("refused");
    assert_eq!(status.code(), Code::Unauthenticated, "gRPC clients read 401 so");
}

#[tokio::test]
async fn rs_gw_07_a_grpc_stream_flows_both_ways_and_ends_with_its_token() {
    let (world, mut client) = grpc().await;
    let token = world.token_for(3);
    let (say, said) = tokio::sync::mpsc::channel::<Vec<u8>>(1);
    let said = stream::unfold(said, |mut said| async { said.recv().await.map(|message| (message, said)) });
    let request = signed(&world, &token, CHAT, said);
    say.send(b"one".to_vec()).await.expect("sent");
    let answer = client.streaming(request, PathAndQuery::from_static(CHAT), Plain).await.expect("an answer");
    let mut heard = answer.into_inner();
    assert_eq!(heard.next().await.expect("a message").expect("good"), b"one");
    say.send(b"two".to_vec()).await.expect("sent");
    assert_eq!(heard.next().await.expect("a message").expect("good"), b"two");
    let status = heard.next().await.expect("an end").expect_err("a status");
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the access token has expired"));
}
