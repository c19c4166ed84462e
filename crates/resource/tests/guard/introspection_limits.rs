//! What keeps an issuer that is asked about tokens from being asked, believed or waited for too long or too little.

use crate::asked::{Issuing, OPAQUE, introspector};
use crate::world::{API, TestClock, URL, World, dpop, key_set};
use keybound_dpop::target::Target;
use keybound_dpop::token_hash::TokenHash;
use keybound_resource::{ConfigError, Guard, GuardConfig, Introspection, Keys, TokenProfile, TrustedIssuer};
use serde_json::{Value, json};
use std::sync::Arc;

fn without(mut answer: Value, names: &[&str]) -> Value {
    for name in names {
        answer.as_object_mut().expect("an object").remove(*name);
    }
    answer
}

#[tokio::test]
async fn rs_gw_09_what_one_token_brings_about_keeps_nobody_else_out() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|_| {});
    let large = json!({ "active": true, "x": "x".repeat(70_000) }).to_string();
    for (n, (status, body)) in
        [(400, "{}"), (413, ""), (414, ""), (422, ""), (431, ""), (200, "<html>"), (200, &large)]
            .iter()
            .enumerate()
    {
        issuer.answers(*status, "application/json", body);
        assert_eq!(world.row(&format!("odd-{n}")).await, (503, "RS-GW-09"), "{status}");
        issuer.says(&world.active());
        assert!(world.show(&format!("good-{n}")).await.is_ok(), "{status}: the issuer is asked about others");
    }
    for status in [401, 403, 404, 429, 500, 503] {
        world.clock.turn(1);
        let before = issuer.asked().len();
        issuer.answers(status, "application/json", "{}");
        assert_eq!(world.row(OPAQUE).await, (503, "RS-GW-09"), "{status}");
        assert_eq!(world.row("another").await, (503, "RS-GW-09"), "{status}");
        assert_eq!(issuer.asked().len(), before + 1, "{status}");
    }
}

#[tokio::test]
async fn rs_chk_01_nobody_is_asked_about_a_token_that_is_too_long() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|_| {});
    issuer.says(&world.active());
    assert!(world.show(&"x".repeat(16 * 1024)).await.is_ok());
    assert_eq!(world.row(&"x".repeat(16 * 1024 + 1)).await, (401, "RS-CHK-01"));
    assert_eq!(issuer.asked().len(), 1);
}

#[tokio::test]
async fn rs_gw_09_an_issuer_that_was_away_is_tried_by_one_and_the_others_do_not_wait() {
    let issuer = Issuing::start().await;
    let world = Arc::new(issuer.world(|_| {}));
    issuer.answers(500, "text/plain", "oops");
    assert_eq!(world.row("1").await, (503, "RS-GW-09"));
    world.clock.turn(1);
    issuer.says(&world.active());
    issuer.holds_back();
    let tries = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.show("2").await.is_ok() }
    });
    issuer.was_asked(2).await;
    assert_eq!(world.row("3").await, (503, "RS-GW-09"), "at once");
    issuer.lets_go();
    assert!(tries.await.expect("ran") && world.show("3").await.is_ok());
}

#[tokio::test]
async fn rs_int_03_a_token_without_exp_has_not_expired_while_its_answer_is_believed() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|_| {});
    world.clock.turn_millis(900);
    issuer.says(&without(world.active(), &["exp"]));
    assert!(world.show(OPAQUE).await.is_ok());
    for (millis, asked) in [(29_000, 1), (999, 1), (1, 2)] {
        world.clock.turn_millis(millis);
        assert!(world.show(OPAQUE).await.is_ok());
        assert_eq!(issuer.asked().len(), asked);
    }
}

#[tokio::test]
async fn rs_int_02_rs_chk_04_an_answer_is_as_old_as_its_question() {
    let issuer = Issuing::start().await;
    let world = Arc::new(issuer.world(|_| {}));
    issuer.says(&without(world.active(), &["exp"]));
    issuer.holds_back();
    let waiting = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.show(OPAQUE).await.is_ok() }
    });
    issuer.was_asked(1).await;
    world.clock.turn(10);
    issuer.lets_go();
    assert!(waiting.await.expect("ran"));
    issuer.says(&json!({ "active": false }));
    world.clock.turn(19);
    assert!(world.show(OPAQUE).await.is_ok());
    world.clock.turn(1);
    assert_eq!(world.row(OPAQUE).await, (401, "RS-INT-01"), "30 s after it was asked");
}

#[tokio::test]
async fn rs_chk_04_what_is_forgotten_while_it_is_asked_about_is_asked_about_anew() {
    let issuer = Issuing::start().await;
    let world = Arc::new(issuer.world(|_| {}));
    issuer.says(&world.active());
    issuer.holds_back();
    let waiting = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.show(OPAQUE).await.is_ok() }
    });
    issuer.was_asked(1).await;
    world.guard.forget(&TokenHash::of(OPAQUE));
    issuer.lets_go();
    assert!(waiting.await.expect("ran"), "who came before");
    issuer.says(&json!({ "active": false }));
    assert_eq!(world.row(OPAQUE).await, (401, "RS-INT-01"));
    assert_eq!(issuer.asked().len(), 2);
}

#[tokio::test]
async fn rs_chk_07_tokens_of_another_kind_are_refused_by_the_name_that_the_issuer_gives_them() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|_| {});
    for (n, (name, value, is_taken)) in [
        ("token_use", "refresh_token", false),
        ("token_use", "id", false),
        ("typ", "Refresh", false),
        ("typ", "Offline", false),
        ("typ", "ID", false),
        ("token_use", "access_token", true),
        ("typ", "DPoP", true),
    ]
    .into_iter()
    .enumerate()
    {
        let mut answer = world.active();
        answer[name] = json!(value);
        issuer.says(&answer);
        let shown = world.show(&format!("t-{n}")).await.map_err(|refused| refused.reason().row());
        assert_eq!(shown.err(), (!is_taken).then_some("RS-CHK-07"), "{name} {value}");
    }
}

#[tokio::test]
async fn rs_chk_05_a_route_with_an_audience_of_its_own_wants_to_be_told_it() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|config| config.issuer_minds_audience = true);
    let mut demand = world.guard.demand().clone();
    demand.audience = Some(vec!["https://admin.example/".to_owned()]);
    let target = Target::parse(URL).expect("a target");
    for (aud, at_guard, at_route) in [
        (None, None, Some("RS-CHK-01")),
        (Some(API), None, Some("RS-CHK-01")),
        (Some("https://admin.example/"), Some("RS-CHK-01"), None),
    ] {
        let mut answer = without(world.active(), &["aud"]);
        if let Some(aud) = aud {
            answer["aud"] = json!(aud);
        }
        issuer.says(&answer);
        let token = format!("for-{}", aud.unwrap_or("nobody").len());
        let shown = world.show(&token).await;
        assert_eq!(shown.err().map(|refused| refused.reason().row()), at_guard, "{aud:?}");
        let request = dpop(&token, &world.proof(&token)).into_parts().0;
        let shown = world.guard.check_for(&request, &target, &demand).await;
        assert_eq!(shown.err().map(|refused| refused.reason().row()), at_route, "{aud:?}");
    }
}

#[tokio::test]
async fn ops_dep_05_an_issuer_does_not_vouch_for_the_tokens_of_another() {
    let asked = Issuing::start().await;
    for of in [Introspection::Opaque, Introspection::Every] {
        let keys = Keys::fixed(key_set(&World::new().issuer_key));
        let issuer = TrustedIssuer::new("https://b.example", keys, TokenProfile::Rfc9068);
        let clock = Arc::new(TestClock::default());
        let mut config = GuardConfig::new(issuer, API, clock).expect("a configuration");
        config.issuers[0].introspection = of(introspector(asked.config(), &config));
        assert!(matches!(Guard::new(config), Err(ConfigError::AnotherAsked)));
    }
}
