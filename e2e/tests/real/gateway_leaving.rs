//! A gateway that is told to stop while something without end is open.

use crate::gateway::Stage;
use crate::process::within;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An upstream that begins every answer with these bytes and never ends it.
async fn endless(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut some = [0; 8192];
                let _ = stream.read(&mut some).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                while stream.read(&mut some).await.is_ok_and(|count| count > 0) {}
            });
        }
    });
    address
}

async fn read_until(stream: &mut TcpStream, wanted: &[u8]) -> Vec<u8> {
    let (mut all, mut some) = (Vec::new(), [0; 4096]);
    while !all.windows(wanted.len()).any(|part| part == wanted) {
        let count = within("more", stream.read(&mut some)).await.expect("read");
        assert!(count > 0, "ended early: {}", String::from_utf8_lossy(&all));
        all.extend(&some[..count]);
    }
    all
}

#[tokio::test]
async fn ops_dep_02_tunnels_are_closed_with_a_word_when_the_gateway_stops() {
    let upstream =
        endless("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            .await;
    let stage = Stage::start(upstream, "").await;
    let credentials = stage.credentials("GET", "/chat");
    let mut stream = stage.connect().await;
    let request = format!(
        "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{credentials}\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    let head = read_until(&mut stream, b"\r\n\r\n").await;
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stage.running.terminate();
    let close = read_until(&mut stream, b"stopping").await;
    assert_eq!((close[0], &close[2..4]), (0x88, 1001_u16.to_be_bytes().as_slice()));
    let ended = within("the end, long before what may be cut is cut", stage.running.ended()).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test]
async fn ops_dep_02_streams_of_events_end_whole_when_the_gateway_stops() {
    let upstream = endless(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n",
    )
    .await;
    let stage = Stage::start(upstream, "").await;
    let credentials = stage.credentials("GET", "/events");
    let mut stream = stage.connect().await;
    let request =
        format!("GET /events HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n{credentials}\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    read_until(&mut stream, b"data: 1").await;
    stage.running.terminate();
    read_until(&mut stream, b"0\r\n\r\n").await;
    assert_eq!(within("the end", stage.running.ended()).await.code, 0);
}
