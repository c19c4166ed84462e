//! What a guard counts (OPS-LOG-05).

use crate::world::{World, dpop, get};
use keybound_dpop::nonce::NonceKeys;
use prometheus_client::registry::Registry;

fn page(world: &World) -> String {
    let mut registry = Registry::default();
    world.guard.config().metrics.register(&mut registry);
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).expect("a page");
    page
}

#[track_caller]
fn assert_counted(world: &World, lines: &[&str]) {
    let page = page(world);
    for line in lines {
        assert!(page.lines().any(|found| found == *line), "{line} in\n{page}");
    }
}

#[tokio::test]
async fn ops_log_05_proofs_tokens_and_replays_are_counted() {
    let world = World::new();
    let token = world.token();
    let proof = world.proof(&token);
    assert!(world.check(dpop(&token, &proof)).await.is_ok());
    assert!(world.check(dpop(&token, &proof)).await.is_err());
    assert!(world.check(get(&[])).await.is_err());
    assert!(world.check(get(&[("authorization", &format!("Bearer {token}"))])).await.is_err());
    assert!(world.check(dpop("x.y.z", &proof)).await.is_err());
    let other = world.proof_for("POST", "https://api.example/things", &world.client_key, &token, None);
    assert!(world.check(dpop(&token, &other)).await.is_err());
    assert_counted(
        &world,
        &[
            "guard_proofs_accepted_total 1",
            "guard_replays_total 1",
            "guard_proofs_refused_total{row=\"DPOP-JTI-04\"} 1",
            "guard_proofs_refused_total{row=\"DPOP-HTM-01\"} 1",
            "guard_tokens_accepted_total{bound_to=\"key\"} 1",
            "guard_tokens_refused_total{row=\"RS-DWN-01\"} 1",
            "guard_tokens_refused_total{row=\"RS-CHK-01\"} 1",
            "guard_requests_refused_total{row=\"RS-CHL-01\"} 1",
            "guard_token_verdicts_total{how=\"remembered\"} 3",
            "guard_proof_skew_seconds_bucket{le=\"-2.0\"} 0",
            "guard_proof_skew_seconds_count 1",
            "guard_degraded_requests_total 0",
        ],
    );
}

#[tokio::test]
async fn ops_log_05_nonce_challenges_are_counted() {
    let world = World::with(|config| config.nonce = Some(NonceKeys::new([1; 32], "resource", None)));
    let token = world.token();
    assert!(world.check(dpop(&token, &world.proof(&token))).await.is_err());
    assert_counted(&world, &["guard_nonce_challenges_total 1", "guard_proofs_accepted_total 0"]);
}

#[cfg(feature = "introspect")]
#[tokio::test]
async fn ops_log_05_what_an_issuer_says_no_to_is_counted_by_its_row() {
    use serde_json::json;
    let issuer = crate::asked::Issuing::start().await;
    let world = issuer.world(|_| {});
    for (name, value, row) in [
        ("active", json!(false), "RS-INT-01"),
        ("iss", json!("https://other.example"), "RS-INT-03"),
        ("cnf", json!("x"), "RS-DWN-05"),
    ] {
        let mut answer = world.active();
        answer[name] = value;
        issuer.says(&answer);
        assert_eq!(world.row(row).await, (401, row));
        assert_counted(&world, &[&format!("guard_tokens_refused_total{{row=\"{row}\"}} 1")]);
    }
}

#[tokio::test]
async fn ops_log_01_no_label_is_a_word_of_the_caller() {
    let world = World::new();
    let canary = dpop("canary", "canary");
    assert!(world.check(canary).await.is_err());
    assert!(world.check(get(&[("authorization", "Canary canary")])).await.is_err());
    assert!(!page(&world).to_lowercase().contains("canary"), "{}", page(&world));
}
