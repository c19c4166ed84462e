//! Early data (RFC 8446 §2.3, RFC 8470): sent before the handshake is done, and anybody on the way can send it again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use keybound_serve::Limits;
use rustls::client::{ClientConnection, Tls13ClientSessionValue};
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue};
use rustls::crypto::aws_lc_rs;
use rustls::version::TLS13;
use rustls::{HandshakeKind, NamedGroup};
use rustls_pki_types::ServerName;

use crate::support::{get, soon};
use crate::tls::{Folder, secured};

/// A client's memory of sessions, which tells the client that the server takes early data.
#[derive(Debug)]
struct Bold(ClientSessionMemoryCache);

impl ClientSessionStore for Bold {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(server)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, server: ServerName<'static>, mut ticket: Tls13ClientSessionValue) {
        assert_eq!(ticket.max_early_data_size(), 0, "the server offers none");
        ticket._private_set_max_early_data_size(16_384);
        self.0.insert_tls13_ticket(server, ticket);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(server)
    }
}

/// One connection: what was sent early, whether the server took it, and all that came back.
fn connect(config: &Arc<rustls::ClientConfig>, address: SocketAddr, early: &str, then: &str) -> Outcome {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
    let sent_early = tls.early_data().map_or(0, |mut stream| stream.write(early.as_bytes()).unwrap());
    let mut socket = TcpStream::connect(address).unwrap();
    let mut stream = rustls::Stream::new(&mut tls, &mut socket);
    let mut answer = Vec::new();
    let done = stream.write_all(then.as_bytes()).and_then(|()| stream.read_to_end(&mut answer)).is_ok();
    Outcome {
        sent_early,
        accepted: tls.is_early_data_accepted(),
        kind: tls.handshake_kind(),
        answer: String::from_utf8_lossy(&answer).into_owned(),
        done,
    }
}

#[derive(Debug)]
struct Outcome {
    sent_early: usize,
    accepted: bool,
    kind: Option<HandshakeKind>,
    answer: String,
    done: bool,
}

#[tokio::test]
async fn rs_gw_10_atk_068_early_data_is_not_taken() {
    let folder = Folder::new();
    let running = secured(&folder, Limits::default()).await;
    let mut config = folder.client(&[&TLS13], aws_lc_rs::default_provider());
    config.enable_early_data = true;
    config.resumption = Resumption::store(Arc::new(Bold(ClientSessionMemoryCache::new(8))));
    let (config, address) = (Arc::new(config), running.address);
    let run = async |early: &'static str, then: String| {
        let config = Arc::clone(&config);
        soon(tokio::task::spawn_blocking(move || connect(&config, address, early, &then))).await.unwrap()
    };
    let first = run("", get("/")).await;
    assert!(first.done && first.answer.starts_with("HTTP/1.1 200"), "{first:?}");
    assert_eq!((first.kind, running.calls()), (Some(HandshakeKind::Full), 1));

    let early = "GET /early HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let second = run(early, get("/")).await;
    assert_eq!(second.sent_early, early.len(), "it is on the wire");
    assert!(!second.accepted, "{second:?}");
    assert!(second.done && second.answer.starts_with("HTTP/1.1 200"), "{second:?}");
    assert_eq!(second.kind, Some(HandshakeKind::Resumed));
    assert_eq!(running.calls(), 2, "the request after the handshake, and not the early one");
}
