//! Bodies pass as they come, in both directions, trailers too.

use crate::world::{Upstream, World, serve};
use bytes::Bytes;
use http::header::HeaderMap;
use http::{HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};

/// A body of the frames that come out of a channel.
struct Channel(mpsc::Receiver<Frame<Bytes>>);

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

async fn read_until(stream: &mut TcpStream, text: &mut String, wanted: &str) {
    let mut some = [0; 4096];
    while !text.contains(wanted) {
        let read = stream.read(&mut some).await.expect("read");
        assert!(read > 0, "ended before {wanted:?}: {text}");
        text.push_str(&String::from_utf8_lossy(&some[..read]));
    }
}

#[tokio::test]
async fn bodies_are_not_held_back_in_either_direction() {
    let (to_test, mut from_caller) = mpsc::channel::<Bytes>(8);
    let (to_caller, frames) = mpsc::channel(8);
    let frames = Arc::new(Mutex::new(Some(frames)));
    let address = serve(move |request: Request<Incoming>| {
        let (to_test, frames) = (to_test.clone(), Arc::clone(&frames));
        async move {
            tokio::spawn(async move {
                let mut body = request.into_body();
                while let Some(Ok(frame)) = body.frame().await {
                    if let Ok(data) = frame.into_data() {
                        to_test.send(data).await.expect("heard");
                    }
                }
            });
            Response::new(Channel(frames.lock().await.take().expect("one request")))
        }
    })
    .await;
    let world = World::start(address, "").await;
    let mut stream = TcpStream::connect(world.address).await.expect("connected");
    let credentials = world.credentials("POST", "/a");
    let head = format!("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{credentials}\r\n");
    stream.write_all(head.as_bytes()).await.expect("written");
    stream.write_all(b"3\r\none\r\n").await.expect("written");
    assert_eq!(from_caller.recv().await.expect("a piece"), "one");

    let mut heard = String::new();
    to_caller.send(Frame::data(Bytes::from_static(b"first"))).await.expect("sent");
    read_until(&mut stream, &mut heard, "first").await;
    stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.expect("written");
    assert_eq!(from_caller.recv().await.expect("a piece"), "two");
    to_caller.send(Frame::data(Bytes::from_static(b"second"))).await.expect("sent");
    drop(to_caller);
    read_until(&mut stream, &mut heard, "second").await;
}

#[tokio::test]
async fn rs_gw_01_trailers_pass_and_cannot_speak_for_the_gateway() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    let credentials = world.credentials("POST", "/a");
    let trailers = "X-Sum: 7\r\nKeybound-Subject: mallory\r\nAuthorization: DPoP x\r\n";
    let heard = world
        .ask(&format!(
            "POST /a HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\
             Trailer: X-Sum, Keybound-Subject, Authorization\r\n{credentials}\r\n\
             3\r\nabc\r\n0\r\n{trailers}\r\n"
        ))
        .await;
    assert_eq!(heard.status, 200);
    let seen = upstream.only();
    assert_eq!((seen.method.as_str(), seen.body.as_ref()), ("POST", b"abc".as_slice()));
    assert_eq!(seen.all("te"), ["trailers"]);
    let trailers = seen.trailers.expect("trailers");
    assert_eq!(trailers.len(), 1);
    assert_eq!(trailers["x-sum"], "7");
}

#[tokio::test]
async fn trailers_of_the_answer_pass() {
    let address = serve(|_: Request<Incoming>| async {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-status", HeaderValue::from_static("fine"));
        let (frames, body) = mpsc::channel(2);
        frames.send(Frame::data(Bytes::from_static(b"data"))).await.expect("sent");
        frames.send(Frame::trailers(trailers)).await.expect("sent");
        Response::builder().header("trailer", "x-status").body(Channel(body)).expect("a response")
    })
    .await;
    let world = World::start(address, "").await;
    let heard = world.get("/a", "TE: trailers\r\nConnection: te\r\n").await;
    assert!(heard.body.contains("data") && heard.body.contains("x-status: fine"), "{heard:?}");
}

#[tokio::test]
async fn methods_queries_and_sizes_pass_as_they_are() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    let credentials = world.credentials("PURGE", "/a");
    let request = format!(
        "PURGE /a?b=%2F&c HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n{credentials}\r\nhi"
    );
    assert!(world.ask(&request).await.body.contains("from upstream"));
    let seen = upstream.only();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str(), seen.body.as_ref()),
        ("PURGE", "/a?b=%2F&c", b"hi".as_slice())
    );
    assert_eq!(seen.all("content-length"), ["2"]);
    assert!(seen.all("transfer-encoding").is_empty() && seen.all("expect").is_empty());
}
