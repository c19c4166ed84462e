//! AS-REV: the end of a token before its time.

use keybound_e2e::forge::new_key;
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge, World};
use keybound_oauth::form::FormWriter;
use serde_json::json;

async fn is_active(world: &World, caller: &str, token: &str) -> bool {
    world.introspect(caller, token).await.json()["active"] == true
}

async fn revoke_as(world: &World, client_id: &str, token: &str) -> Answer {
    let headers = [("authorization", basic(client_id, SECRET))];
    world.send(post(REVOKE, FormWriter::new().pair("token", token), &borrow(&headers))).await
}

/// A token for `service` itself, at that resource.
async fn own(world: &World, resource: &str) -> String {
    let form = client_credentials_form().pair("resource", resource);
    let headers = [("authorization", basic("service", SECRET)), ("dpop", world.proof().sign(&world.key))];
    world.post(form, &borrow(&headers)).await.text("access_token")
}

#[tokio::test]
async fn as_rev_01_nobody_ends_the_token_of_another_client() {
    let world = World::new().await;
    let (jwt, opaque) = (own(&world, API).await, own(&world, OPAQUE_API).await);
    for (caller, token) in [("api", &jwt), ("opaque-api", &opaque)] {
        for by_another in [world.revoke(token).await, revoke_as(&world, "api", token).await] {
            assert_eq!(by_another.error(), (400, "unauthorized_client".to_owned()));
        }
        assert!(is_active(&world, caller, token).await);
    }
    let tokens = world.tokens().await;
    let refresh = tokens.text("refresh_token");
    assert_eq!(revoke_as(&world, "service", &refresh).await.error(), (400, "unauthorized_client".to_owned()));
    assert!(is_active(&world, "api", &tokens.text("access_token")).await);

    let form = || FormWriter::new().pair("token", &jwt);
    let guessed = [("authorization", basic("service", "guessed"))];
    for unknown in [
        world.send(post(REVOKE, form(), &[])).await,
        world.send(post(REVOKE, form().pair("client_id", "nobody"), &[])).await,
        world.send(post(REVOKE, form().pair("client_id", "service"), &[])).await,
        world.send(post(REVOKE, form(), &borrow(&guessed))).await,
    ] {
        assert_eq!(unknown.error(), (401, "invalid_client".to_owned()), "{unknown:?}");
    }
    assert!(is_active(&world, "api", &jwt).await);
}

#[tokio::test]
async fn as_rev_02_unknown_and_ended_tokens_are_no_error() {
    let world = World::new().await;
    let token = own(&world, API).await;
    for nothing in ["x", "a.b.c", "", &world.tokens().await.text("id_token")] {
        let answer = revoke_as(&world, "service", nothing).await;
        let expected = if nothing.is_empty() { 400 } else { 200 };
        assert_eq!(answer.status.as_u16(), expected, "{nothing} {answer:?}");
    }
    for _ in 0..2 {
        let answer = revoke_as(&world, "service", &token).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    }
    assert_eq!(world.revoke(&token).await.status, 200, "ended: nothing is told to others");
    let refresh = world.tokens().await.text("refresh_token");
    for _ in 0..2 {
        assert_eq!(world.revoke(&refresh).await.status, 200);
    }
}

#[tokio::test]
async fn as_rev_03_a_refresh_token_takes_its_access_tokens_along() {
    let world = World::new().await;
    let (jwt, opaque, other) =
        (world.tokens().await, world.opaque_tokens().await, world.tokens().await.text("access_token"));
    for (caller, tokens) in [("api", jwt), ("opaque-api", opaque)] {
        let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
        let proof = || Some(world.userinfo_proof(&access).sign(&world.key));
        assert!(is_active(&world, caller, &access).await);
        assert_eq!(world.userinfo("DPoP", &access, proof().as_deref()).await.status, 200);
        assert_eq!(world.revoke(&refresh).await.status, 200);
        assert!(!is_active(&world, caller, &access).await);
        assert_eq!(world.userinfo("DPoP", &access, proof().as_deref()).await.status, 401);
        let again = world.refresh(&refresh, Some(&world.proof().sign(&world.key))).await;
        assert_eq!(again.error(), (400, "invalid_grant".to_owned()));
    }
    assert!(is_active(&world, "api", &other).await, "another grant of the same user");
}

#[tokio::test]
async fn an_access_token_ends_alone() {
    let world = World::new().await;
    for (caller, tokens) in [("api", world.tokens().await), ("opaque-api", world.opaque_tokens().await)] {
        let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
        let proof = || world.proof().sign(&world.key);
        let second = world.refresh(&refresh, Some(&proof())).await.text("access_token");
        assert_eq!(world.revoke(&access).await.status, 200);
        assert!(!is_active(&world, caller, &access).await);
        let shown = world.userinfo_proof(&access).sign(&world.key);
        assert_eq!(world.userinfo("DPoP", &access, Some(&shown)).await.status, 401);
        assert!(is_active(&world, caller, &second).await);
        assert_eq!(world.refresh(&refresh, Some(&proof())).await.status, 200);
    }
}

#[tokio::test]
async fn as_rev_04_neither_proof_nor_hint_stand_in_the_way() {
    let world = World::new().await;
    for hint in [None, Some("access_token"), Some("refresh_token"), Some("odd")] {
        let tokens = world.tokens().await;
        let opaque = world.opaque_tokens().await;
        for (caller, access, revoked) in [
            ("api", tokens.text("access_token"), tokens.text("refresh_token")),
            ("opaque-api", opaque.text("access_token"), opaque.text("access_token")),
        ] {
            let form = FormWriter::new().pair("token", &revoked).optional("token_type_hint", hint);
            let answer = world.send(post(REVOKE, form.pair("client_id", "app"), &[])).await;
            assert_eq!(answer.status, 200, "{hint:?} {answer:?}");
            assert!(!is_active(&world, caller, &access).await, "{hint:?}");
        }
    }
}

#[tokio::test]
async fn as_rev_05_proofs_at_revocation_are_not_offered() {
    let world = World::new().await;
    let metadata = world.send(get(&format!("{ISSUER}/.well-known/openid-configuration"), &[])).await.json();
    let about_it = |name: &&String| name.contains("revocation") && name.contains("dpop");
    assert_eq!(metadata.as_object().expect("an object").keys().find(about_it), None);
    let tokens = world.tokens().await;
    let thief = new_key();
    let by_another_key = Forge::new(&thief, "POST", REVOKE, world.now()).sign(&thief);
    let form = FormWriter::new().pair("token", &tokens.text("refresh_token")).pair("client_id", "app");
    assert_eq!(world.send(post(REVOKE, form, &[("dpop", &by_another_key)])).await.status, 200);
    assert!(!is_active(&world, "api", &tokens.text("access_token")).await, "to end a token is no use of it");
}

#[tokio::test]
async fn as_rev_06_pages_of_any_origin_may_revoke() {
    let world = World::new().await;
    let token = world.tokens().await.text("refresh_token");
    let preflight = http::Request::options(REVOKE)
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
        .body(axum::body::Body::empty())
        .expect("a request");
    let allowed = world.send(preflight).await;
    assert_eq!(
        (allowed.status.as_u16(), allowed.header("access-control-allow-origin")),
        (204, vec!["*".to_owned()])
    );
    let form = FormWriter::new().pair("token", &token).pair("client_id", "app");
    let answer = world.send(post(REVOKE, form, &[("origin", "https://app.example")])).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin")),
        (200, vec!["*".to_owned()])
    );
}

#[tokio::test]
async fn ops_log_02_a_revocation_is_an_event() {
    let log = crate::logs::Capture::start();
    let world = World::new().await;
    let token = world.tokens().await.text("refresh_token");
    world.revoke(&token).await;
    let text = log.text();
    let line = text.lines().find(|line| line.contains("revoked")).expect("an event");
    assert!(line.contains("audit") && line.contains("app") && !text.contains(&token), "{line}");
    assert_eq!(world.introspect("api", &token).await.json(), json!({ "active": false }));
}
