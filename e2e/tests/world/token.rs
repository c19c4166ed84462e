//! AS-TOK: the token endpoint with DPoP.

use keybound_e2e::answer::{assert_e_as, assert_uncacheable_json, part};
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::world::*;
use keybound_e2e::{Forge, Settings, World};
use keybound_oauth::form::FormWriter;

#[tokio::test]
async fn as_tok_01_a_proof_binds_the_access_token() {
    let world = World::new().await;
    let answer = world.tokens().await;
    assert_eq!(answer.text("token_type"), "DPoP");
    assert_eq!(answer.claims("access_token")["cnf"]["jkt"], jkt(&world.key));
}

#[tokio::test]
async fn as_tok_01_dpop_sig_01_whichever_key_its_client_had_before() {
    let (world, other) = (World::new().await, new_key());
    // What is known of the first key from the second time on is for that key alone, and vouches for no proof.
    for key in [&world.key, &world.key, &world.key, &other, &other, &world.key] {
        let proof = Forge::new(key, "POST", TOKEN, world.now());
        let answer = world.client_credentials(Some(&proof.sign(key))).await;
        assert_eq!(answer.claims("access_token")["cnf"]["jkt"], jkt(key));
        let stranger = if jkt(key) == jkt(&other) { &world.key } else { &other };
        assert_e_as(&world.client_credentials(Some(&proof.sign(stranger))).await);
    }
}

#[tokio::test]
async fn as_tok_02_every_grant_type_binds() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let refreshed = world.refresh(&tokens.text("refresh_token"), Some(&world.proof().sign(&world.key))).await;
    let own = world.client_credentials(Some(&world.proof().sign(&world.key))).await;
    for answer in [tokens, refreshed, own] {
        assert_eq!(answer.text("token_type"), "DPoP");
        assert_eq!(answer.claims("access_token")["cnf"]["jkt"], jkt(&world.key));
    }
}

#[tokio::test]
async fn as_tok_03_atk_079_a_bad_proof_fails_the_request_of_a_client_that_needs_none() {
    let world = World::new().await;
    let form = || {
        client_credentials_form()
            .pair("client_id", "poster")
            .pair("client_secret", SECRET)
            .pair("resource", MIXED_API)
    };
    let bad = world.proof().claim("htm", "GET").sign(&world.key);
    assert_e_as(&world.post(form(), &[("dpop", &bad)]).await);
    let without = world.post(form(), &[]).await;
    assert_eq!(without.text("token_type"), "Bearer");
}

#[tokio::test]
async fn as_tok_04_a_client_that_must_bind_gets_nothing_without_a_proof() {
    let world = World::new().await;
    let code = world.code("app").await;
    assert_e_as(&world.redeem(&code, None).await);
    assert_e_as(&world.client_credentials(None).await);
    let tokens = world.redeem(&code, Some(&world.proof().sign(&world.key))).await;
    assert_eq!(tokens.status, 200, "the code is still there: {tokens:?}");
    assert_e_as(&world.refresh(&tokens.text("refresh_token"), None).await);
}

#[tokio::test]
async fn as_tok_05_atk_080_no_access_token_comes_from_the_authorization_endpoint() {
    let world = World::new().await;
    for response_type in ["token", "code%20token", "id_token%20token"] {
        let query =
            format!("client_id=app&response_type={response_type}&redirect_uri={REDIRECT_URI}&prompt=none");
        let answer = world.send(get(&format!("{ISSUER}/authorize?{query}"), &[])).await;
        let location = answer.header("location").join("");
        assert!(location.contains("error=unsupported_response_type"), "{answer:?}");
        assert!(!location.contains("access_token"));
    }
}

#[tokio::test]
async fn as_tok_06_a_resource_without_dpop_gets_bearer_tokens_and_the_refresh_token_is_bound() {
    let world = World::new().await;
    let code = world
        .code_with("bearer-app", |code| {
            code.resources = vec![OLD_API.to_owned()];
            code.scope = vec!["read".to_owned()];
        })
        .await;
    let proof = world.proof().sign(&world.key);
    let answer = world.post(code_form(&code).pair("client_id", "bearer-app"), &[("dpop", &proof)]).await;
    assert_eq!((answer.status.as_u16(), answer.text("token_type")), (200, "Bearer".to_owned()), "{answer:?}");
    assert!(answer.claims("access_token").get("cnf").is_none());
    let refresh = answer.text("refresh_token");
    let form = || refresh_form(&refresh).pair("client_id", "bearer-app");
    assert_e_as(&world.post(form(), &[]).await);
    let thief = new_key();
    let stolen = Forge::new(&thief, "POST", TOKEN, world.now()).sign(&thief);
    assert_eq!(world.post(form(), &[("dpop", &stolen)]).await.error(), (400, "invalid_grant".to_owned()));
    let again = world.proof().sign(&world.key);
    assert_eq!(world.post(form(), &[("dpop", &again)]).await.status, 200);
}

#[tokio::test]
async fn as_tok_07_token_type_is_dpop_if_and_only_if_cnf_is_there() {
    let world = World::new().await;
    let proof = || world.proof().sign(&world.key);
    let post = |resource: &'static str, proof: Option<String>| {
        let form = client_credentials_form()
            .pair("client_id", "poster")
            .pair("client_secret", SECRET)
            .pair("resource", resource);
        let headers = with_proof(Vec::new(), proof.as_deref());
        let world = &world;
        async move { world.post(form, &borrow(&headers)).await }
    };
    let answers = [
        world.tokens().await,
        world.client_credentials(Some(&proof())).await,
        post(MIXED_API, None).await,
        post(MIXED_API, Some(proof())).await,
        post(OLD_API, None).await,
        post(OLD_API, Some(proof())).await,
        post(API, Some(proof())).await,
    ];
    for answer in answers {
        let bound = answer.claims("access_token").get("cnf").is_some();
        assert_eq!(answer.text("token_type") == "DPoP", bound, "{answer:?}");
    }
    assert_e_as(&post(API, None).await);
}

#[tokio::test]
async fn as_tok_08_answers_are_uncacheable_json() {
    let world = World::new().await;
    let good = world.tokens().await;
    assert_eq!(good.header("pragma"), ["no-cache"]);
    let refused = [
        world.client_credentials(None).await,
        world.post(FormWriter::new(), &[]).await,
        world.post(FormWriter::new().pair("client_id", "nobody"), &[]).await,
        world.send(get(TOKEN, &[])).await,
    ];
    for answer in refused.iter().chain([&good]) {
        assert_uncacheable_json(answer);
    }
}

#[tokio::test]
async fn as_tok_09_atk_081_a_proof_never_replaces_client_authentication() {
    let world = World::new().await;
    let proof = world.proof().sign(&world.key);
    let form = client_credentials_form().pair("client_id", "service");
    let answer = world.post(form, &[("dpop", &proof)]).await;
    assert_eq!(answer.error(), (401, "invalid_client".to_owned()));
    let other_key = new_key();
    let proof = Forge::new(&other_key, "POST", TOKEN, world.now()).sign(&other_key);
    let answer = world.with_assertion(world.assertion().reveal(), Some(&proof)).await;
    assert_eq!(answer.claims("access_token")["cnf"]["jkt"], jkt(&other_key), "any key will do");
}

#[tokio::test]
async fn as_tok_10_one_key_for_both_uses_is_allowed_and_told() {
    let world = World::new().await;
    let logs = crate::logs::Capture::start();
    let proof = Forge::new(&world.client_key, "POST", TOKEN, world.now()).sign(&world.client_key);
    let answer = world.with_assertion(world.assertion().reveal(), Some(&proof)).await;
    assert_eq!(answer.status, 200);
    assert!(logs.text().contains("key_used_twice"), "{}", logs.text());
}

#[tokio::test]
async fn as_tok_11_access_tokens_are_short_lived() {
    let world = World::new().await;
    let answer = world.tokens().await;
    let claims = answer.claims("access_token");
    let life = claims["exp"].as_u64().expect("exp") - claims["iat"].as_u64().expect("iat");
    assert_eq!(answer.json()["expires_in"], life);
    assert!((1..=600).contains(&life));
}

#[tokio::test]
async fn as_tok_12_only_posted_forms() {
    let world = World::new().await;
    let answer = world.send(get(TOKEN, &[])).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, vec!["POST".to_owned()]));
    let form = || client_credentials_form().pair("client_id", "poster");
    let in_query = world.send(post(&format!("{TOKEN}?client_secret=x"), form(), &[])).await;
    assert_eq!(in_query.error(), (400, "invalid_request".to_owned()));
    let json = http::Request::post(TOKEN).header("content-type", "application/json");
    let answer = world.send(json.body("{}".into()).expect("a request")).await;
    assert_eq!(answer.error(), (400, "invalid_request".to_owned()));
    let huge = form().pair("x", &"a".repeat(70_000));
    assert_eq!(world.post(huge, &[]).await.status, 413);
}

#[tokio::test]
async fn as_tok_13_a_repeated_parameter_is_an_error() {
    let world = World::new().await;
    let twice = client_credentials_form().pair("scope", "write").pair("client_id", "app");
    assert_eq!(world.post(twice, &[]).await.error(), (400, "invalid_request".to_owned()));
    let headers = [("authorization", basic("service", SECRET)), ("dpop", world.proof().sign(&world.key))];
    let odd = client_credentials_form().pair("resource", "").pair("unknown", "x");
    assert_eq!(world.post(odd, &borrow(&headers)).await.status, 200, "empty is omitted, unknown is ignored");
}

#[tokio::test]
async fn as_tok_14_there_is_no_password_grant() {
    let world = World::new().await;
    let form =
        FormWriter::new().pair("grant_type", "password").pair("username", "alice").pair("password", "x");
    let headers = [("authorization", basic("service", SECRET)), ("dpop", world.proof().sign(&world.key))];
    assert_eq!(world.post(form, &borrow(&headers)).await.error(), (400, "unsupported_grant_type".to_owned()));
}

#[tokio::test]
async fn as_rt_01_atk_076_a_public_clients_refresh_token_is_bound_to_the_key() {
    let world = World::new().await;
    let refresh = world.tokens().await.text("refresh_token");
    let thief = new_key();
    let proof = Forge::new(&thief, "POST", TOKEN, world.now()).sign(&thief);
    assert_eq!(world.refresh(&refresh, Some(&proof)).await.error(), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn as_rt_02_as_rt_03_atk_076_each_refresh_needs_a_proof_and_the_binding_stays() {
    let world = World::new().await;
    let refresh = world.tokens().await.text("refresh_token");
    for _ in 0..3 {
        assert_e_as(&world.refresh(&refresh, None).await);
        let answer = world.refresh(&refresh, Some(&world.proof().sign(&world.key))).await;
        assert_eq!(answer.claims("access_token")["cnf"]["jkt"], jkt(&world.key));
        assert!(answer.json().get("refresh_token").is_none(), "bound tokens are not rotated (DEC-01)");
    }
}

#[tokio::test]
async fn as_rt_04_a_confidential_client_may_change_its_key() {
    let world = World::new().await;
    let code = world.code("service").await;
    let basic = basic("service", SECRET);
    let proof = world.proof().sign(&world.key);
    let headers = [("authorization", basic.as_str()), ("dpop", &proof)];
    let refresh = world.post(code_form(&code), &headers).await.text("refresh_token");
    let other = new_key();
    let proof = Forge::new(&other, "POST", TOKEN, world.now()).sign(&other);
    let headers = [("authorization", basic.as_str()), ("dpop", &proof)];
    let answer = world.post(refresh_form(&refresh), &headers).await;
    assert_eq!(answer.claims("access_token")["cnf"]["jkt"], jkt(&other));
}

#[tokio::test]
async fn as_rt_07_bcp_tok_04_atk_078_unbound_refresh_tokens_are_rotated_and_reuse_ends_the_family() {
    let world = World::with(Settings::default()).await;
    let code = world
        .code_with("bearer-app", |code| {
            code.resources = vec![MIXED_API.to_owned()];
            code.scope = vec!["read".to_owned()];
        })
        .await;
    let first = world.post(code_form(&code).pair("client_id", "bearer-app"), &[]).await.text("refresh_token");
    let refresh = |token: String| {
        let form = refresh_form(&token).pair("client_id", "bearer-app");
        let world = &world;
        async move { world.post(form, &[]).await }
    };
    let second = refresh(first.clone()).await.text("refresh_token");
    assert_eq!(refresh(first.clone()).await.status, 200, "the grace period of DEC-26");
    world.clock.pass(61);
    assert_eq!(refresh(first).await.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(refresh(second).await.error(), (400, "invalid_grant".to_owned()), "the family is revoked");
}

#[tokio::test]
async fn as_rt_09_bcp_tok_04_a_refresh_asks_for_the_same_or_less() {
    let world = World::new().await;
    let refresh = world.tokens().await.text("refresh_token");
    let ask = |scope: &'static str| {
        let form = refresh_form(&refresh).pair("client_id", "app").pair("scope", scope);
        let proof = world.proof().sign(&world.key);
        let world = &world;
        async move { world.post(form, &[("dpop", &proof)]).await }
    };
    assert_eq!(ask("read write").await.error(), (400, "invalid_scope".to_owned()));
    assert_eq!(ask("read").await.text("scope"), "read");
}

#[tokio::test]
async fn as_rt_12_id_tokens_on_refresh_keep_the_sign_in_and_carry_no_nonce() {
    let world = World::new().await;
    let first = world.tokens().await;
    world.clock.pass(100);
    let refreshed = world.refresh(&first.text("refresh_token"), Some(&world.proof().sign(&world.key))).await;
    let (old, new) = (first.claims("id_token"), refreshed.claims("id_token"));
    for claim in ["iss", "sub", "aud", "auth_time"] {
        assert_eq!(old[claim], new[claim], "{claim}");
    }
    assert_eq!((old["nonce"].as_str(), new.get("nonce")), (Some("oidc nonce"), None));
    assert_eq!(part(&refreshed.text("id_token"), 0)["typ"], "JWT");
}
