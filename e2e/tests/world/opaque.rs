//! AS-AT: access tokens that say nothing by themselves.

use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge, World};
use serde_json::json;

/// A token for `service` itself, at these resources.
async fn own(world: &World, resources: &[&str]) -> Answer {
    let form = client_credentials_form().each("resource", resources.iter().copied());
    let headers = [("authorization", basic("service", SECRET)), ("dpop", world.proof().sign(&world.key))];
    world.post(form, &borrow(&headers)).await
}

#[tokio::test]
async fn as_at_06_opaque_tokens_have_256_random_bits_and_fit_the_scheme() {
    let world = World::new().await;
    let (user, own) = (world.opaque_tokens().await, own(&world, &[OPAQUE_API]).await);
    let other = world.opaque_tokens().await.text("access_token");
    for answer in [&user, &own] {
        let token = answer.text("access_token");
        let (id, secret) = token.split_once('.').expect("id and secret");
        assert_eq!((id.len(), secret.len()), (22, 43), "256 bits of base64url after the id");
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)), "token68");
        assert_ne!(token.split_once('.').map(|(_, secret)| secret), other.split_once('.').map(|(_, s)| s));
        assert_eq!(
            (answer.text("token_type").as_str(), answer.json()["expires_in"].as_u64()),
            ("DPoP", Some(600))
        );
    }
}

#[tokio::test]
async fn as_at_01_as_at_08_an_opaque_token_stands_for_what_a_jwt_would_say() {
    let world = World::new().await;
    let opaque = world.opaque_tokens().await.text("access_token");
    let told = world.introspect("opaque-api", &opaque).await.json();
    let mut names: Vec<&String> = told.as_object().expect("an object").keys().collect();
    names.sort();
    let known = [
        "active",
        "aud",
        "auth_time",
        "client_id",
        "cnf",
        "exp",
        "iat",
        "iss",
        "jti",
        "scope",
        "sub",
        "token_type",
    ];
    assert_eq!(names, known);
    assert_eq!((&told["iss"], &told["client_id"]), (&json!(ISSUER), &json!("app")));
    assert_eq!((&told["sub"], &told["cnf"]["jkt"]), (&json!("subject-of-alice"), &json!(jkt(&world.key))));
    assert_eq!(told["aud"], json!([OPAQUE_API, ISSUER]));
}

#[tokio::test]
async fn as_at_04_resources_that_take_different_forms_need_a_token_each() {
    let world = World::new().await;
    assert_eq!(own(&world, &[API, OPAQUE_API]).await.error(), (400, "invalid_target".to_owned()));
    let code =
        world.code_with("app", |code| code.resources = vec![API.to_owned(), OPAQUE_API.to_owned()]).await;
    let refused = world.redeem(&code, Some(&world.proof().sign(&world.key))).await;
    assert_eq!(refused.error(), (400, "invalid_target".to_owned()));
    let ask = |resource: &'static str| {
        let form = code_form(&code).pair("client_id", "app").pair("resource", resource);
        let headers = [("dpop", world.proof().sign(&world.key))];
        let world = &world;
        async move { world.post(form, &borrow(&headers)).await }
    };
    let opaque = ask(OPAQUE_API).await;
    assert_eq!(opaque.status, 200, "the code was left: {opaque:?}");
    assert_eq!(opaque.text("access_token").split('.').count(), 2);
}

#[tokio::test]
async fn as_ui_01_userinfo_takes_opaque_tokens_under_the_same_rules() {
    let world = World::new().await;
    let token = world.opaque_tokens().await.text("access_token");
    let proof = || world.userinfo_proof(&token).sign(&world.key);
    let answer = world.userinfo("DPoP", &token, Some(&proof())).await;
    assert_eq!((answer.status.as_u16(), answer.json()["email"].as_str()), (200, Some("alice@example.org")));
    let thief = new_key();
    let of_thief = Forge::new(&thief, "GET", USERINFO, world.now()).token(&token).sign(&thief);
    for (scheme, proof) in [("DPoP", of_thief), ("Bearer", proof())] {
        let answer = world.userinfo(scheme, &token, Some(&proof)).await;
        let told =
            answer.challenges().iter().any(|challenge| challenge.get("error") == Some("invalid_token"));
        assert!(answer.status == 401 && told, "{answer:?}");
    }
    let own = own(&world, &[OPAQUE_API]).await.text("access_token");
    let elsewhere = world.userinfo("DPoP", &own, Some(&world.userinfo_proof(&own).sign(&world.key))).await;
    assert_eq!(elsewhere.status, 401, "another audience: {elsewhere:?}");
    world.clock.pass(601);
    assert_eq!(world.userinfo("DPoP", &token, Some(&proof())).await.status, 401);
}

#[tokio::test]
async fn as_aut_08_as_rt_07_an_opaque_token_ends_with_its_grant() {
    let world = World::new().await;
    let code = world.code_with("app", |code| code.resources = vec![OPAQUE_API.to_owned()]).await;
    let proof = || world.proof().sign(&world.key);
    let token = world.redeem(&code, Some(&proof())).await.text("access_token");
    assert_eq!(world.introspect("opaque-api", &token).await.json()["active"], true);
    assert_eq!(world.redeem(&code, Some(&proof())).await.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(world.introspect("opaque-api", &token).await.json(), json!({ "active": false }));
}

#[tokio::test]
async fn a_refresh_brings_another_opaque_token() {
    let world = World::new().await;
    let tokens = world.opaque_tokens().await;
    let proof = world.proof().sign(&world.key);
    let again = world.refresh(&tokens.text("refresh_token"), Some(&proof)).await.text("access_token");
    assert_ne!(again, tokens.text("access_token"));
    for token in [again, tokens.text("access_token")] {
        assert_eq!(world.introspect("opaque-api", &token).await.json()["active"], true);
    }
}
