//! Guards that share a log of used proofs, and what they do while it is away (OPS-REP, RS-GW-09).

use crate::world::{API, Refused, URL, World, dpop};
use http::Request;
use keybound_dpop::nonce::Nonce;
use keybound_dpop::replay::ReplayKey;
use keybound_dpop::secret::Secret;
use keybound_dpop::target::Target;
use keybound_dpop::time::Clock;
use keybound_dpop::token_hash::TokenHash;
use keybound_resource::{
    Access, Demand, Guard, OwnLog, OwnReach, OwnRecord, Reason, Rejection, SharedLog, WithoutReplayLog,
};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// A log of the test's own, which can go away and come back.
#[derive(Debug, Default)]
struct TestLog {
    known: Mutex<HashMap<u128, Duration>>,
    is_away: AtomicBool,
    asked: AtomicUsize,
}

impl OwnLog for TestLog {
    fn record(&self, key: ReplayKey, keep: Duration) -> OwnRecord<'_> {
        Box::pin(async move {
            self.asked.fetch_add(1, SeqCst);
            self.answer()?;
            Ok(self.known.lock().expect("a lock").insert(key.0, keep).is_none())
        })
    }

    fn reach(&self) -> OwnReach<'_> {
        Box::pin(async move { self.answer() })
    }
}

impl TestLog {
    fn answer(&self) -> Result<(), String> {
        if self.is_away.load(SeqCst) { Err("away".to_owned()) } else { Ok(()) }
    }

    fn keeps(&self) -> Vec<u64> {
        self.known.lock().expect("a lock").values().map(Duration::as_secs).collect()
    }
}

const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Two guards of one resource over one log, on one clock. The World's own takes no nonces into account.
struct Nodes {
    world: World,
    log: Arc<TestLog>,
    one: Guard,
    other: Guard,
}

impl Nodes {
    fn start() -> Self {
        let (world, log) = (World::new(), Arc::new(TestLog::default()));
        let node = || node(&world, &log, SECRET, API);
        Self { one: node(), other: node(), world, log }
    }

    fn proof(&self, token: &str) -> String {
        self.world.proof_with(&self.world.client_key, token, Some(&self.nonce()))
    }

    fn nonce(&self) -> Nonce {
        self.one.nonce().expect("nonces")
    }
}

/// A node that has just started.
fn node(world: &World, log: &Arc<TestLog>, secret: &str, audience: &str) -> Guard {
    let mut config = world.guard.config().clone();
    config.audience = vec![audience.to_owned(), API.to_owned()];
    let log = SharedLog::own(Arc::clone(log) as Arc<dyn OwnLog>, world.clock.now());
    config.share(log, &Secret::new(secret)).expect("a secret");
    Guard::new(config).expect("a guard")
}

async fn check(guard: &Guard, request: Request<()>) -> Result<Access, Rejection> {
    check_for(guard, request, guard.demand()).await
}

async fn check_for(guard: &Guard, request: Request<()>, demand: &Demand) -> Result<Access, Rejection> {
    let target = Target::parse(URL).expect("a target");
    guard.check_for(&request.into_parts().0, &target, demand).await
}

fn degraded(guard: &Guard) -> Demand {
    Demand { without_replay_log: WithoutReplayLog::Nonce, ..guard.demand().clone() }
}

/// The code of the error, where it is a challenge.
fn error(rejected: Result<Access, Rejection>) -> (u16, Option<String>) {
    let refused = Refused::of(rejected.expect_err("must be refused"));
    (
        refused.status,
        refused.challenges.first().and_then(|challenge| challenge.get("error")).map(str::to_owned),
    )
}

fn challenged(code: &str) -> (u16, Option<String>) {
    (401, Some(code.to_owned()))
}

#[tokio::test]
async fn ops_rep_05_ops_non_04_a_proof_counts_once_at_all_nodes_and_a_nonce_is_good_at_each() {
    let nodes = Nodes::start();
    let token = nodes.world.token();
    for (first, second) in [(&nodes.one, &nodes.other), (&nodes.other, &nodes.one)] {
        let proof = nodes.proof(&token);
        assert!(check(first, dpop(&token, &proof)).await.is_ok());
        for node in [first, second] {
            assert_eq!(error(check(node, dpop(&token, &proof)).await), challenged("invalid_dpop_proof"));
        }
    }
    let restarted = node(&nodes.world, &nodes.log, SECRET, API);
    let proof = nodes.proof(&token);
    assert!(check(&nodes.one, dpop(&token, &proof)).await.is_ok());
    assert_eq!(error(check(&restarted, dpop(&token, &proof)).await), challenged("invalid_dpop_proof"));
    assert!(check(&restarted, dpop(&token, &nodes.proof(&token))).await.is_ok());
}

#[tokio::test]
async fn ops_non_01_another_secret_makes_other_nonces_and_a_short_one_none() {
    let nodes = Nodes::start();
    let stranger = node(&nodes.world, &nodes.log, &SECRET.replace("00", "01"), API);
    let token = nodes.world.token();
    assert_eq!(
        error(check(&stranger, dpop(&token, &nodes.proof(&token))).await),
        challenged("use_dpop_nonce")
    );
    let mut config = nodes.world.guard.config().clone();
    let log = SharedLog::own(Arc::clone(&nodes.log) as Arc<dyn OwnLog>, nodes.world.clock.now());
    assert!(config.share(log, &Secret::new("hunter2")).expect_err("refused").to_string().contains("256"));
}

#[tokio::test]
async fn ops_rep_08_resources_that_share_a_log_do_not_meet_in_it() {
    let (world, log) = (World::new(), Arc::new(TestLog::default()));
    let [mut one, mut second] =
        [API, "https://second.example/"].map(|name| node(&world, &log, SECRET, name).config().clone());
    (one.nonce, second.nonce) = (None, None);
    let [one, second] = [one, second].map(|config| Guard::new(config).expect("a guard"));
    let token = world.token();
    let proof = world.proof(&token);
    for guard in [&one, &second] {
        assert!(check(guard, dpop(&token, &proof)).await.is_ok());
        assert!(check(guard, dpop(&token, &proof)).await.is_err());
    }
}

#[tokio::test]
async fn ops_rep_02_ops_rep_07_a_record_is_kept_for_longer_than_its_proof_can_be_used() {
    let nodes = Nodes::start();
    let token = nodes.world.token();
    assert!(check(&nodes.one, dpop(&token, &nodes.proof(&token))).await.is_ok());
    // A nonce lives for three minutes at the most, and the slack is ten.
    let kept = nodes.log.keeps();
    assert!(kept.iter().all(|secs| (600 + 120..=600 + 180).contains(secs)), "{kept:?}");
}

#[tokio::test]
async fn rs_gw_09_ops_rep_06_without_its_log_a_guard_says_503_and_asks_it_from_time_to_time() {
    let nodes = Nodes::start();
    nodes.log.is_away.store(true, SeqCst);
    let token = nodes.world.token();
    for _ in 0..20 {
        let rejection = check(&nodes.one, dpop(&token, &nodes.proof(&token))).await.expect_err("refused");
        assert_eq!(rejection.reason(), &Reason::ReplayLogUnavailable);
        let refused = Refused::of(rejection);
        assert_eq!((refused.status, refused.challenges.len()), (503, 0));
        assert!(refused.response.headers().contains_key("retry-after"));
    }
    assert_eq!(nodes.log.asked.load(SeqCst), 3, "then it was left alone");
    let is_reachable = async || nodes.one.config().replay.is_reachable(nodes.world.clock.now()).await;
    assert_eq!(is_reachable().await, Err("away".to_owned()));
    nodes.log.is_away.store(false, SeqCst);
    assert!(check(&nodes.one, dpop(&token, &nodes.proof(&token))).await.is_err(), "not a moment later");
    nodes.world.clock.turn(1);
    assert!(check(&nodes.one, dpop(&token, &nodes.proof(&token))).await.is_ok());
    assert!(is_reachable().await.is_ok());
}

#[tokio::test]
async fn ops_rep_06_a_check_of_readiness_finds_the_log_back() {
    let nodes = Nodes::start();
    nodes.log.is_away.store(true, SeqCst);
    let token = nodes.world.token();
    for _ in 0..3 {
        assert!(check(&nodes.one, dpop(&token, &nodes.proof(&token))).await.is_err());
    }
    nodes.log.is_away.store(false, SeqCst);
    assert!(nodes.one.config().replay.is_reachable(nodes.world.clock.now()).await.is_ok());
    assert!(check(&nodes.one, dpop(&token, &nodes.proof(&token))).await.is_ok());
}

#[tokio::test]
async fn rs_gw_09_ops_rep_06_a_route_may_take_a_nonce_of_this_minute_while_the_log_is_away() {
    let nodes = Nodes::start();
    let demand = degraded(&nodes.one);
    let token = nodes.world.token();
    let earlier = nodes.proof(&token);
    let young = nodes.proof(&token);
    nodes.log.is_away.store(true, SeqCst);
    // What this node took before it started, in this minute, it does not know.
    assert_eq!(error(check_for(&nodes.one, dpop(&token, &young), &demand).await), (503, None));
    nodes.world.clock.turn(60);

    let refused = check_for(&nodes.one, dpop(&token, &earlier), &demand).await.expect_err("refused");
    assert!(refused.to_string().contains("of this minute"), "{refused}");
    let refused = Refused::of(refused);
    assert_eq!(refused.told(), (401, vec![("DPoP", Some("use_dpop_nonce"))]));
    assert_eq!(refused.nonces, [nodes.nonce().as_str()]);

    let proof = nodes.proof(&token);
    assert!(check_for(&nodes.one, dpop(&token, &proof), &demand).await.is_ok());
    let again = check_for(&nodes.one, dpop(&token, &proof), &demand).await;
    assert_eq!(error(again), challenged("invalid_dpop_proof"), "this node knows it");
    assert_eq!(nodes.one.config().replay.taken_without_log(), 1);
    assert_eq!(error(check(&nodes.one, dpop(&token, &nodes.proof(&token))).await), (503, None));

    // Once the log is back it is used, and told what was taken without it.
    nodes.log.is_away.store(false, SeqCst);
    nodes.world.clock.turn(1);
    assert!(check_for(&nodes.one, dpop(&token, &nodes.proof(&token)), &demand).await.is_ok());
    for node in [&nodes.other, &nodes.one] {
        assert_eq!(error(check(node, dpop(&token, &proof)).await), challenged("invalid_dpop_proof"));
    }
    assert_eq!(nodes.one.config().replay.taken_without_log(), 1);
}

#[tokio::test]
async fn rs_gw_09_ops_rep_06_a_route_without_nonces_asks_for_them_while_the_log_is_away() {
    let nodes = Nodes::start();
    let demand = Demand { nonces: false, ..degraded(&nodes.one) };
    let token = nodes.world.token();
    let plain = || nodes.world.proof(&token);
    assert!(check_for(&nodes.one, dpop(&token, &plain()), &demand).await.is_ok());
    nodes.log.is_away.store(true, SeqCst);
    nodes.world.clock.turn(60);
    let refused = check_for(&nodes.one, dpop(&token, &plain()), &demand).await.expect_err("refused");
    let refused = Refused::of(refused);
    assert_eq!(refused.told(), (401, vec![("DPoP", Some("use_dpop_nonce"))]));
    let nonce = Nonce::parse(&refused.nonces[0]).expect("a nonce");
    let proof = nodes.world.proof_with(&nodes.world.client_key, &token, Some(&nonce));
    assert!(check_for(&nodes.one, dpop(&token, &proof), &demand).await.is_ok());
    assert_eq!(
        error(check_for(&nodes.one, dpop(&token, &proof), &demand).await),
        challenged("invalid_dpop_proof")
    );

    // Once the log is back it knows what was used before this node has started.
    nodes.log.is_away.store(false, SeqCst);
    nodes.world.clock.turn(1);
    let made_before = nodes.world.odd_proof(&json!({
        "jti": "j", "htm": "GET", "htu": URL, "iat": nodes.world.now() - 200, "ath": TokenHash::of(&token).ath(),
    }));
    assert!(check_for(&nodes.one, dpop(&token, &made_before), &demand).await.is_ok());
    assert!(check_for(&nodes.one, dpop(&token, &made_before), &demand).await.is_err());
}

#[tokio::test]
async fn rs_gw_09_ops_rep_02_a_proof_that_was_taken_without_the_log_is_known_for_as_long_as_it_could_come_again()
 {
    let nodes = Nodes::start();
    let demand = Demand { nonces: false, ..degraded(&nodes.one) };
    let token = nodes.world.token();
    nodes.log.is_away.store(true, SeqCst);
    nodes.world.clock.turn(60);
    let proof = nodes.proof(&token);
    assert!(check_for(&nodes.one, dpop(&token, &proof), &demand).await.is_ok());
    // Its nonce has ended, and counts no more; its `iat` is young enough.
    nodes.world.clock.turn(200);
    nodes.log.is_away.store(false, SeqCst);
    let again = check_for(&nodes.one, dpop(&token, &proof), &demand).await;
    assert_eq!(error(again), challenged("invalid_dpop_proof"));
}

#[tokio::test]
async fn rs_gw_09_ops_rep_06_a_node_takes_no_proof_again_that_it_took_before_its_log_went_away() {
    let nodes = Nodes::start();
    let demand = degraded(&nodes.one);
    let token = nodes.world.token();
    nodes.world.clock.turn(60);
    let proof = nodes.proof(&token);
    assert!(check_for(&nodes.one, dpop(&token, &proof), &demand).await.is_ok());
    nodes.log.is_away.store(true, SeqCst);
    let again = check_for(&nodes.one, dpop(&token, &proof), &demand).await;
    assert_eq!(error(again), challenged("invalid_dpop_proof"));
    assert!(check_for(&nodes.one, dpop(&token, &nodes.proof(&token)), &demand).await.is_ok());
}
