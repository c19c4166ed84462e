//! Requests that two readers could read in two ways.

use http::{Request, Version};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keybound_serve::Limits;

use crate::support::{Running, status};

/// Each is refused with 400, and the service never sees it.
const CORPUS: &[(&str, &str)] = &[
    ("no Host", "GET / HTTP/1.1\r\n\r\n"),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("one Host twice", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    ("a list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    ("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    ("user information", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    ("Host before a colon and a space", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    ("a folded Host", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"),
    ("another authority", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("another port", "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("Connection names Host", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, host\r\n\r\n"),
    (
        "length, then coding",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "coding, then length",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    ),
    ("two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    ("a list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\nab"),
    ("a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na"),
    ("a length in hexadecimal", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na"),
    ("coding not last", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    ("two codings", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    (
        "coding twice",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "coding before a colon and a space",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ),
    ("coding behind a tab", "POST / HTTP/1.1\r\nHost: a\r\n\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("coding on HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a bare carriage return", "GET / HTTP/1.1\r\nHost: a\r\nX: b\rTransfer-Encoding: chunked\r\n\r\n"),
    ("a NUL", "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n"),
    ("two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
];

#[tokio::test]
async fn rs_gw_05_the_smuggling_corpus_is_refused() {
    let running = Running::start(Limits::default()).await;
    for (name, request) in CORPUS {
        let response = running.ask(request).await;
        assert_eq!(status(&response), 400, "{name}: {response}");
        assert!(!response.contains("hello"), "{name}: {response}");
    }
    assert_eq!(running.calls(), 0);
}

#[tokio::test]
async fn rs_gw_05_two_lengths_that_agree_are_one() {
    let running = Running::start(Limits::default()).await;
    let request = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab";
    assert!(running.ask(request).await.ends_with("ab"));
}

#[tokio::test]
async fn rs_gw_05_an_ambiguous_request_behind_a_good_one_is_refused() {
    let running = Running::start(Limits::default()).await;
    let mut peer = running.connect().await;
    peer.write("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n")
        .await;
    assert_eq!(status(&peer.read_until("first").await), 200);
    peer.write(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(status(&peer.read_to_close().await), 400);
    assert_eq!(running.calls(), 1);
}

#[tokio::test]
async fn rs_gw_05_an_absolute_target_that_agrees_is_served() {
    let running = Running::start(Limits::default()).await;
    let request = "GET http://a.example:80/ HTTP/1.1\r\nHost: A.example\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&running.ask(request).await), 200);
}

#[tokio::test]
async fn rs_gw_06_host_and_authority_agree_on_http_2() {
    let running = Running::start(Limits::default()).await;
    let io = TokioIo::new(running.connect().await.0);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    for (host, expected) in [("a.example", 200), ("b.example", 400)] {
        let request = Request::builder()
            .version(Version::HTTP_2)
            .uri("http://a.example/")
            .header("host", host)
            .body(Empty::<bytes::Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{host}");
    }
    assert_eq!(running.calls(), 1);
}
