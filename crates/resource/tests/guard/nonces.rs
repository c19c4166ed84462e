//! The nonces of a resource (RS-NON).

use crate::world::{API, URL, World, begin, dpop, get};
use keybound_dpop::nonce::{Nonce, NonceKeys};
use keybound_dpop::replay::MemoryLog;
use keybound_dpop::time::Clock;
use keybound_dpop::token_hash::TokenHash;
use keybound_resource::{Reason, ReplayLog};
use serde_json::json;
use std::sync::Arc;

fn with_nonces() -> World {
    World::with(|config| config.nonce = Some(NonceKeys::new([1; 32], "resource", None)))
}

fn issued(world: &World) -> Nonce {
    world.guard.nonce().expect("a nonce")
}

#[tokio::test]
async fn rs_non_01_with_and_without() {
    let without = World::new();
    let token = without.token();
    assert!(without.check(dpop(&token, &without.proof(&token))).await.is_ok());
    assert!(without.guard.nonce().is_none());
    assert!(without.refused(get(&[])).await.nonces.is_empty());
    let with = with_nonces();
    let token = with.token();
    assert!(with.check(dpop(&token, &with.proof(&token))).await.is_err());
    let proof = with.proof_with(&with.client_key, &token, Some(&issued(&with)));
    assert!(with.check(dpop(&token, &proof)).await.is_ok());
}

#[tokio::test]
async fn rs_non_02_no_nonce_or_another_one_is_a_challenge() {
    let world = with_nonces();
    let token = world.token();
    let old = issued(&world);
    world.clock.turn(180);
    let made_up = Nonce::parse("made-up").expect("a nonce");
    for nonce in [None, Some(&old), Some(&made_up)] {
        let refused = world.refused(dpop(&token, &world.proof_with(&world.client_key, &token, nonce))).await;
        assert_eq!(refused.told(), (401, vec![("DPoP", Some("use_dpop_nonce"))]));
        assert_eq!(refused.nonces, [issued(&world).as_str()]);
        assert!(refused.challenges[0].get("algs").is_some());
        let brought = Nonce::parse(&refused.nonces[0]).expect("a nonce");
        let proof = world.proof_with(&world.client_key, &token, Some(&brought));
        assert!(world.check(dpop(&token, &proof)).await.is_ok());
    }
}

#[tokio::test]
async fn rs_non_03_an_old_nonce_is_followed_by_a_new_one() {
    let world = with_nonces();
    let token = world.token();
    let nonce = issued(&world);
    let ask = async || {
        let proof = world.proof_with(&world.client_key, &token, Some(&nonce));
        let access = world.check(dpop(&token, &proof)).await.expect("access");
        let mut headers = http::HeaderMap::new();
        headers.insert("cache-control", http::HeaderValue::from_static("public, max-age=60"));
        world.guard.complete(&access, &mut headers);
        headers
    };
    let first = ask().await;
    assert!(!first.contains_key("dpop-nonce"));
    assert_eq!(first["cache-control"], "public, max-age=60");
    world.clock.turn(60);
    let second = ask().await;
    assert_eq!(second["dpop-nonce"], issued(&world).as_str());
    assert_eq!(second["cache-control"], "no-store");
}

#[tokio::test]
async fn rs_non_04_another_server_s_nonce_is_not_ours() {
    let world = with_nonces();
    let token = world.token();
    let theirs = NonceKeys::new([1; 32], "provider", None).issue(world.clock.unix());
    let refused =
        world.refused(dpop(&token, &world.proof_with(&world.client_key, &token, Some(&theirs)))).await;
    assert_eq!(refused.told(), (401, vec![("DPoP", Some("use_dpop_nonce"))]));
}

#[tokio::test]
async fn rs_non_06_challenges_grow_nothing() {
    let log = Arc::new(MemoryLog::new(10, begin()));
    let world = World::with(|config| config.replay = ReplayLog::Memory(Arc::clone(&log)));
    let token = world.token();
    for _ in 0..100 {
        world.refused(get(&[])).await;
        world.refused(dpop(&token, &world.proof(&token))).await;
    }
    assert!(log.is_empty());
}

#[tokio::test]
async fn rs_non_07_a_bad_token_is_told_so_whatever_the_nonce() {
    let world = with_nonces();
    let mut claims = world.claims();
    claims["aud"] = json!("https://other.example/");
    let token = world.sign(&claims);
    for nonce in [Some(issued(&world)), None] {
        let proof = world.proof_with(&world.client_key, &token, nonce.as_ref());
        let refused = world.refused(dpop(&token, &proof)).await;
        assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_token"))]));
        assert_eq!(refused.nonces.len(), 1);
    }
}

#[tokio::test]
async fn rs_non_08_the_nonce_is_the_clock_and_the_jti_still_counts() {
    let world = with_nonces();
    let token = world.token();
    let proof = |iat: u64| {
        world.odd_proof(&json!({
            "jti": format!("j{iat}"), "htm": "GET", "htu": URL, "iat": iat, "nonce": issued(&world).as_str(),
            "ath": TokenHash::of(&token).ath(),
        }))
    };
    for iat in [world.now() - 3600, world.now() + 3600] {
        let proof = proof(iat);
        assert!(world.check(dpop(&token, &proof)).await.is_ok());
        let refused = world.refused(dpop(&token, &proof)).await;
        assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_dpop_proof"))]));
    }
}

#[tokio::test]
async fn ops_rep_04_a_log_that_is_full_is_503_with_retry_after() {
    let log = MemoryLog::new(0, begin());
    let world = World::with(|config| {
        config.nonce = None;
        config.replay = ReplayLog::Memory(Arc::new(log));
    });
    let token = world.token();
    let rejection = world.check(dpop(&token, &world.proof(&token))).await.expect_err("refused");
    assert_eq!(rejection.reason(), &Reason::ReplayLogUnavailable);
    let response = rejection.into_response();
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert!(!response.headers().contains_key("www-authenticate"));
}

#[tokio::test]
async fn dpop_jti_05_the_log_tells_resources_apart() {
    let log = Arc::new(MemoryLog::new(10, begin()));
    let world = World::with(|config| {
        config.nonce = None;
        config.replay = ReplayLog::Memory(Arc::clone(&log));
    });
    let mut config = world.guard.config().clone();
    config.audience = vec!["https://second.example/".to_owned(), API.to_owned()];
    let second = keybound_resource::Guard::new(config).expect("a guard");
    let token = world.token();
    let (parts, ()) = dpop(&token, &world.proof(&token)).into_parts();
    let target = keybound_dpop::target::Target::parse(URL).expect("a target");
    assert!(world.guard.check(&parts, &target).await.is_ok());
    assert!(second.check(&parts, &target).await.is_ok());
    assert!(second.check(&parts, &target).await.is_err());
    assert_eq!(log.len(), 2);
}
