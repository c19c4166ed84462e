//! Ordinary requests, handlers that panic, and tunnels.

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use keybound_serve::{Limits, bind};

use crate::support::{BRIEF, Running, get, get_and_stay, soon, status};

#[tokio::test]
async fn http_1_and_http_2_are_both_answered_on_one_port() {
    let running = Running::start(Limits::default()).await;
    assert_eq!(status(&running.ask(get("/")).await), 200);
    let io = TokioIo::new(running.connect().await.0);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://localhost/").body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(running.metric("http_responses_total{class=\"2xx\"}"), 2);
    assert_eq!(running.metric("http_request_duration_seconds_count"), 2);
}

#[tokio::test]
async fn the_service_learns_peer_and_scheme() {
    let running = Running::start(Limits::default()).await;
    let mut peer = running.connect().await;
    let address = peer.0.local_addr().unwrap();
    peer.write(get("/from")).await;
    let response = peer.read_to_close().await;
    assert!(response.ends_with(&format!("http {address}")), "{response}");
}

#[tokio::test]
async fn ops_lim_08_a_panic_is_500_without_detail() {
    let running = Running::start(Limits::default()).await;
    let response = running.ask(get_and_stay("/panic")).await;
    assert_eq!(status(&response), 500);
    assert!(!response.contains("secret"), "{response}");
    assert_eq!(status(&running.ask(get("/")).await), 200);
    assert_eq!(running.metric("http_handler_panics_total"), 1);
}

#[tokio::test]
async fn ops_lim_08_a_panic_leaves_other_streams_alone() {
    let running = Running::start(Limits::default()).await;
    let io = TokioIo::new(running.connect().await.0);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let ask =
        |path: &str| Request::get(format!("http://localhost{path}")).body(Empty::<Bytes>::new()).unwrap();
    let open = tokio::spawn(sender.send_request(ask("/gate")));
    soon(running.signals.entered.notified()).await;
    assert_eq!(sender.send_request(ask("/panic")).await.unwrap().status().as_u16(), 500);
    running.signals.release.notify_one();
    assert_eq!(soon(open).await.unwrap().unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn a_tunnel_outlives_the_limits_of_http() {
    let limits = Limits { header_read: BRIEF, connection_idle: BRIEF, ..Limits::default() };
    let running = Running::start(limits).await;
    let mut peer = running.connect().await;
    peer.write("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").await;
    assert_eq!(status(&peer.read_until("\r\n\r\n").await), 101);
    peer.write("GET half a head").await;
    peer.read_until("GET half a head").await;
    tokio::time::sleep(BRIEF * 4).await;
    peer.write("still here").await;
    peer.read_until("still here").await;
    assert_eq!(running.metric("http_connections_open"), 1);
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = bind(crate::support::anywhere()).await.unwrap();
    let address = first.local_addr().unwrap();
    let error = bind(address).await.unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("in use"), "{error}");
}
