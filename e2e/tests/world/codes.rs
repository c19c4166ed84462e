//! AS-COD, AS-AUT and AS-PKC at the token endpoint: what a code is good for.

use keybound_e2e::answer::assert_e_as;
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge, World};
use keybound_oauth::form::FormWriter;

#[track_caller]
fn assert_invalid_grant(answer: &Answer) {
    assert_eq!(answer.error(), (400, "invalid_grant".to_owned()), "{answer:?}");
}

/// A redemption by `app` with a good proof, of a form that the test wrote.
async fn redeem(world: &World, form: FormWriter) -> Answer {
    let proof = world.proof().sign(&world.key);
    world.post(form.pair("client_id", "app"), &[("dpop", &proof)]).await
}

#[tokio::test]
async fn as_cod_01_as_cod_02_atk_069_a_bound_code_needs_its_key() {
    let world = World::new().await;
    let code = world.code_with("app", |code| code.dpop_jkt = Some(jkt(&world.key))).await;
    let other = new_key();
    let proof = Forge::new(&other, "POST", TOKEN, world.now()).sign(&other);
    assert_invalid_grant(&world.redeem(&code, Some(&proof)).await);
    assert_eq!(world.redeem(&code, Some(&world.proof().sign(&world.key))).await.status, 200);
}

#[tokio::test]
async fn as_cod_03_atk_070_a_bound_code_needs_a_proof_whatever_the_client() {
    let world = World::new().await;
    let code = world
        .code_with("bearer-app", |code| {
            code.dpop_jkt = Some(jkt(&world.key));
            code.scope = vec!["read".to_owned()];
            code.resources = vec![MIXED_API.to_owned()];
        })
        .await;
    assert_e_as(&world.post(code_form(&code).pair("client_id", "bearer-app"), &[]).await);
}

#[tokio::test]
async fn as_cod_06_a_refused_redemption_leaves_the_code_but_not_for_ever() {
    let world = World::new().await;
    let wrong = |code: &keybound_dpop::secret::Secret| code_form(code).pair("client_id", "bearer-app");
    let code = world.code("app").await;
    assert_invalid_grant(&world.post(wrong(&code), &[]).await);
    assert_eq!(redeem(&world, code_form(&code)).await.status, 200);
    let code = world.code("app").await;
    for _ in 0..6 {
        assert_invalid_grant(&world.post(wrong(&code), &[]).await);
    }
    assert_invalid_grant(&redeem(&world, code_form(&code)).await);
}

#[tokio::test]
async fn as_cod_08_as_pkc_07_the_verifier_counts_beside_the_key() {
    let world = World::new().await;
    let code = world.code_with("app", |code| code.dpop_jkt = Some(jkt(&world.key))).await;
    let form = FormWriter::new()
        .pair("grant_type", "authorization_code")
        .pair("code", code.reveal())
        .pair("redirect_uri", REDIRECT_URI)
        .pair("code_verifier", "another-verifier-another-verifier-another-verifier");
    assert_invalid_grant(&redeem(&world, form).await);
}

#[tokio::test]
async fn as_pkc_04_atk_069_atk_088_the_verifier_must_fit() {
    let world = World::new().await;
    let form = |code: &keybound_dpop::secret::Secret| {
        FormWriter::new()
            .pair("grant_type", "authorization_code")
            .pair("code", code.reveal())
            .pair("redirect_uri", REDIRECT_URI)
    };
    let code = world.code("app").await;
    assert_invalid_grant(&redeem(&world, form(&code)).await);
    for bad in ["short", "x".repeat(129).as_str(), "not unreserved ! not unreserved ! not unreserved"] {
        assert_invalid_grant(&redeem(&world, form(&code).pair("code_verifier", bad)).await);
    }
    assert_eq!(redeem(&world, form(&code).pair("code_verifier", VERIFIER)).await.status, 200);
}

#[tokio::test]
async fn as_pkc_05_bcp_inj_02_atk_088_a_verifier_without_a_challenge_is_a_downgrade() {
    let world = World::new().await;
    let code = world.code_with("app", |code| code.code_challenge = None).await;
    assert_invalid_grant(&redeem(&world, code_form(&code)).await);
}

#[tokio::test]
async fn as_aut_07_atk_075_codes_are_bound_to_their_client_and_end_after_a_minute() {
    let world = World::new().await;
    let code = world.code("app").await;
    assert_invalid_grant(&world.post(code_form(&code).pair("client_id", "bearer-app"), &[]).await);
    world.clock.pass(59);
    assert_eq!(redeem(&world, code_form(&code)).await.status, 200);
    let late = world.code("app").await;
    world.clock.pass(61);
    assert_invalid_grant(&redeem(&world, code_form(&late)).await);
}

#[tokio::test]
async fn as_aut_08_atk_073_a_code_that_comes_twice_ends_all_that_came_of_it() {
    let world = World::new().await;
    let code = world.code("app").await;
    let tokens = redeem(&world, code_form(&code)).await;
    let (token, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    assert_invalid_grant(&redeem(&world, code_form(&code)).await);
    assert_invalid_grant(&world.refresh(&refresh, Some(&world.proof().sign(&world.key))).await);
    let answer = world.userinfo("DPoP", &token, Some(&world.userinfo_proof(&token).sign(&world.key))).await;
    assert_eq!(answer.status, 401, "the access token too");
}

#[tokio::test]
async fn as_aut_09_atk_073_reuse_with_the_right_key_is_still_reuse() {
    let world = World::new().await;
    let code = world.code_with("app", |code| code.dpop_jkt = Some(jkt(&world.key))).await;
    assert_eq!(redeem(&world, code_form(&code)).await.status, 200);
    world.clock.pass(30);
    assert_invalid_grant(&redeem(&world, code_form(&code)).await);
}

#[tokio::test]
async fn as_aut_10_the_redirect_uri_must_be_the_same() {
    let world = World::new().await;
    let code = world.code("app").await;
    let form = |uri: Option<&str>| {
        FormWriter::new()
            .pair("grant_type", "authorization_code")
            .pair("code", code.reveal())
            .pair("code_verifier", VERIFIER)
            .optional("redirect_uri", uri)
    };
    assert_invalid_grant(&redeem(&world, form(Some("https://app.example/other"))).await);
    assert_eq!(redeem(&world, form(None)).await.status, 200, "PKCE ties the requests together");
}

#[tokio::test]
async fn as_res_02_a_token_request_names_only_what_was_granted() {
    let world = World::new().await;
    let code = world.code("app").await;
    let answer = redeem(&world, code_form(&code).pair("resource", MIXED_API)).await;
    assert_eq!(answer.error(), (400, "invalid_target".to_owned()));
    assert_eq!(redeem(&world, code_form(&code).pair("resource", API)).await.status, 200);
}

#[tokio::test]
async fn ops_dep_03_atk_074_of_many_redemptions_at_once_one_succeeds() {
    let world = std::sync::Arc::new(World::new().await);
    let code = world.code("app").await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (world, code) = (world.clone(), code.clone());
            tokio::spawn(async move { redeem(&world, code_form(&code)).await.status.as_u16() })
        })
        .collect();
    let mut good = 0;
    for task in tasks {
        good += usize::from(task.await.expect("an answer") == 200);
    }
    assert_eq!(good, 1);
}
