//! Slow peers, big heads, crowds and floods.

use std::time::Duration;

use keybound_serve::Limits;
use tokio::io::AsyncWriteExt;
use tokio::time::interval;

use crate::support::{BRIEF, Peer, Running, get, get_and_stay, soon, status};

/// Frame header and payload (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Preface and an empty SETTINGS.
fn h2_start() -> Vec<u8> {
    let mut start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    start.extend(frame(4, 0, 0, &[]));
    start
}

/// Kinds and payloads of the frames in `bytes`.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        if bytes.len() < 9 + length {
            break;
        }
        found.push((bytes[3], &bytes[9..9 + length]));
        bytes = &bytes[9 + length..];
    }
    found
}

#[tokio::test]
async fn ops_lim_04_a_peer_that_says_nothing_is_closed() {
    let running = Running::start(Limits { first_byte: BRIEF, ..Limits::default() }).await;
    assert_eq!(running.connect().await.read_to_close().await, "");
    assert_eq!(running.cut("first_byte"), 1);
}

#[tokio::test]
async fn ops_lim_04_a_slow_head_is_closed() {
    let running = Running::start(Limits { header_read: BRIEF, ..Limits::default() }).await;
    assert_eq!(running.ask("GET / HTTP/1.1\r\nHost: localhost\r\n").await, "");
    assert_eq!(running.cut("header_read"), 1);
    assert_eq!(running.calls(), 0);
}

#[tokio::test]
async fn ops_lim_04_a_head_that_trickles_is_closed() {
    let running = Running::start(Limits { header_read: BRIEF, ..Limits::default() }).await;
    let mut peer = running.connect().await;
    peer.write("GET / HTTP/1.1\r\nX: ").await;
    let (mut from, mut to) = peer.0.into_split();
    let trickle = async {
        let mut pace = interval(Duration::from_millis(5));
        loop {
            pace.tick().await;
            if to.write_all(b"x").await.is_err() {
                return;
            }
        }
    };
    let mut all = Vec::new();
    let closed = tokio::io::AsyncReadExt::read_to_end(&mut from, &mut all);
    soon(async {
        tokio::select! { _ = closed => {}, () = trickle => {} }
    })
    .await;
    assert_eq!(all, b"");
    assert_eq!(running.cut("header_read"), 1);
}

#[tokio::test]
async fn ops_lim_04_a_slow_second_head_is_closed() {
    let running = Running::start(Limits { header_read: BRIEF, ..Limits::default() }).await;
    let mut peer = running.connect().await;
    peer.write(get_and_stay("/")).await;
    peer.read_until("hello").await;
    peer.write("GET /").await;
    assert_eq!(peer.read_to_close().await, "");
    assert_eq!(running.cut("header_read"), 1);
}

#[tokio::test]
async fn ops_lim_04_half_an_http_2_preface_is_closed() {
    let running = Running::start(Limits { header_read: BRIEF, ..Limits::default() }).await;
    assert_eq!(running.ask("PRI * HTTP/2").await, "");
    assert_eq!(running.cut("header_read"), 1);
}

#[tokio::test]
async fn ops_lim_04_an_idle_connection_is_closed_http_1() {
    let running = Running::start(Limits { connection_idle: BRIEF, ..Limits::default() }).await;
    let mut peer = running.connect().await;
    peer.write(get_and_stay("/")).await;
    peer.read_until("hello").await;
    assert_eq!(peer.read_to_close().await, "");
    assert_eq!(running.cut("idle"), 1);
}

#[tokio::test]
async fn ops_lim_04_an_idle_connection_is_closed_http_2() {
    let running = Running::start(Limits { connection_idle: BRIEF, ..Limits::default() }).await;
    let mut peer = running.connect().await;
    peer.write(h2_start()).await;
    let all = peer.bytes_to_close().await;
    assert!(frames(&all).iter().any(|(kind, _)| *kind == 7), "GOAWAY comes first");
    assert_eq!(running.cut("idle"), 1);
}

#[tokio::test]
async fn a_long_answer_is_not_idleness() {
    let running = Running::start(Limits { connection_idle: BRIEF, ..Limits::default() }).await;
    let mut peer = running.connect().await;
    peer.write(get("/gate")).await;
    soon(running.signals.entered.notified()).await;
    tokio::time::sleep(BRIEF * 4).await;
    running.signals.release.notify_one();
    assert!(peer.read_to_close().await.ends_with("through the gate"));
    assert_eq!(running.cut("idle"), 0);
}

#[tokio::test]
async fn ops_lim_04_a_slow_body_is_answered_408() {
    let running = Running::start(Limits { body_pause: BRIEF, ..Limits::default() }).await;
    let response = running.ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfour").await;
    assert_eq!(status(&response), 408);
    assert!(response.contains("connection: close"), "{response}");
}

#[tokio::test]
async fn ops_lim_04_a_peer_that_does_not_read_is_closed() {
    let running = Running::start(Limits { write_pause: BRIEF, ..Limits::default() }).await;
    let mut peer = running.connect().await;
    peer.write(get("/endless")).await;
    soon(running.signals.body_dropped.notified()).await;
    assert_eq!(running.cut("write_pause"), 1);
}

#[tokio::test]
async fn ops_lim_04_a_stream_without_window_does_not_hold_its_answer_for_ever() {
    let running = Running::start(Limits { connection_idle: BRIEF, ..Limits::default() }).await;
    let mut peer = running.connect().await;
    let mut start = h2_start();
    // :method GET, :scheme http, :path /endless, :authority a
    let path = [&[0x82, 0x86, 0x04, 8], b"/endless".as_slice(), &[0x41, 1, b'a']].concat();
    start.extend(frame(1, 0x5, 1, &path));
    peer.write(start).await;
    // All is read, and no window is opened.
    let all = peer.bytes_to_close().await;
    assert!(
        frames(&all).iter().filter(|(kind, _)| *kind == 0).map(|(_, data)| data.len()).sum::<usize>()
            > 16_384
    );
    soon(running.signals.body_dropped.notified()).await;
    assert_eq!(running.cut("write_pause"), 1);
}

#[tokio::test]
async fn a_service_that_takes_too_long_is_answered_503() {
    let running = Running::start(Limits { request_total: Some(BRIEF), ..Limits::default() }).await;
    let response = running.ask(get("/never")).await;
    assert_eq!(status(&response), 503);
    assert!(response.contains("retry-after: "), "{response}");
}

#[tokio::test]
async fn ops_lim_01_atk_016_a_head_beyond_16_kib_is_431() {
    let running = Running::start(Limits::default()).await;
    let head = |length: usize| {
        let frame = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nDPoP: \r\n\r\n".len();
        let padding = "x".repeat(length - frame);
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nDPoP: {padding}\r\n\r\n")
    };
    assert_eq!(status(&running.ask(head(16_384)).await), 200);
    assert_eq!(status(&running.ask(head(16_385)).await), 431);
    assert_eq!(running.calls(), 1);
}

#[tokio::test]
async fn ops_lim_01_a_head_without_end_is_431() {
    let running = Running::start(Limits::default()).await;
    let response = running.ask(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(17_000))).await;
    assert_eq!(status(&response), 431);
}

#[tokio::test]
async fn ops_lim_01_a_target_beyond_8_kib_is_414() {
    let running = Running::start(Limits::default()).await;
    let target = |length: usize| format!("/{}", "x".repeat(length - 1));
    assert_eq!(status(&running.ask(get(&target(8_192))).await), 200);
    assert_eq!(status(&running.ask(get(&target(8_193))).await), 414);
    assert_eq!(running.calls(), 1);
}

#[tokio::test]
async fn ops_lim_04_no_more_connections_than_the_limit() {
    let running = Running::start(Limits { max_connections: 1, ..Limits::default() }).await;
    let mut first = running.connect().await;
    first.write(get_and_stay("/")).await;
    first.read_until("hello").await;
    let mut second = running.connect().await;
    second.write(get("/")).await;
    for _ in 0..20 {
        first.write(get_and_stay("/")).await;
        first.read_until("hello").await;
    }
    let early = second.0.try_read(&mut [0]);
    assert_eq!(early.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "the second has to wait");
    assert_eq!(running.metric("http_connections_open"), 1);
    assert_eq!(running.metric("http_connections_full_total"), 1);
    drop(first);
    assert_eq!(status(&second.read_to_close().await), 200);
}

#[tokio::test]
async fn ops_lim_04_http_2_streams_are_capped() {
    let limits = Limits { max_streams: 7, connection_idle: BRIEF, ..Limits::default() };
    let running = Running::start(limits).await;
    let mut peer = running.connect().await;
    peer.write(h2_start()).await;
    let all = peer.bytes_to_close().await;
    let (_, settings) = frames(&all)[0];
    assert!(settings.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 7]), "{settings:?}");
}

#[tokio::test]
async fn ops_lim_04_rapid_reset_ends_the_connection() {
    let running = Running::start(Limits::default()).await;
    let mut flood = h2_start();
    for stream in (1..1_000).step_by(2) {
        // :method GET, :scheme http, :path /, :authority a
        flood.extend(frame(1, 0x5, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'a']));
        flood.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    let mut peer = Peer(running.connect().await.0);
    peer.write(flood).await;
    let all = peer.bytes_to_close().await;
    let enhance_your_calm = 11_u32.to_be_bytes();
    let calmed = frames(&all).iter().any(|(kind, payload)| *kind == 7 && payload[4..8] == enhance_your_calm);
    assert!(calmed, "{:?}", frames(&all));
}
