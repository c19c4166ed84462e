//! OPS-LOG: what goes to the log, and what never does.

use keybound_e2e::World;
pub use keybound_e2e::lines::{Lines, hear};
use keybound_e2e::world::*;
use tracing::subscriber::DefaultGuard;

/// Everything that is logged on this thread while it lives.
pub struct Capture {
    lines: Lines,
    _guard: DefaultGuard,
}

impl Capture {
    pub fn start() -> Self {
        hear();
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(lines.clone())
            .finish();
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub fn text(&self) -> String {
        self.lines.text()
    }
}

#[tokio::test]
async fn ops_log_01_no_secret_reaches_the_log() {
    let world = World::with(keybound_e2e::Settings::with_nonces()).await;
    let logs = Capture::start();
    let code = world.code("app").await;
    let without = world.proof().sign(&world.key);
    let nonce = world.redeem(&code, Some(&without)).await.nonce();
    let proof = world.proof().nonce(&nonce).sign(&world.key);
    let tokens = world.redeem(&code, Some(&proof)).await;
    let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let id_token = tokens.text("id_token");
    world.redeem(&code, Some(&world.proof().nonce(&nonce).sign(&world.key))).await;
    world.refresh(&refresh, Some(&world.proof().nonce(&nonce).claim("htm", "GET").sign(&world.key))).await;
    world.userinfo("Bearer", &access, Some(&proof)).await;
    world
        .post(client_credentials_form(), &[("authorization", &basic("service", "canary-wrong-secret"))])
        .await;
    let assertion = world.assertion();
    world.with_assertion(assertion.reveal(), Some("junk")).await;
    let private = world.key.to_private_jwk().expect("a JWK");
    let leaked: serde_json::Value = serde_json::from_str(&private).expect("JSON");
    let shown = world.proof().head("jwk", leaked.clone()).sign(&world.key);
    world.client_credentials(Some(&shown)).await;
    let text = logs.text();
    assert!(text.contains("DPOP-JWK-02") && text.contains("AS-AUT-08"), "the events are there: {text}");
    let basic_value = basic("service", SECRET);
    let secrets = [
        code.reveal(),
        code.reveal().split('.').nth(1).expect("a secret"),
        &access,
        &refresh,
        &id_token,
        &proof,
        &without,
        &nonce,
        "canary-wrong-secret",
        SECRET,
        VERIFIER,
        assertion.reveal(),
        &basic_value,
        leaked["d"].as_str().expect("d"),
    ];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn ops_log_04_atk_144_what_callers_write_cannot_write_lines_of_its_own() {
    let world = World::new().await;
    let logs = Capture::start();
    let evil = "https://evil.example/\u{1b}[31m\r\nforged line";
    world.client_credentials(Some(&world.proof().claim("htu", evil).sign(&world.key))).await;
    world.client_credentials(Some(&world.proof().claim("htm", "GET\r\nforged line").sign(&world.key))).await;
    let text = logs.text();
    assert!(text.contains("evil.example"), "the evidence is there: {text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\r'));
    assert!(!text.lines().any(|line| line.starts_with("forged")), "{text}");
}
