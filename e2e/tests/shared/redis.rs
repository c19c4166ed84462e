//! Nodes that share a log in Redis.

use crate::nodes::{PATIENT, World, each_counts_once, is_refused_in_time};
use crate::process::until;
use crate::redis_server::Redis;

#[tokio::test(flavor = "multi_thread")]
async fn ops_rep_05_ops_rep_01_dpop_jti_07_each_of_ten_thousand_proofs_counts_once_at_two_gateways() {
    let (redis, world) = (Redis::start().await, World::new().await);
    let replay = format!("{}\n{PATIENT}", redis.config());
    let nodes = [world.node("", &replay).await, world.node("", &replay).await];
    each_counts_once(&world, nodes, 10_000).await;
    assert_eq!(redis.ask("DBSIZE").await.as_deref(), Some(":10001"));
}

#[tokio::test]
async fn ops_rep_07_ops_rep_02_what_redis_holds_tells_nothing_and_ends_by_itself() {
    let (redis, world) = (Redis::start().await, World::new().await);
    let node = world.node("", &format!("{}\n{PATIENT}", redis.config())).await;
    world.call(&node, "/").await.is_let_through();
    assert_eq!(redis.ask("DBSIZE").await.as_deref(), Some(":1"));
    // `keybound:` and 128 bits.
    assert_eq!(redis.ask("EVAL \"return #redis.call('RANDOMKEY')\" 0").await.as_deref(), Some(":31"));
    let ttl = redis.ask("EVAL \"return redis.call('TTL', redis.call('RANDOMKEY'))\" 0").await;
    let secs: u64 = ttl.expect("an answer").trim_start_matches(':').parse().expect("it ends");
    assert!((600..=780).contains(&secs), "{secs} s");
}

#[tokio::test]
async fn ops_rep_09_a_gateway_that_starts_again_knows_what_was_used_and_takes_nonces_from_before() {
    let (redis, world) = (Redis::start().await, World::new().await);
    let replay = format!("{}\n{PATIENT}", redis.config());
    let node = world.node("", &replay).await;
    world.call(&node, "/").await.is_let_through();
    let (used, unused) = (world.proof("/"), world.proof("/"));
    world.send(&node, "/", &used).await.is_let_through();
    drop(node);
    let again = world.node("", &replay).await;
    world.send(&again, "/", &used).await.is_a_replay();
    world.send(&again, "/", &unused).await.is_let_through();
}

#[tokio::test]
async fn rs_gw_09_ops_rep_06_a_redis_that_is_killed_is_503_and_is_used_again_once_it_is_back() {
    let (mut redis, world) = (Redis::start().await, World::new().await);
    let node = world.node("", &redis.config()).await;
    until("the log", async || world.call(&node, "/").await.status == 200).await;
    redis.kill();
    is_refused_in_time(&world, &node).await;
    assert!(node.gateway.replay_log_is_reachable().await.is_err());
    redis.start_again().await;
    until("the log again", async || world.call(&node, "/").await.status == 200).await;
    until("readiness", async || node.gateway.replay_log_is_reachable().await.is_ok()).await;
}

#[tokio::test]
async fn ops_rep_06_a_redis_that_does_not_answer_is_503_in_bounded_time_without_a_pile_up() {
    let (redis, world) = (Redis::start().await, World::new().await);
    let node = world.node("", &redis.config()).await;
    until("the log", async || world.call(&node, "/").await.status == 200).await;
    redis.pause();
    is_refused_in_time(&world, &node).await;
    redis.go_on();
    until("the log again", async || world.call(&node, "/").await.status == 200).await;
}

#[tokio::test]
async fn ops_rep_04_ops_rep_03_a_redis_that_is_full_is_503() {
    let (redis, world) = (Redis::start().await, World::new().await);
    let node = world.node("", &format!("{}\n{PATIENT}", redis.config())).await;
    world.call(&node, "/").await.is_let_through();
    let used = world.proof("/");
    world.send(&node, "/", &used).await.is_let_through();
    assert_eq!(redis.ask("CONFIG SET maxmemory 1").await.as_deref(), Some("+OK"));
    world.call(&node, "/").await.is_unavailable();
    assert_eq!(redis.ask("CONFIG SET maxmemory 0").await.as_deref(), Some("+OK"));
    until("room", async || world.call(&node, "/").await.status == 200).await;
    world.send(&node, "/", &used).await.is_a_replay();
}

#[tokio::test]
async fn ops_rep_08_two_resources_share_one_redis_and_do_not_meet() {
    let (redis, world) = (Redis::start().await, World::new().await);
    let replay = format!("{}\n{PATIENT}", redis.config());
    // The same token is good at both, so that nothing but their names tells them apart.
    let second = "audience = [\"https://second.example/\", \"https://api.example/\"]";
    let nodes = [world.node("", &replay).await, world.node(second, &replay).await];
    // Nonces are each resource's own: the one that challenged last is the one whose nonce is held.
    for (node, other) in [(&nodes[0], &nodes[1]), (&nodes[1], &nodes[0])] {
        world.call(node, "/").await.is_let_through();
        let proof = world.proof("/");
        world.send(node, "/", &proof).await.is_let_through();
        world.send(node, "/", &proof).await.is_a_replay();
        assert_eq!(world.send(other, "/", &proof).await.error(), Some("use_dpop_nonce"));
    }
}
