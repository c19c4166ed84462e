//! WebSockets and other protocols in place of HTTP, and streams of events: judged by their opening request, ended with
//! their token (RS-GW-07).

use crate::secure::{Authority, serve_tls};
use crate::world::{Upstream, World, serve};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{Empty, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

/// A WebSocket server that echoes; what ends its sockets is told.
async fn echo() -> (SocketAddr, mpsc::UnboundedReceiver<Option<Message>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (tell, ends) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_close() {
                        let _ = tell.send(Some(message));
                        let _ = socket.flush().await;
                    } else if message.is_text() || message.is_binary() {
                        socket.send(message).await.expect("sent");
                    }
                }
                let _ = tell.send(None);
            });
        }
    });
    (address, ends)
}

/// Opens a WebSocket with these lines of fields.
async fn open(world: &World, path: &str, lines: &str) -> Result<WebSocketStream<TcpStream>, Error> {
    let mut request = format!("ws://{}{path}", world.address).into_client_request().expect("a request");
    for (name, value) in lines.lines().filter_map(|line| line.split_once(": ")) {
        request.headers_mut().append(
            http::HeaderName::from_bytes(name.as_bytes()).expect("a name"),
            value.parse().expect("a value"),
        );
    }
    let stream = TcpStream::connect(world.address).await.expect("connected");
    client_async(request, stream).await.map(|(socket, _)| socket)
}

fn lines(world: &World, token: &str, method: &str) -> String {
    world.credentials_with(token, method, "/chat", None)
}

#[tokio::test]
async fn rs_gw_07_only_a_get_that_names_its_upgrade_asks_for_one() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    let asking = [
        ("POST", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        ("GET", "Upgrade: websocket\r\n"),
        ("GET", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"),
        ("GET", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"),
        ("GET", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    ];
    for (method, fields) in asking {
        let credentials = lines(&world, &world.token(), method);
        let request = format!("{method} /chat HTTP/1.1\r\nHost: h\r\n{fields}{credentials}\r\n");
        assert_eq!(world.ask(&request).await.status, 200, "{fields}");
    }
    let seen = upstream.seen();
    let asked: Vec<_> = seen.iter().map(|seen| seen.all("upgrade").len()).collect();
    assert_eq!(asked, [0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn rs_gw_07_a_websocket_needs_a_proof_for_its_opening_get() {
    let (upstream, _ends) = echo().await;
    let world = World::start(upstream, "").await;
    let token = world.token();
    for bad in [String::new(), lines(&world, &token, "POST"), format!("Authorization: DPoP {token}\r\n")] {
        let Err(Error::Http(answer)) = open(&world, "/chat", &bad).await else { panic!("let through") };
        assert_eq!(answer.status(), 401, "{bad}");
        assert!(answer.headers().contains_key("www-authenticate"));
    }
    let mut socket = open(&world, "/chat", &lines(&world, &token, "GET")).await.expect("open");
    for size in [0, 5, 130, 70_000, 1_000_000] {
        let message = Message::binary(vec![7; size]);
        socket.send(message.clone()).await.expect("sent");
        assert_eq!(socket.next().await.expect("a message").expect("good"), message);
    }
    crate::reload::assert_counted(&world, &["gateway_tunnels_open 1"]);
    socket.close(None).await.expect("closed");
    assert!(socket.next().await.expect("an end").expect("good").is_close());
}

#[tokio::test]
async fn rs_gw_07_atk_112_a_websocket_ends_with_its_token() {
    let (upstream, mut ends) = echo().await;
    let world = World::start(upstream, "").await;
    let mut socket = open(&world, "/chat", &lines(&world, &world.token_for(2), "GET")).await.expect("open");
    socket.send(Message::text("hello")).await.expect("sent");
    assert_eq!(socket.next().await.expect("a message").expect("good"), Message::text("hello"));
    let Message::Close(Some(why)) = socket.next().await.expect("an end").expect("good") else {
        panic!("no close")
    };
    assert_eq!((why.code, why.reason.as_str()), (CloseCode::Policy, "the access token has expired"));
    assert!(socket.next().await.is_none_or(|last| last.is_err()), "nothing comes after it");
    let Some(Some(Message::Close(Some(why)))) = ends.recv().await else {
        panic!("the upstream was not told")
    };
    assert_eq!(why.code, CloseCode::Policy);
    assert_eq!(ends.recv().await, Some(None), "and its connection has ended");
}

#[tokio::test]
async fn rs_gw_07_a_peer_that_never_reads_cannot_keep_a_tunnel_open() {
    let (upstream, mut ends) = echo().await;
    let world = World::start(upstream, "").await;
    let mut socket = open(&world, "/chat", &lines(&world, &world.token_for(2), "GET")).await.expect("open");
    let flood = async { while socket.send(Message::binary(vec![7; 65_536])).await.is_ok() {} };
    tokio::select! {
        () = flood => {}
        end = ends.recv() => assert!(end.is_some()),
    }
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_is_closed() {
    let (upstream, mut ends) = echo().await;
    let world = World::start(upstream, "[timeout]\nidle_secs = 1").await;
    let mut socket = open(&world, "/chat", &lines(&world, &world.token(), "GET")).await.expect("open");
    socket.send(Message::text("still here")).await.expect("sent");
    assert!(socket.next().await.expect("a message").expect("good").is_text());
    let Message::Close(Some(why)) = socket.next().await.expect("an end").expect("good") else {
        panic!("no close")
    };
    assert_eq!(why.code, CloseCode::Away);
    assert!(ends.recv().await.is_some());
}

#[tokio::test]
async fn only_protocols_that_a_route_names_are_switched_to() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "upgrade = [\"chat/2\"]").await;
    for protocol in ["websocket", "h2c", "chat/1", "chat/2, h2c"] {
        let lines = format!("Connection: upgrade\r\nUpgrade: {protocol}\r\n");
        assert_eq!(world.get("/a", &lines).await.status, 200, "{protocol}");
    }
    for seen in upstream.seen() {
        assert!(seen.all("upgrade").is_empty() && seen.all("connection").is_empty(), "{seen:?}");
    }
    assert_eq!(world.get("/a", "Connection: upgrade\r\nUpgrade: Chat/2\r\n").await.status, 200);
    assert_eq!(upstream.seen()[4].all("upgrade"), ["Chat/2"], "and a server may still decline");
}

#[tokio::test]
async fn rs_gw_07_an_upstream_cannot_switch_on_its_own() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut some = [0; 4096];
            let _ = stream.read(&mut some).await;
            let _ = stream
                .write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
                )
                .await;
        }
    });
    let world = World::start(address, "").await;
    for lines in ["", "Connection: upgrade\r\nUpgrade: websocket\r\n"] {
        assert_eq!(world.get("/a", lines).await.status, 502, "{lines}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_websocket_over_tls_to_an_upstream_that_prefers_http_2() {
    let authority = Authority::new();
    let address =
        serve_tls(&authority, None, &["h2", "http/1.1"], |mut request: Request<Incoming>| async move {
            let key = request.headers().get("sec-websocket-key").expect("a key").as_bytes();
            let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key);
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let stream = TokioIo::new(upgrade.await.expect("switched"));
                let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
                let mut socket = WebSocketStream::from_raw_socket(stream, role, None).await;
                while let Some(Ok(message)) = socket.next().await {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
            });
            let answer = Response::builder()
                .status(101)
                .header("connection", "upgrade")
                .header("upgrade", "websocket");
            answer.header("sec-websocket-accept", accept).body(Empty::<Bytes>::new()).expect("a response")
        })
        .await;
    let rest = format!(
        "upstream = \"safe\"\n[nonce]\nmode = \"off\"\n[upstreams.safe]\nurl = \"https://localhost:{}\"\nca_file = {:?}",
        address.port(),
        authority.ca_file()
    );
    let world = World::start_at(crate::world::PUBLIC, &rest).await;
    let mut socket = open(&world, "/chat", &lines(&world, &world.token(), "GET")).await.expect("open");
    socket.send(Message::text("hello")).await.expect("sent");
    assert_eq!(socket.next().await.expect("a message").expect("good"), Message::text("hello"));
}

#[tokio::test]
async fn rs_gw_07_a_stream_of_events_ends_with_its_token_and_a_download_goes_on() {
    let (tick, ticks) = tokio::sync::watch::channel(0_u32);
    let address = serve(move |request: Request<Incoming>| {
        let ticks = ticks.clone();
        async move {
            let kind = if request.uri().path() == "/events" { "text/event-stream" } else { "text/plain" };
            let body = stream::unfold(ticks, |mut ticks| async move {
                ticks.changed().await.ok()?;
                let event = Bytes::from(format!("data: {}\n\n", *ticks.borrow_and_update()));
                Some((Ok::<_, Infallible>(Frame::data(event)), ticks))
            });
            Response::builder()
                .header("content-type", kind)
                .body(StreamBody::new(Box::pin(body)))
                .expect("a response")
        }
    })
    .await;
    let world = World::start(address, "").await;
    let start = async |path: &str| {
        let credentials = world.credentials_with(&world.token_for(2), "GET", path, None);
        let mut stream = TcpStream::connect(world.address).await.expect("connected");
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{credentials}\r\n");
        stream.write_all(request.as_bytes()).await.expect("written");
        stream
    };
    let (mut events, mut download) = (start("/events").await, start("/download").await);
    let read = async |stream: &mut TcpStream, wanted: &str| {
        let (mut text, mut some) = (String::new(), [0; 4096]);
        while !text.contains(wanted) {
            let count = stream.read(&mut some).await.expect("read");
            assert!(count > 0, "ended before {wanted:?}: {text}");
            text.push_str(&String::from_utf8_lossy(&some[..count]));
        }
    };
    read(&mut events, "\r\n\r\n").await;
    read(&mut download, "\r\n\r\n").await;
    tick.send_replace(1);
    read(&mut events, "data: 1").await;
    read(&mut download, "data: 1").await;
    read(&mut events, "0\r\n\r\n").await;
    tick.send_replace(2);
    read(&mut download, "data: 2").await;
}
