//! What callers hear: nonces, caches, pages of other origins, and an upstream that does not answer.

use crate::world::{Upstream, World, serve};
use bytes::Bytes;
use http_body_util::Full;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[tokio::test]
async fn rs_non_02_a_challenge_and_then_access() {
    let upstream = Upstream::start(200, &[]).await;
    let world =
        World::start_at("https://api.example", &format!("upstream = \"http://{}\"", upstream.address)).await;
    let challenge = world.get("/a", "").await;
    assert_eq!((challenge.status, challenge.all("dpop-nonce").len()), (401, 1));
    assert!(challenge.all("www-authenticate")[0].starts_with("DPoP error=\"use_dpop_nonce\""));
    assert!(upstream.seen().is_empty());
    let credentials =
        world.credentials_with(&world.token(), "GET", "/a", Some(challenge.all("dpop-nonce")[0]));
    let request = format!("GET /a HTTP/1.1\r\nHost: h\r\n{credentials}\r\n");
    assert_eq!(world.ask(&request).await.status, 200);
    assert_eq!(world.ask(&request).await.status, 401, "the same proof again");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn as_non_04_one_nonce_also_when_the_upstream_sets_one() {
    let fields = [("dpop-nonce", "theirs"), ("dpop-nonce", "again"), ("cache-control", "max-age=9")];
    let upstream = Upstream::start(200, &fields).await;
    let world =
        World::start_at("https://api.example", &format!("upstream = \"http://{}\"", upstream.address)).await;
    let nonce = world.get("/a", "").await.all("dpop-nonce")[0].to_owned();
    let ask = async || {
        let credentials = world.credentials_with(&world.token(), "GET", "/a", Some(&nonce));
        world.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{credentials}\r\n")).await
    };
    let current = ask().await;
    assert_eq!((current.status, current.all("dpop-nonce").len()), (200, 0), "ours is still good");
    world.clock.turn(60);
    let refreshed = ask().await;
    assert_eq!(refreshed.all("dpop-nonce").len(), 1);
    assert!(!["theirs", "again", nonce.as_str()].contains(&refreshed.all("dpop-nonce")[0]));
    assert_eq!(refreshed.all("cache-control"), ["no-store"]);

    let without = World::start(upstream.address, "").await;
    assert_eq!(without.get("/a", "").await.all("dpop-nonce"), ["theirs"], "nonces are the upstream's alone");
}

#[tokio::test]
async fn ops_cache_03_answers_are_private_unless_the_upstream_says_otherwise() {
    let silent = Upstream::start(200, &[]).await;
    let world = World::start(silent.address, "").await;
    let heard = world.get("/a", "").await;
    assert_eq!(heard.all("cache-control"), ["private"]);
    assert_eq!(heard.all("vary"), ["Authorization, DPoP"]);
    let open = Upstream::start(200, &[("cache-control", "public, max-age=9")]).await;
    let world = World::start(open.address, "").await;
    assert_eq!(world.get("/a", "").await.all("cache-control"), ["public, max-age=9"]);
}

#[tokio::test]
async fn the_head_of_an_answer_has_an_end() {
    for (len, status) in [(60_000, 200), (70_000, 502)] {
        let address = serve(move |_| async move {
            let head = http::Response::builder().header("x-long", "x".repeat(len));
            head.body(Full::<Bytes>::default()).expect("an answer")
        })
        .await;
        assert_eq!(World::start(address, "").await.get("/a", "").await.status, status, "{len}");
    }
}

#[tokio::test]
async fn ops_cors_01_only_a_real_preflight_is_answered_here() {
    let upstream = Upstream::start(200, &[("access-control-expose-headers", "X-Total")]).await;
    let world = World::start(upstream.address, "[cors]\norigins = [\"https://app.example\"]").await;
    let options = "OPTIONS /a HTTP/1.1\r\nHost: h\r\n";
    let (origin, method) = ("Origin: https://app.example\r\n", "Access-Control-Request-Method: PUT\r\n");
    let preflight = world.ask(&format!("{options}{origin}{method}\r\n")).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.all("access-control-allow-origin"), ["https://app.example"]);
    let doubtful = world.ask(&format!("OPTIONS //a HTTP/1.1\r\nHost: h\r\n{origin}{method}\r\n")).await;
    assert_eq!(doubtful.status, 204, "or the page could not read why the path is refused");
    for partial in [origin, method, ""] {
        assert_eq!(world.ask(&format!("{options}{partial}\r\n")).await.status, 401, "{partial}");
    }
    assert!(upstream.seen().is_empty());
    let heard = world.get("/a", origin).await;
    assert_eq!(heard.all("access-control-expose-headers"), ["DPoP-Nonce, WWW-Authenticate, X-Total"]);
    let refused = world.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{origin}\r\n")).await;
    assert_eq!(refused.all("access-control-allow-origin"), ["https://app.example"]);
    let bad = world.ask(&format!("GET //a HTTP/1.1\r\nHost: h\r\n{origin}\r\n")).await;
    assert_eq!((bad.status, bad.all("access-control-allow-origin").len()), (400, 1));
}

#[tokio::test]
async fn an_upstream_that_is_away_is_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let world = World::start(address, "").await;
    let heard = world.get("/a", "").await;
    assert_eq!(heard.status, 502);
    assert_eq!(heard.all("content-type"), ["application/json"]);
    assert!(heard.body.contains("\"error\":\"bad_gateway\"") && !heard.body.contains("127.0.0.1"));
}

#[tokio::test]
async fn an_upstream_that_is_too_slow_is_504() {
    let silent = serve(|_| std::future::pending::<http::Response<Full<Bytes>>>()).await;
    let world = World::start(silent, "[timeout]\nanswer_secs = 1").await;
    let heard = world.get("/a", "").await;
    assert_eq!(heard.status, 504);
    assert!(heard.body.contains("\"error\":\"gateway_timeout\""));
}

#[tokio::test]
async fn rs_gw_08_nothing_that_was_sent_is_sent_again() {
    let busy = Upstream::start(503, &[]).await;
    let world = World::start(busy.address, "forward_token = true").await;
    assert_eq!(world.get("/a", "").await.status, 503);
    assert_eq!(busy.seen().len(), 1);

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let heads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 16];
            if stream.read(&mut some).await.is_ok_and(|read| read > 0) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let world = World::start(address, "forward_token = true").await;
    assert_eq!(world.get("/a", "").await.status, 502);
    assert_eq!(heads.load(Ordering::SeqCst), 1);
}
