//! Nodes that share a log in PostgreSQL.

use crate::nodes::{PATIENT, World, each_counts_once, is_refused_in_time};
use crate::postgres_server::Postgres;
use crate::process::until;

const COUNT: &str = "SELECT count(*) FROM keybound_replay";

#[tokio::test(flavor = "multi_thread")]
async fn ops_rep_05_ops_rep_03_each_of_ten_thousand_proofs_counts_once_at_two_gateways_and_old_ones_go() {
    let (postgres, world) = (Postgres::start().await, World::new().await);
    let replay = format!("{}\n{PATIENT}", postgres.config());
    let nodes = [world.node("", &replay).await, world.node("", &replay).await];
    let nodes = each_counts_once(&world, nodes, 10_000).await;
    assert_eq!(postgres.ask(COUNT), "10001");
    assert_eq!(postgres.ask("SELECT DISTINCT length(key) FROM keybound_replay"), "16");
    let secs = "SELECT extract(epoch FROM max(forget_at) - now())::int FROM keybound_replay";
    let secs: u64 = postgres.ask(secs).parse().expect("a number");
    assert!((540..=780).contains(&secs), "{secs} s");

    postgres.ask(
        "INSERT INTO keybound_replay SELECT decode(md5(n::text), 'hex'), now() - interval '1 second' \
         FROM generate_series(1, 5000) n",
    );
    until("old records to go", async || postgres.ask(COUNT) == "10001").await;
    drop(nodes);
}

#[tokio::test]
async fn ops_rep_09_what_was_used_is_known_after_both_have_started_again() {
    let (mut postgres, world) = (Postgres::start().await, World::new().await);
    let replay = format!("{}\n{PATIENT}", postgres.config());
    let node = world.node("", &replay).await;
    world.call(&node, "/").await.is_let_through();
    let used = world.proof("/");
    world.send(&node, "/", &used).await.is_let_through();
    drop(node);
    postgres.kill();
    postgres.start_again().await;
    let again = world.node("", &replay).await;
    world.send(&again, "/", &used).await.is_a_replay();
    world.call(&again, "/").await.is_let_through();
}

#[tokio::test]
async fn rs_gw_09_ops_rep_06_a_postgresql_that_is_killed_is_503_and_is_used_again_once_it_is_back() {
    let (mut postgres, world) = (Postgres::start().await, World::new().await);
    let node = world.node("", &postgres.config()).await;
    until("the log", async || world.call(&node, "/").await.status == 200).await;
    postgres.kill();
    is_refused_in_time(&world, &node).await;
    assert!(node.gateway.replay_log_is_reachable().await.is_err());
    postgres.start_again().await;
    until("the log again", async || world.call(&node, "/").await.status == 200).await;
    until("readiness", async || node.gateway.replay_log_is_reachable().await.is_ok()).await;
}

#[tokio::test]
async fn ops_rep_06_a_table_that_is_locked_is_503_in_bounded_time_without_a_pile_up() {
    let (postgres, world) = (Postgres::start().await, World::new().await);
    let node = world.node("", &postgres.config()).await;
    until("the log", async || world.call(&node, "/").await.status == 200).await;
    let locked = postgres.lock().await;
    is_refused_in_time(&world, &node).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    until("those who wait for the lock to give up", async || postgres.ask(waiting) == "0").await;
    postgres.unlock(locked);
    until("the log again", async || world.call(&node, "/").await.status == 200).await;
}
