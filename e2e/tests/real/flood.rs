//! Strangers in masses against `keybound serve` as a process.

use crate::process::{Place, Running, within};
use crate::provider::free_address;
use keybound_dpop::jose::base64url;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Requests until memory is what it will be.
const WARM_UP: u32 = 3_000;
/// Requests of the flood.
const FLOOD: u32 = 12_000;
/// What the flood may add: a sixth of a kibibyte a request. An allocator breathes by about as much.
const GROWTH_MAX_KIB: u64 = 2 * 1024;
/// A store of which all is still in its log.
const EMPTY_BYTES: u64 = 4096;

/// Sends requests of strangers over one connection; each is refused, and none is like another.
async fn flood(address: SocketAddr, from: u32, count: u32) {
    let mut stream = BufReader::new(TcpStream::connect(address).await.expect("connected"));
    for n in from..from + count {
        let (path, body) = request(n);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nDPoP: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            junk(n),
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        assert!(within("an answer", answer(&mut stream)).await.starts_with("HTTP/1.1 4"));
    }
}

fn request(n: u32) -> (&'static str, String) {
    let code = format!("{}.{}", "0".repeat(22), "A".repeat(43));
    match n % 5 {
        0 => ("/token", format!("grant_type=client_credentials&client_id=nobody-{n}&client_secret={n}")),
        1 => (
            "/token",
            format!("grant_type=authorization_code&client_id=app&code={code}&code_verifier={code}{n}"),
        ),
        2 => ("/token", format!("grant_type=refresh_token&client_id=app&refresh_token={code}&scope=s{n}")),
        3 => ("/par", format!("client_id=nobody-{n}&state={n}")),
        _ => ("/token", format!("grant_type=client_credentials&client_assertion={}", junk(n))),
    }
}

/// What looks like a JWT.
fn junk(n: u32) -> String {
    let part = |text: String| base64url::encode(text.as_bytes());
    let header = part(format!("{{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"n\":{n}}}"));
    format!("{header}.{}.{}", part(format!("{{\"iss\":\"nobody-{n}\",\"jti\":\"{n}\"}}")), "A".repeat(86))
}

/// Reads one answer, whose length is told.
async fn answer(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut body).await.expect("a body");
    head.to_ascii_uppercase()
}

async fn start(place: &Place, address: SocketAddr) -> Running {
    let config = format!("issuer = \"http://{address}\"\nlisten = \"{address}\"\n");
    place.write("keybound.toml", &config);
    let mut running = place.start(&["serve", "--log", "error"]);
    running.says("ready ").await;
    running
}

/// Floods it over two connections at once, and reads the log meanwhile, so that it does not wait for a reader.
async fn flood_it(running: &mut Running, address: SocketAddr, from: u32, count: u32) {
    let half = count / 2;
    let both = async { tokio::join!(flood(address, from, half), flood(address, from + half, half)) };
    tokio::select! {
        _ = both => {}
        line = running.notes("no line is like this") => panic!("{line}"),
    }
}

#[tokio::test]
async fn ops_lim_06_memory_stays_flat_under_a_flood_of_strangers() {
    let (place, address) = (Place::new(), free_address());
    let running = start(&place, address).await;
    let client = ["client", "add", "--id", "app", "--redirect-uri", "https://app.example/cb"];
    assert_eq!(place.run(&client, "").await.code, 0);
    // What the operator wrote moves from the log into the file at some idle moment, or else when the last one leaves.
    running.terminate();
    assert_eq!(running.ended().await.code, 0);
    let mut running = start(&place, address).await;
    flood_it(&mut running, address, 0, WARM_UP).await;
    let before = running.resident_kib();
    let store = || std::fs::metadata(place.path("keybound.sqlite")).expect("the store").len();
    let stored = store();
    flood_it(&mut running, address, WARM_UP, FLOOD).await;
    let after = running.resident_kib();
    assert!(after <= before + GROWTH_MAX_KIB, "from {before} KiB to {after} KiB");
    assert!(stored > EMPTY_BYTES, "the store is folded in");
    assert_eq!(store(), stored, "nothing is written for strangers");
}
