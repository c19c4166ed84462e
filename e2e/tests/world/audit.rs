//! OPS-LOG-02, OPS-LOG-03: what happened, as events of one schema.

use crate::logs::Lines;
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::world::*;
use keybound_e2e::{Forge, Settings, World};
use keybound_provider::audit::{Event, FIELDS};
use keybound_provider::signing_keys::command::{Pace, rotate};
use serde_json::Value;
use tracing::subscriber::DefaultGuard;

/// The audit events of this thread.
struct Events {
    lines: Lines,
    _guard: DefaultGuard,
}

impl Events {
    fn start() -> Self {
        crate::logs::hear();
        let lines = Lines::default();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(lines.clone()).finish();
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Those since the last time.
    fn take(&self) -> Vec<Value> {
        let text = self.lines.take();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        events.filter(|event| event["target"] == "audit").collect()
    }

    /// The one event since the last time; it is of that name.
    #[track_caller]
    fn one(&self, name: &str) -> Value {
        let mut events = self.take();
        assert_eq!(events.len(), 1, "{events:?}");
        let event = events.remove(0);
        assert_eq!(event["event"], name, "{event}");
        let known = |member: &String| {
            ["timestamp", "level", "target", "event"].contains(&member.as_str())
                || FIELDS.contains(&member.as_str())
        };
        assert!(event.as_object().expect("an object").keys().all(known), "{event}");
        assert!(Event::ALL.iter().any(|known| known.name() == name));
        event
    }
}

#[tokio::test]
async fn ops_log_02_ops_log_03_tokens_are_events_that_name_nobody() {
    let world = World::new().await;
    let events = Events::start();
    let tokens = world.tokens().await;
    let issued = events.one("tokens_issued");
    assert_eq!(issued["grant_type"], "authorization_code");
    assert_eq!((&issued["client_id"], &issued["scope"]), (&"app".into(), &"openid email read".into()));
    assert_eq!(issued["jkt"], jkt(&world.key), "a key is nobody's name");
    let claims = tokens.claims("access_token");
    let jti = claims["jti"].as_str().expect("a jti");
    assert_eq!(issued["token"], keybound_provider::audit::digest(jti), "as a resource can compute it");
    let text = issued.to_string();
    for name in [jti, jti.split('.').next().expect("an id"), "subject-of-alice"] {
        assert!(!text.contains(name), "{name} in {text}");
    }
    assert_eq!(issued["subject"].as_str().map(str::len), Some(12));

    world.refresh(&tokens.text("refresh_token"), Some(&world.proof().sign(&world.key))).await;
    let refreshed = events.one("tokens_refreshed");
    assert_eq!((&refreshed["grant"], &refreshed["subject"]), (&issued["grant"], &issued["subject"]));
    assert_ne!(refreshed["token"], issued["token"]);
    world.client_credentials(Some(&world.proof().sign(&world.key))).await;
    assert_eq!(events.one("tokens_issued")["subject"], Value::Null, "nobody stands behind it");
}

#[tokio::test]
async fn ops_log_02_refusals_say_which_row_and_who() {
    let world = World::with(Settings::with_nonces()).await;
    let events = Events::start();
    let code = world.code("app").await;
    let nonce = world.redeem(&code, Some(&world.proof().sign(&world.key))).await.nonce();
    assert_eq!(events.one("nonce_challenge")["client_id"], "app");
    let proof = || world.proof().nonce(&nonce);

    world.redeem(&code, Some(&proof().claim("htu", "https://evil.example/").sign(&world.key))).await;
    let refused = events.one("proof_refused");
    assert_eq!((&refused["row"], &refused["error"]), (&"DPOP-HTU-01".into(), &"invalid_dpop_proof".into()));
    assert!(refused["why"].as_str().expect("what came").contains("evil.example"), "{refused}");
    assert!(!refused["expected"].as_str().expect("a text").contains("evil.example"), "{refused}");

    world.redeem(&code, None).await;
    let downgrade = events.one("downgrade");
    assert_eq!((&downgrade["row"], &downgrade["client_id"]), (&"AS-TOK-04".into(), &"app".into()));

    let used = proof().sign(&world.key);
    let tokens = world.redeem(&code, Some(&used)).await;
    events.one("tokens_issued");
    world.refresh(&tokens.text("refresh_token"), Some(&used)).await;
    assert_eq!(events.one("replayed")["row"], "DPOP-JTI-04");

    let other = new_key();
    let by_other = Forge::new(&other, "POST", TOKEN, world.now()).nonce(&nonce).sign(&other);
    world.refresh(&tokens.text("refresh_token"), Some(&by_other)).await;
    let mismatch = events.one("key_mismatch");
    assert_eq!((&mismatch["row"], &mismatch["client_id"]), (&"AS-RT-01".into(), &"app".into()));

    world.redeem(&code, Some(&proof().sign(&world.key))).await;
    assert_eq!(events.one("code_reused")["row"], "AS-AUT-08");

    world.post(client_credentials_form(), &[("authorization", &basic("service", "wrong"))]).await;
    assert_eq!(events.one("client_refused")["row"], "AS-CA-09");
    let assertion = world.assertion();
    let nonce_for = |proof: Forge| proof.nonce(&nonce).sign(&world.key);
    assert_eq!(world.with_assertion(assertion.reveal(), Some(&nonce_for(world.proof()))).await.status, 200);
    events.one("tokens_issued");
    world.with_assertion(assertion.reveal(), Some(&nonce_for(world.proof()))).await;
    let replayed = events.one("replayed");
    assert_eq!((&replayed["row"], &replayed["client_id"]), (&"AS-CA-03".into(), &"signed".into()));
    world.post(client_credentials_form().pair("client_id", "app"), &[]).await;
    events.take();
}

#[tokio::test]
async fn ops_log_02_a_refresh_token_that_comes_again_is_an_event() {
    let world = World::new().await;
    let code = world.code_with("bearer-app", |code| {
        code.scope = vec!["read".to_owned()];
        code.resources = vec![MIXED_API.to_owned()];
    });
    let tokens = world.post(code_form(&code.await).pair("client_id", "bearer-app"), &[]).await;
    let refresh =
        || world.post(refresh_form(&tokens.text("refresh_token")).pair("client_id", "bearer-app"), &[]);
    assert_eq!(refresh().await.status, 200);
    world.clock.pass(61);
    let events = Events::start();
    refresh().await;
    let reused = events.one("refresh_token_reused");
    assert_eq!((&reused["row"], &reused["client_id"]), (&"AS-RT-07".into(), &"bearer-app".into()));
}

#[tokio::test]
async fn ops_log_02_keys_that_come_and_go_are_events() {
    let world = World::new().await;
    let events = Events::start();
    let lives = world.provider.config.key_lives();
    let changes = rotate(&world.store, None, Pace::AtOnce, lives, world.now()).await.expect("rotated");
    let names: Vec<Value> = events.take().into_iter().map(|event| event["event"].clone()).collect();
    assert_eq!(names, ["key_added", "key_retired", "key_added", "key_retired"]);
    assert_eq!(changes.len(), 2);
}
