//! Another configuration for a gateway that runs, and what it counts.

use crate::world::{PUBLIC, Upstream, World, key_set, serve};
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_gateway::ReloadError;
use keybound_gateway::config::{Config, KeysFrom};
use keybound_oauth::identifier::Endpoint;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn config(world: &World, issuer: &str, rest: &str) -> Config {
    let audience = format!("{PUBLIC}/");
    let toml = format!("public_url = {PUBLIC:?}\nissuer = {issuer:?}\naudience = {audience:?}\n{rest}");
    let mut config = Config::parse(&toml).expect("a configuration");
    config.issuers[0].keys = KeysFrom::Fixed(key_set(&world.issuer_key));
    config
}

fn leading_to(world: &World, upstream: &Upstream) -> Config {
    let rest = format!("upstream = \"http://{}\"\n[nonce]\nmode = \"off\"", upstream.address);
    config(world, "https://issuer.example", &rest)
}

fn page(world: &World) -> String {
    let mut registry = Registry::default();
    let (gateway, guard) = world.service.metrics();
    gateway.register(&mut registry);
    guard.register(&mut registry);
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).expect("a page");
    page
}

#[track_caller]
pub(crate) fn assert_counted(world: &World, lines: &[&str]) {
    let page = page(world);
    for line in lines {
        assert!(page.lines().any(|found| found == *line), "{line} in\n{page}");
    }
}

/// The status for a token that may have been shown before, with a new proof.
async fn ask_with(world: &World, token: &str) -> u16 {
    let credentials = world.credentials_with(token, "GET", "/a", None);
    world.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{credentials}\r\n")).await.status
}

#[tokio::test]
async fn ops_rep_09_a_proof_from_before_a_reload_is_not_good_again() {
    let (old, new) = (Upstream::start(200, &[]).await, Upstream::start(201, &[]).await);
    let world = World::start(old.address, "").await;
    let credentials = world.credentials("GET", "/a");
    let request = format!("GET /a HTTP/1.1\r\nHost: h\r\n{credentials}\r\n");
    assert_eq!(world.ask(&request).await.status, 200);
    assert!(world.service.reload(&leading_to(&world, &new)).expect("taken").is_empty());
    assert_eq!(world.get("/a", "").await.status, 201, "the new upstream");
    let again = world.ask(&request).await;
    assert!(again.status == 401 && again.body.contains("DPOP-JTI-04"), "{again:?}");
    assert_counted(
        &world,
        &[
            "guard_replays_total 1",
            "guard_token_verdicts_total{how=\"reached\"} 2",
            "gateway_reloads_total{result=\"in_use\"} 1",
            "gateway_decisions_total{route=\"/\",decision=\"allowed\"} 2",
            "gateway_decisions_total{route=\"/\",decision=\"denied\"} 1",
            "gateway_upstream_duration_seconds_count{route=\"/\"} 2",
        ],
    );
}

#[tokio::test]
async fn rs_chk_08_tokens_are_remembered_over_a_reload() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    let token = world.token();
    let ask = async || ask_with(&world, &token).await;
    assert_eq!(ask().await, 200);
    world.service.reload(&leading_to(&world, &upstream)).expect("taken");
    assert_eq!(ask().await, 200);
    assert_counted(&world, &["guard_token_verdicts_total{how=\"remembered\"} 1"]);
    // The issuer is no longer trusted: what was remembered of its tokens is of no use.
    let rest = format!("upstream = \"http://{}\"\n[nonce]\nmode = \"off\"", upstream.address);
    world.service.reload(&config(&world, "https://other.example", &rest)).expect("taken");
    assert_eq!(ask().await, 401);
}

#[tokio::test]
async fn ops_key_07_keys_of_an_issuer_are_kept_over_a_reload() {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let (keys, fetched) = (key_set(&key).to_json(), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&fetched);
    let address = serve(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let response = Response::new(Full::new(Bytes::from(keys.clone())));
        async move { response }
    })
    .await;
    let from = KeysFrom::Url(Endpoint::parse(&format!("http://{address}/keys")).expect("a URL"));
    let upstream = Upstream::start(200, &[]).await;
    let rest = format!("upstream = \"http://{}\"\n[nonce]\nmode = \"off\"", upstream.address);
    let world = World::with_keys(key, from.clone(), "https://issuer.example", PUBLIC, &rest).await;
    assert_eq!(world.service.keys_are_known(), Ok(()), "nobody has asked yet");
    assert_eq!(world.get("/a", "").await.status, 200);
    let mut next = leading_to(&world, &upstream);
    next.issuers[0].keys = from;
    world.service.reload(&next).expect("taken");
    assert_eq!(world.get("/a", "").await.status, 200);
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    assert_eq!(world.service.keys_are_known(), Ok(()));
}

#[tokio::test]
async fn ops_key_07_other_keys_of_an_issuer_count_from_the_reload_on() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    let token = world.token();
    let ask = async || ask_with(&world, &token).await;
    assert_eq!(ask().await, 200);
    let mut next = leading_to(&world, &upstream);
    let other = SigningKey::generate(Algorithm::Es256).expect("a key");
    next.issuers[0].keys = KeysFrom::Fixed(key_set(&other));
    world.service.reload(&next).expect("taken");
    assert_eq!(ask().await, 401, "nobody vouches for it any more");
}

#[tokio::test]
async fn ops_rep_09_what_would_make_used_proofs_good_again_needs_a_restart() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    let more = |more: &str| format!("upstream = \"http://{}\"\n{more}", upstream.address);
    let off = "[nonce]\nmode = \"off\"\n";
    for (rest, key) in
        [(more(""), "nonce.mode"), (more(&format!("{off}[proof]\nwindow_secs = 600")), "proof.window_secs")]
    {
        let error = world.service.reload(&config(&world, "https://issuer.example", &rest)).expect_err(key);
        assert!(matches!(error, ReloadError::Records(named) if named == key), "{error}");
    }
    let mut other = leading_to(&world, &upstream);
    other.audience = vec!["https://other.example".to_owned()];
    assert!(world.service.reload(&other).is_err());
    assert_eq!(world.get("/a", "").await.status, 200, "the old one goes on");
    assert_counted(&world, &["gateway_reloads_total{result=\"refused\"} 3"]);
    let mut moved = leading_to(&world, &upstream);
    moved.listen = "127.0.0.1:9".parse().expect("an address");
    assert_eq!(world.service.reload(&moved).expect("taken"), ["listen"]);
}

#[tokio::test]
async fn ops_rep_09_a_path_for_everybody_in_between_makes_no_used_proof_good_again() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    let with = |route: &str| {
        let rest = format!(
            "upstream = \"http://{}\"\n[nonce]\nmode = \"off\"\n[[route]]\npath = \"/a\"\n{route}",
            upstream.address
        );
        config(&world, "https://issuer.example", &rest)
    };
    let asking = with("nonce = \"required\"");
    let public = with("public = true");
    assert!(world.service.reload(&asking).is_err(), "straight on");
    world.service.reload(&public).expect("taken");
    world.service.reload(&public).expect("taken");
    assert!(world.service.reload(&asking).is_err(), "by a way round");
    world.clock.turn(320);
    assert!(world.service.reload(&asking).is_err(), "a proof may be as old as 330 s and good");
    world.clock.turn(12);
    world.service.reload(&asking).expect("no proof from before is good any more");
}

#[tokio::test]
async fn ops_log_05_upstreams_are_counted_by_the_configured_route_alone() {
    let upstream = Upstream::start(200, &[]).await;
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let route = format!("[[route]]\npath = \"/gone\"\nupstream = \"http://{nobody}\"\nscopes = [\"read\"]");
    let world = World::start(upstream.address, &route).await;
    assert_eq!(world.get("/gone/canary", "").await.status, 502);
    assert_eq!(world.get("/canary", "").await.status, 200);
    assert_eq!(world.ask("GET /canary/.. HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 400);
    assert_counted(
        &world,
        &[
            "gateway_upstream_errors_total{route=\"/gone\",kind=\"unreachable\"} 1",
            "gateway_upstream_errors_total{route=\"/\",kind=\"unreachable\"} 0",
            "gateway_malformed_requests_total 1",
            "gateway_tunnels_open 0",
        ],
    );
    assert!(!page(&world).contains("canary"));
}

#[tokio::test]
async fn rs_gw_09_without_nonces_it_is_not_ready_until_proofs_are_taken() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    assert_eq!(world.service.proofs_are_taken(), Ok(()));
    let config = leading_to(&world, &upstream);
    let clock = Arc::clone(&world.clock) as Arc<dyn keybound_dpop::time::Clock>;
    let fresh = keybound_gateway::service(&config, clock).expect("a gateway");
    assert!(fresh.proofs_are_taken().is_err());
    world.clock.turn(31);
    assert_eq!(fresh.proofs_are_taken(), Ok(()));
}
