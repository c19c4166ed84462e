//! Routes that only look on: what is counted of whom.

use crate::world::{Upstream, World};
use serde_json::Value;

fn seen(world: &World) -> Value {
    serde_json::from_str(&world.service.observations().to_json()).expect("JSON")
}

#[tokio::test]
async fn an_observed_route_counts_by_client_who_would_pass() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "dpop = \"observe\"").await;
    let bearer = world.token_of("https://issuer.example", "read", false);
    let unbound = format!("GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {bearer}\r\n\r\n");
    for request in [unbound.as_str(), "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"] {
        assert_eq!(world.ask(request).await.status, 200, "everything passes");
    }
    let used = world.credentials("GET", "/a");
    for _ in 0..2 {
        assert_eq!(world.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{used}\r\n")).await.status, 200);
    }
    assert_eq!(world.get("/a", "").await.status, 200);
    let told = seen(&world);
    let client = &told["clients"][0];
    assert_eq!(
        (client["issuer"].as_str(), client["client_id"].as_str()),
        (Some("https://issuer.example"), Some("app"))
    );
    assert_eq!((client["requests"].as_u64(), client["would_pass"].as_u64()), (Some(4), Some(2)));
    assert_eq!(client["in_a_row"], 1);
    let rows: Vec<&str> =
        client["refusals"].as_array().expect("a list").iter().filter_map(|one| one["row"].as_str()).collect();
    assert_eq!(rows, ["DPOP-JTI-04", "RS-DWN-03"]);
    assert_eq!(
        (told["nobody"]["requests"].as_u64(), told["others"]["requests"].as_u64()),
        (Some(1), Some(0))
    );
    assert_eq!(upstream.seen().len(), 5);
}
