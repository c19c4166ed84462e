//! `keybound serve` as a process.

use crate::process::{Ended, Place, Running, told, within};
use bytes::Bytes;
use http::{Request, Response};
use keybound_fetch::{Fetcher, Settings};
use std::net::{SocketAddr, TcpListener};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// The resource that its tokens are for.
pub(crate) const RESOURCE: &str = "https://api.example/";

/// A provider that runs, with the folder of its store.
pub(crate) struct Provider {
    pub(crate) place: Place,
    pub(crate) issuer: String,
    address: SocketAddr,
    running: Running,
}

impl Provider {
    /// Starts one and waits until it says that it is ready.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// The same, with more at the end of its configuration.
    pub(crate) async fn start_with(more: &str) -> Self {
        let place = Place::new();
        let address = free_address();
        let issuer = format!("http://{address}");
        let config = format!(
            "issuer = \"{issuer}\"\nlisten = \"{address}\"\n[[resource]]\nidentifier = \"{RESOURCE}\"\nscopes = [\"read\"]\n{more}"
        );
        place.write("keybound.toml", &config);
        let mut running = place.start(&["serve"]);
        let ready = running.says("ready ").await;
        assert_eq!(told(&ready, "issuer"), issuer);
        Self { place, issuer, address, running }
    }

    /// A public client for programs on this machine; gives its identifier.
    pub(crate) async fn add_client(&self) -> String {
        let args = ["client", "add", "--native", "--redirect-uri", "http://127.0.0.1/callback", "--json"];
        let added = self.place.run(&args, "").await;
        assert_eq!(added.code, 0, "{added:?}");
        let added: serde_json::Value = serde_json::from_str(&added.stdout).expect("JSON");
        added["client_id"].as_str().expect("an identifier").to_owned()
    }

    /// Stops it; gives what it logged.
    pub(crate) async fn stop(self) -> Ended {
        self.running.terminate();
        self.running.ended().await
    }

    /// A GET.
    pub(crate) async fn get(&self, url: &str) -> Response<Bytes> {
        let fetcher = Fetcher::for_operator(&Settings::default()).expect("an HTTP client");
        let request = Request::get(url).body(Bytes::new()).expect("a request");
        fetcher.send(request).await.expect("an answer")
    }
}

/// An address that nobody listens on: the issuer names it before the provider can.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address")
}

#[tokio::test]
async fn ops_dep_02_a_request_that_is_on_its_way_is_answered_before_the_end() {
    let mut provider = Provider::start().await;
    let (head, body) = (
        format!(
            "POST /token HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 29\r\nExpect: 100-continue\r\n\r\n",
            provider.address
        ),
        "grant_type=client_credentials",
    );
    let mut stream = BufReader::new(TcpStream::connect(provider.address).await.expect("connected"));
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut line = String::new();
    within("100 Continue", stream.read_line(&mut line)).await.expect("a line");
    assert!(line.starts_with("HTTP/1.1 100 "), "{line}");
    // The provider waits for the body now.
    provider.running.terminate();
    provider.running.notes("stopping").await;
    stream.write_all(body.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    within("the answer", stream.read_to_string(&mut answer)).await.expect("an answer");
    assert!(answer.contains("HTTP/1.1 401 ") && answer.contains("invalid_client"), "{answer}");
    let ended = provider.running.ended().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(TcpStream::connect(provider.address).await.is_err(), "nobody listens any more");
}
