//! Much, many and slow: what a gateway as a process makes of it, and what is left for the others.

use crate::gateway::{Scribe, Stage};
use crate::process::within;
use keybound_dpop::jose::base64url;
use rustix::process::{Resource, getrlimit};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MIB: u64 = 1024 * 1024;
/// What passes in each direction.
const LARGE: u64 = 1024 * MIB;
/// What the gateway may take for it, whatever passes.
const GROWTH_MAX_KIB: u64 = 48 * 1024;

/// An upstream that reads a body to its end and answers with as much.
async fn mirror(read: Arc<AtomicU64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let read = Arc::clone(&read);
            tokio::spawn(async move {
                let head = head(&mut stream).await.to_ascii_lowercase();
                let length =
                    head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
                let length: u64 = length.parse().expect("a number");
                let mut some = vec![0; 65_536];
                while read.load(Ordering::SeqCst) < length {
                    let count = stream.read(&mut some).await.expect("read");
                    assert!(count > 0, "the body is whole");
                    read.fetch_add(count as u64, Ordering::SeqCst);
                }
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.expect("written");
                for _ in 0..LARGE / 65_536 {
                    if stream.write_all(&some).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Reads a head and nothing else.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("a head", stream.read_u8()).await.expect("a head"));
    }
    String::from_utf8(head).expect("text")
}

#[tokio::test]
async fn ops_lim_06_a_gibibyte_passes_each_way_in_constant_memory() {
    let read = Arc::new(AtomicU64::new(0));
    let stage = Stage::start(mirror(Arc::clone(&read)).await, "").await;
    let before = stage.running.resident_kib();
    let credentials = stage.credentials("PUT", "/a");
    let mut stream = stage.connect().await;
    let request = format!("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: {LARGE}\r\n{credentials}\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let (mut some, mut most) = (vec![7; 65_536], before);
    for n in 0..LARGE / 65_536 {
        within("room to write", stream.write_all(&some)).await.expect("written");
        if n % 1024 == 0 {
            most = most.max(stage.running.resident_kib());
        }
    }
    assert!(within("an answer", head(&mut stream)).await.starts_with("HTTP/1.1 200"));
    assert_eq!(read.load(Ordering::SeqCst), LARGE);
    let mut left = LARGE;
    while left > 0 {
        let count = within("more", stream.read(&mut some)).await.expect("read");
        assert!(count > 0, "{left} bytes are missing");
        left -= count as u64;
        if left % MIB < 4096 {
            most = most.max(stage.running.resident_kib());
        }
    }
    assert!(most <= before + GROWTH_MAX_KIB, "from {before} KiB to {most} KiB");
}

#[tokio::test]
async fn ops_lim_06_a_caller_who_does_not_read_holds_the_upstream_back() {
    let sent = Arc::new(AtomicU64::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (count, (tell, stuck)) = (Arc::clone(&sent), tokio::sync::oneshot::channel());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        head(&mut stream).await;
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes())
            .await
            .expect("written");
        let piece = vec![7; 65_536];
        // When a write waits for so long, everything in between is full.
        while let Ok(Ok(())) =
            tokio::time::timeout(std::time::Duration::from_secs(3), stream.write_all(&piece)).await
        {
            count.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
        tell.send(()).expect("heard");
        std::future::pending::<()>().await;
    });
    let stage = Stage::start(address, "").await;
    let before = stage.running.resident_kib();
    let credentials = stage.credentials("GET", "/a");
    let mut stream = stage.connect().await;
    stream
        .write_all(format!("GET /a HTTP/1.1\r\nHost: h\r\n{credentials}\r\n").as_bytes())
        .await
        .expect("written");
    within("a full pipe", stuck).await.expect("told");
    assert!(sent.load(Ordering::SeqCst) < 64 * MIB, "{} bytes", sent.load(Ordering::SeqCst));
    let after = stage.running.resident_kib();
    assert!(after <= before + GROWTH_MAX_KIB, "from {before} KiB to {after} KiB");
}

/// Idle connections of strangers.
const CROWD: usize = 9_900;
/// What each may cost the gateway.
const EACH_MAX_KIB: u64 = 40;

#[tokio::test]
async fn atk_142_ops_lim_04_a_crowd_that_idles_leaves_room_for_others() {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let crowd = CROWD.min(usize::try_from(files / 2).unwrap_or(usize::MAX).saturating_sub(100));
    let stage = Stage::start(Scribe::start().await.address, "").await;
    stage.assert_well().await;
    let before = stage.running.resident_kib();
    let mut idle = Vec::with_capacity(crowd);
    for _ in 0..crowd {
        let mut stream = stage.connect().await;
        stream.write_all(b"GET /open/a HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("written");
        assert!(head(&mut stream).await.starts_with("HTTP/1.1 200"));
        idle.push(stream);
    }
    let after = stage.running.resident_kib();
    assert!(after <= before + EACH_MAX_KIB * crowd as u64, "from {before} KiB to {after} KiB for {crowd}");
    for _ in 0..50 {
        stage.assert_well().await;
    }
}

#[tokio::test]
async fn atk_142_ops_lim_04_slow_heads_and_rapid_resets_harm_nobody_else() {
    let stage = Stage::start(Scribe::start().await.address, "").await;
    stage.assert_well().await;
    let before = stage.running.resident_kib();
    let mut slow = Vec::new();
    for _ in 0..500 {
        let mut stream = stage.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ").await.expect("written");
        slow.push(stream);
    }
    for _ in 0..20 {
        reset_rapidly(&stage).await;
        stage.assert_well().await;
    }
    for stream in &mut slow {
        let mut rest = Vec::new();
        let _ = within("the end of a slow head", stream.read_to_end(&mut rest)).await;
        assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
    }
    let after = stage.running.resident_kib();
    assert!(after <= before + GROWTH_MAX_KIB, "from {before} KiB to {after} KiB");
    stage.assert_well().await;
}

/// Opens and resets HTTP/2 streams until the gateway closes the connection (CVE-2023-44487).
async fn reset_rapidly(stage: &Stage) {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let mut frame = vec![0, 0, u8::try_from(payload.len()).expect("short"), kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    };
    // GET, http, `/` by their index, and an authority (RFC 7541 appendix A).
    let block = [0x82, 0x86, 0x84, 0x41, 1, b'h'];
    let mut stream = stage.connect().await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    for id in (1..2_000).step_by(2) {
        bytes.extend(frame(1, 5, id, &block));
        bytes.extend(frame(3, 0, id, &[0, 0, 0, 8]));
    }
    // The gateway may close before it has read everything.
    let _ = stream.write_all(&bytes).await;
    let mut rest = Vec::new();
    let _ = within("the end of a connection", stream.read_to_end(&mut rest)).await;
}

/// Requests of one round.
const FLOOD: u32 = 1_500;

/// Requests with a good token and proofs whose signatures are none.
fn forged(stage: &Stage, from: u32, count: u32) -> Vec<String> {
    let token = stage.token();
    let forge = |n: u32| {
        let proof = stage.proof("GET", "/a", &token);
        let (signed, _) = proof.rsplit_once('.').expect("three parts");
        let mut signature = [7; 64];
        signature[..4].copy_from_slice(&n.to_be_bytes());
        let proof = format!("{signed}.{}", base64url::encode(&signature));
        format!("GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n\r\n")
    };
    (from..from + count).map(forge).collect()
}

/// Sends them one after the other; each is refused.
async fn flood(address: SocketAddr, requests: Vec<String>) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    for request in requests {
        stream.write_all(request.as_bytes()).await.expect("written");
        let answer = head(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        let length = answer.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let mut body = vec![0; length.parse().expect("a number")];
        stream.read_exact(&mut body).await.expect("a body");
    }
}

#[tokio::test]
async fn atk_143_ops_lim_06_a_flood_of_signatures_leaves_nothing_behind() {
    let mut stage = Stage::start(Scribe::start().await.address, "").await;
    stage.assert_well().await;
    let mut resident = Vec::new();
    for round in 0..2 {
        let requests = forged(&stage, round * FLOOD, FLOOD);
        tokio::select! {
            () = flood(stage.address, requests) => {}
            // The log is read meanwhile, so that it does not wait for a reader.
            line = stage.running.notes("no line is like this") => panic!("{line}"),
        }
        resident.push(stage.running.resident_kib());
    }
    assert!(resident[1] <= resident[0] + 2 * 1024, "{resident:?} KiB");
    stage.assert_well().await;
}
