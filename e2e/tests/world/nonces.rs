//! AS-NON: nonces at the authorization server.

use keybound_dpop::nonce::is_nqchar;
use keybound_e2e::answer::{assert_n_as, assert_uncacheable_json};
use keybound_e2e::world::*;
use keybound_e2e::{Forge, Settings, World};

async fn nonce(world: &World) -> String {
    assert_n_as(&world.client_credentials(Some(&world.proof().sign(&world.key))).await)
}

async fn with_nonce(world: &World, nonce: &str) -> keybound_e2e::Answer {
    world.client_credentials(Some(&world.proof().nonce(nonce).sign(&world.key))).await
}

#[tokio::test]
async fn as_non_01_three_modes() {
    let required = World::with(Settings::with_nonces()).await;
    nonce(&required).await;
    let off = World::new().await;
    assert_eq!(off.client_credentials(Some(&off.proof().sign(&off.key))).await.status, 200);
    let settings = Settings { config: "[nonce]\nmode = \"public_clients\"".to_owned() };
    let public = World::with(settings).await;
    assert_eq!(public.client_credentials(Some(&public.proof().sign(&public.key))).await.status, 200);
    let code = public.code("app").await;
    assert_n_as(&public.redeem(&code, Some(&public.proof().sign(&public.key))).await);
}

#[tokio::test]
async fn as_non_02_nonces_come_from_a_secret_of_each_issuer() {
    let (one, two) = (World::with(Settings::with_nonces()).await, World::with(Settings::with_nonces()).await);
    let (of_one, of_two) = (nonce(&one).await, nonce(&two).await);
    assert_ne!(of_one, of_two);
    assert_n_as(&with_nonce(&two, &of_one).await);
}

#[tokio::test]
async fn as_non_03_nonces_are_short_nqchar() {
    let nonce = nonce(&World::with(Settings::with_nonces()).await).await;
    assert!(is_nqchar(&nonce) && nonce.len() <= 64);
}

#[tokio::test]
async fn as_non_05_a_challenge_spends_nothing() {
    let world = World::with(Settings::with_nonces()).await;
    let code = world.code("app").await;
    let nonce = assert_n_as(&world.redeem(&code, Some(&world.proof().sign(&world.key))).await);
    let tokens = world.redeem(&code, Some(&world.proof().nonce(&nonce).sign(&world.key))).await;
    assert_eq!(tokens.status, 200, "{tokens:?}");
    let refresh = tokens.text("refresh_token");
    assert_n_as(&world.refresh(&refresh, Some(&world.proof().sign(&world.key))).await);
    let refreshed = world.refresh(&refresh, Some(&world.proof().nonce(&nonce).sign(&world.key))).await;
    assert_eq!(refreshed.status, 200);
}

#[tokio::test]
async fn as_non_06_a_challenge_does_not_burn_the_assertion() {
    let world = World::with(Settings::with_nonces()).await;
    let assertion = world.assertion();
    let first = world.with_assertion(assertion.reveal(), Some(&world.proof().sign(&world.key))).await;
    let nonce = assert_n_as(&first);
    let proof = || world.proof().nonce(&nonce).sign(&world.key);
    assert_eq!(world.with_assertion(assertion.reveal(), Some(&proof())).await.status, 200);
    let again = world.with_assertion(assertion.reveal(), Some(&proof())).await;
    assert_eq!(again.error(), (401, "invalid_client".to_owned()), "once used it is used");
}

#[tokio::test]
async fn as_non_07_old_nonces_are_good_for_two_steps_more() {
    let world = World::with(Settings::with_nonces()).await;
    let nonce = nonce(&world).await;
    world.clock.pass(120);
    assert_eq!(with_nonce(&world, &nonce).await.status, 200);
    world.clock.pass(60);
    let fresh = assert_n_as(&with_nonce(&world, &nonce).await);
    assert_ne!(fresh, nonce);
}

#[tokio::test]
async fn as_non_08_a_2xx_brings_a_new_nonce_when_the_one_sent_is_old() {
    let world = World::with(Settings::with_nonces()).await;
    let nonce = nonce(&world).await;
    assert!(with_nonce(&world, &nonce).await.header("dpop-nonce").is_empty());
    world.clock.pass(60);
    let answer = with_nonce(&world, &nonce).await;
    assert_eq!(answer.status, 200);
    let next = answer.nonce();
    assert!(with_nonce(&world, &next).await.header("dpop-nonce").is_empty());
}

#[tokio::test]
async fn as_non_09_answers_with_a_nonce_are_uncacheable() {
    let world = World::with(Settings::with_nonces()).await;
    let nonce = nonce(&world).await;
    world.clock.pass(60);
    assert_uncacheable_json(&with_nonce(&world, &nonce).await);
}

#[tokio::test]
async fn as_non_10_one_nonce_serves_many_proofs() {
    let world = World::with(Settings::with_nonces()).await;
    let nonce = nonce(&world).await;
    for _ in 0..3 {
        assert_eq!(with_nonce(&world, &nonce).await.status, 200);
    }
}

#[tokio::test]
async fn as_non_11_all_endpoints_of_the_provider_share_their_nonces() {
    let world = World::with(Settings::with_nonces()).await;
    let nonce = nonce(&world).await;
    let code = world.code("app").await;
    let tokens = world.redeem(&code, Some(&world.proof().nonce(&nonce).sign(&world.key))).await;
    let token = tokens.text("access_token");
    let proof = world.userinfo_proof(&token).nonce(&nonce).sign(&world.key);
    assert_eq!(world.userinfo("DPoP", &token, Some(&proof)).await.status, 200);
}

#[tokio::test]
async fn as_non_12_pages_of_other_origins_can_read_the_nonce() {
    let world = World::with(Settings::with_nonces()).await;
    let headers = [
        ("authorization", basic("service", SECRET)),
        ("dpop", world.proof().sign(&world.key)),
        ("origin", "https://app.example".to_owned()),
    ];
    let answer = world.post(client_credentials_form(), &borrow(&headers)).await;
    assert_n_as(&answer);
    assert!(answer.header("access-control-expose-headers")[0].contains("DPoP-Nonce"), "{answer:?}");
}

#[tokio::test]
async fn as_non_13_every_endpoint_that_takes_proofs_has_the_same_nonces() {
    let world = World::with(Settings::with_nonces()).await;
    for endpoint in [PUSHED, DEVICE_AUTHORIZATION] {
        let ask = async |proof: Forge| {
            let proof = proof.claim("htu", endpoint).sign(&world.key);
            let headers = with_proof(vec![("authorization", basic("service", SECRET))], Some(&proof));
            world.send(post(endpoint, client_credentials_form(), &borrow(&headers))).await
        };
        let asked = ask(world.proof()).await;
        assert_n_as(&asked);
        let told = ask(world.proof().nonce(&asked.nonce())).await;
        assert_ne!(told.json()["error"], "use_dpop_nonce", "{endpoint}");
    }
    let metadata = world.send(get(&format!("{ISSUER}/.well-known/openid-configuration"), &[])).await.json();
    assert!(metadata.get("backchannel_authentication_endpoint").is_none(), "not offered");
    let url = format!("{ISSUER}/bc-authorize");
    assert_eq!(world.send(post(&url, client_credentials_form(), &[])).await.status, 404);
}

#[tokio::test]
async fn as_non_14_the_nonce_of_an_id_token_is_another_thing() {
    let world = World::with(Settings::with_nonces()).await;
    let code = world.code("app").await;
    let proof = world.proof().nonce("oidc-nonce").sign(&world.key);
    assert_n_as(&world.redeem(&code, Some(&proof)).await);
}

#[tokio::test]
async fn ops_non_02_a_new_day_costs_no_client_more_than_one_try() {
    let world = World::with(Settings::with_nonces()).await;
    let mut current = nonce(&world).await;
    let mut challenges = 0;
    // A day and a half, a request every 50 s: the key changes on the way.
    for _ in 0..2600 {
        world.clock.pass(50);
        let mut answer = with_nonce(&world, &current).await;
        if answer.status == 400 {
            challenges += 1;
            current = assert_n_as(&answer);
            answer = with_nonce(&world, &current).await;
        }
        assert_eq!(answer.status, 200);
        current = answer.header("dpop-nonce").pop().unwrap_or(current);
    }
    assert_eq!(challenges, 0, "the next nonce comes with the answer");
}

#[tokio::test]
async fn ops_non_05_revoked_nonces_cost_one_try() {
    let world = World::with(Settings::with_nonces()).await;
    let before = nonce(&world).await;
    keybound_provider::provider::revoke_nonces(&world.store).await.expect("revoked");
    world.provider.reload_keys().await;
    let after = assert_n_as(&with_nonce(&world, &before).await);
    assert_eq!(with_nonce(&world, &after).await.status, 200);
    let code = world.code("app").await;
    let tokens = world.redeem(&code, Some(&world.proof().nonce(&after).sign(&world.key))).await;
    let token = tokens.text("access_token");
    let proof = world.userinfo_proof(&token).nonce(&before).sign(&world.key);
    assert_eq!(world.userinfo("DPoP", &token, Some(&proof)).await.status, 401, "UserInfo too");
}

#[tokio::test]
async fn ops_rep_08_one_jti_at_two_audiences() {
    let world = World::new().await;
    let token = world.proof().claim("jti", "same").sign(&world.key);
    let answer = world.redeem(&world.code("app").await, Some(&token)).await;
    let access = answer.text("access_token");
    let proof = world.userinfo_proof(&access).claim("jti", "same").sign(&world.key);
    assert_eq!(world.userinfo("DPoP", &access, Some(&proof)).await.status, 200);
}
