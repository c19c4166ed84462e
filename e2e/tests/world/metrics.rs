//! OPS-LOG-05: what is counted of proofs, tokens and the store.

use keybound_e2e::answer::{assert_e_as, assert_n_as};
use keybound_e2e::world::*;
use keybound_e2e::{Settings, World};
use prometheus_client::registry::Registry;

fn page(world: &World) -> String {
    let mut registry = Registry::default();
    world.provider.metrics.register(&mut registry);
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).expect("a page");
    page
}

#[track_caller]
fn assert_counted(world: &World, name: &str, count: u64) {
    let page = page(world);
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let counted = line.and_then(|count| count.parse().ok()).unwrap_or(0);
    assert_eq!(counted, count, "{name} in\n{page}");
}

#[tokio::test]
async fn ops_log_05_proofs_challenges_replays_and_tokens_are_counted() {
    let world = World::with(Settings::with_nonces()).await;
    let nonce = assert_n_as(&world.client_credentials(Some(&world.proof().sign(&world.key))).await);
    assert_counted(&world, "provider_nonce_challenges_total", 1);
    let good = world.proof().nonce(&nonce).claim("iat", world.now().as_secs() - 20).sign(&world.key);
    assert_eq!(world.client_credentials(Some(&good)).await.status, 200);
    assert_e_as(&world.client_credentials(Some(&good)).await);
    let wrong = world.proof().nonce(&nonce).claim("htm", "GET").sign(&world.key);
    assert_e_as(&world.client_credentials(Some(&wrong)).await);
    assert_counted(&world, "provider_proofs_accepted_total", 1);
    assert_counted(&world, "provider_replays_total", 1);
    assert_counted(&world, "provider_proofs_refused_total{row=\"DPOP-JTI-04\"}", 1);
    assert_counted(&world, "provider_proofs_refused_total{row=\"DPOP-HTM-01\"}", 1);
    assert_counted(&world, "provider_tokens_issued_total{grant_type=\"client_credentials\"}", 1);
    assert_counted(&world, "provider_proof_skew_seconds_bucket{le=\"-30.0\"}", 0);
    assert_counted(&world, "provider_proof_skew_seconds_bucket{le=\"-10.0\"}", 1);
    assert_counted(&world, "provider_client_checks_total{kind=\"secret\"}", 4);
}

#[tokio::test]
async fn ops_log_05_userinfo_and_the_store_are_counted() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let token = tokens.text("access_token");
    let proof = world.userinfo_proof(&token).sign(&world.key);
    assert_eq!(world.userinfo("DPoP", &token, Some(&proof)).await.status, 200);
    assert_eq!(world.userinfo("DPoP", &token, Some(&proof)).await.status, 401);
    assert_counted(&world, "provider_proofs_accepted_total", 2);
    assert_counted(&world, "provider_replays_total", 1);
    assert_counted(&world, "provider_tokens_issued_total{grant_type=\"authorization_code\"}", 1);
    let page = page(&world);
    for histogram in ["provider_store_read_seconds_count ", "provider_store_write_seconds_count "] {
        let count = page.lines().find_map(|line| line.strip_prefix(histogram)).expect(histogram);
        assert!(count.parse::<u64>().expect("a number") > 0, "{page}");
    }
}

/// No label is a secret, or a word of the caller.
#[tokio::test]
async fn ops_log_01_metrics_have_no_label_that_a_caller_chose() {
    let world = World::new().await;
    let proof = world.proof().claim("htm", "CANARY").claim("jti", "canary").sign(&world.key);
    world.client_credentials(Some(&proof)).await;
    world.post(client_credentials_form().pair("client_id", "canary"), &[]).await;
    world.post(client_credentials_form(), &[("authorization", &basic("canary", "canary"))]).await;
    assert!(!page(&world).to_lowercase().contains("canary"), "{}", page(&world));
}
