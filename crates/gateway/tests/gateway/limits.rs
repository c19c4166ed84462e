//! How often one caller may ask.

use crate::reload::assert_counted;
use crate::world::{Upstream, World};
use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use std::net::SocketAddr;
use tower_service::Service;

#[tokio::test]
async fn ops_lim_05_a_client_that_asks_too_often_is_answered_429() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "[limits]\nclient_per_minute = 12").await;
    for _ in 0..2 {
        assert_eq!(world.get("/a", "").await.status, 200, "ten seconds' worth at once");
    }
    let heard = world.get("/a", "").await;
    assert_eq!((heard.status, heard.all("retry-after"), upstream.seen().len()), (429, vec!["5"], 2));
    assert!(heard.body.contains("OPS-LIM-05"), "{}", heard.body);
    assert_eq!(
        world.ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await.status,
        401,
        "others are not counted with it"
    );
    world.clock.turn(5);
    assert_eq!(world.get("/a", "").await.status, 200);
}

#[tokio::test]
async fn ops_lim_05_atk_143_an_address_that_asks_too_often_is_answered_before_anything_is_verified() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "[limits]\naddress_per_minute = 12").await;
    let ask = |peer: &'static str, credentials: String| {
        let mut service = world.service.clone();
        async move {
            let mut request = Request::get("/a").header("host", "h");
            for line in credentials.lines() {
                let (name, value) = line.split_once(": ").expect("a field");
                request = request.header(name, value);
            }
            let mut request = request.body(Empty::<Bytes>::new()).expect("a request");
            request.extensions_mut().insert::<SocketAddr>(peer.parse().expect("a peer"));
            service.call(request).await.expect("an answer").status().as_u16()
        }
    };
    for _ in 0..2 {
        assert_eq!(ask("192.0.2.1:1", String::new()).await, 401);
    }
    assert_eq!(ask("192.0.2.1:2", String::new()).await, 429);
    let good = world.credentials("GET", "/a");
    assert_eq!(ask("192.0.2.1:3", good.clone()).await, 429);
    assert_eq!(ask("192.0.2.2:1", good).await, 200, "the proof was not looked at, so it is good elsewhere");
    let counts = ["gateway_limited_requests_total{by=\"address\"} 2", "gateway_malformed_requests_total 0"];
    assert_counted(&world, &counts);
}
