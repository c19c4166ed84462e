//! AS-ERR: errors at the authorization server.

use keybound_e2e::answer::{assert_e_as, assert_n_as};
use keybound_e2e::forge::new_key;
use keybound_e2e::world::*;
use keybound_e2e::{Forge, Settings, World};

fn is_clean(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[tokio::test]
async fn as_err_01_a_failed_check_is_400_invalid_dpop_proof() {
    let world = World::new().await;
    let good = world.proof();
    let bad = [
        good.clone().claim("htm", "GET"),
        good.clone().claim("htu", USERINFO),
        good.clone().claim("iat", world.now().as_secs() - 3600),
        good.clone().without("jti"),
        good.clone().head("typ", "JWT"),
        good.clone().head("alg", "none"),
    ];
    for forge in bad {
        assert_e_as(&world.client_credentials(Some(&forge.sign(&world.key))).await);
    }
    let signed_by_another = good.sign(&new_key());
    assert_e_as(&world.client_credentials(Some(&signed_by_another)).await);
    for junk in ["junk", "a.b.c", ""] {
        assert_e_as(&world.client_credentials(Some(junk)).await);
    }
}

#[tokio::test]
async fn as_err_02_no_nonce_or_a_wrong_one_is_400_use_dpop_nonce() {
    let world = World::with(Settings::with_nonces()).await;
    let without = world.proof().sign(&world.key);
    assert_n_as(&world.client_credentials(Some(&without)).await);
    let wrong = world.proof().nonce("of-somebody-else").sign(&world.key);
    assert_n_as(&world.client_credentials(Some(&wrong)).await);
}

#[tokio::test]
async fn as_err_03_dpop_errors_are_never_401() {
    let world = World::with(Settings::with_nonces()).await;
    let proofs = [
        world.proof().sign(&world.key),
        world.proof().claim("htm", "GET").sign(&world.key),
        world.proof().nonce("x").sign(&new_key()),
        "junk".to_owned(),
    ];
    for proof in proofs {
        let answer = world.client_credentials(Some(&proof)).await;
        assert_eq!((answer.status.as_u16(), answer.header("www-authenticate").len()), (400, 0), "{answer:?}");
    }
}

#[tokio::test]
async fn as_err_04_invalid_client_is_401_and_challenges_who_used_the_header() {
    let world = World::new().await;
    let wrong = basic("service", "wrong");
    let answer = world.post(client_credentials_form(), &[("authorization", &wrong)]).await;
    assert_eq!(answer.error(), (401, "invalid_client".to_owned()));
    assert!(answer.challenges()[0].is("Basic"));
    let in_body = client_credentials_form().pair("client_id", "poster").pair("client_secret", "wrong");
    let answer = world.post(in_body, &[]).await;
    assert_eq!((answer.status.as_u16(), answer.challenges().len()), (401, 0));
}

#[tokio::test]
async fn as_err_05_client_authentication_comes_first_and_is_no_nonce_oracle() {
    let world = World::with(Settings::with_nonces()).await;
    let wrong = basic("service", "wrong");
    let bad = world.proof().claim("htm", "GET").sign(&world.key);
    for proof in [bad, world.proof().sign(&world.key)] {
        let headers = [("authorization", wrong.as_str()), ("dpop", proof.as_str())];
        let answer = world.post(client_credentials_form(), &headers).await;
        assert_eq!(answer.error(), (401, "invalid_client".to_owned()));
        assert!(answer.header("dpop-nonce").is_empty());
    }
}

#[tokio::test]
async fn as_err_06_a_malformed_proof_is_told_before_its_nonce() {
    let world = World::with(Settings::with_nonces()).await;
    let answer = world.client_credentials(Some(&world.proof().claim("htm", "GET").sign(&world.key))).await;
    assert_e_as(&answer);
    answer.nonce();
    let no_jti = world.proof().without("jti").sign(&world.key);
    assert_n_as(&world.client_credentials(Some(&no_jti)).await);
}

#[tokio::test]
async fn as_err_07_atk_097_descriptions_are_clean_and_never_echo() {
    let world = World::new().await;
    let evil = "https://evil.example/\"\\\r\n\u{1b}[31m";
    let answer = world.client_credentials(Some(&world.proof().claim("htu", evil).sign(&world.key))).await;
    assert_e_as(&answer);
    let told = answer.text("error_description");
    assert!(is_clean(&told) && told.starts_with("DPOP-HTU-") && !told.contains("evil"), "{told}");
    let other = world.proof().claim("htu", "https://evil.example/token").sign(&world.key);
    let told = world.client_credentials(Some(&other)).await.text("error_description");
    assert!(told.starts_with("DPOP-HTU-01") && told.contains(TOKEN) && !told.contains("evil"), "{told}");
}

#[tokio::test]
async fn as_err_08_a_good_proof_by_the_wrong_key_is_invalid_grant() {
    let world = World::new().await;
    let bound =
        world.code_with("app", |code| code.dpop_jkt = Some(keybound_e2e::forge::jkt(&world.key))).await;
    let other = new_key();
    let proof = |key| Forge::new(key, "POST", TOKEN, world.now()).sign(key);
    assert_eq!(world.redeem(&bound, Some(&proof(&other))).await.error(), (400, "invalid_grant".to_owned()));
    let refresh = world.redeem(&bound, Some(&proof(&world.key))).await.text("refresh_token");
    assert_eq!(
        world.refresh(&refresh, Some(&proof(&other))).await.error(),
        (400, "invalid_grant".to_owned())
    );
}

#[tokio::test]
async fn as_err_09_endpoints_that_clients_call_share_one_error_format() {
    let world = World::new().await;
    for endpoint in [TOKEN, PUSHED, DEVICE_AUTHORIZATION, INTROSPECT, REVOKE] {
        let answer = world.send(post(endpoint, keybound_oauth::form::FormWriter::new(), &[])).await;
        assert!(answer.json()["error"].is_string() && answer.json()["error_description"].is_string());
    }
}

#[tokio::test]
async fn as_err_10_dpop_errors_carry_a_nonce_where_nonces_are_asked_for() {
    let world = World::with(Settings::with_nonces()).await;
    world.client_credentials(None).await.nonce();
    world.client_credentials(Some("junk")).await.nonce();
    let nonce = world.client_credentials(Some(&world.proof().sign(&world.key))).await.nonce();
    let replayed = world.proof().nonce(&nonce).sign(&world.key);
    assert_eq!(world.client_credentials(Some(&replayed)).await.status, 200);
    let answer = world.client_credentials(Some(&replayed)).await;
    assert_e_as(&answer);
    answer.nonce();
    let off = World::new().await;
    assert!(off.client_credentials(None).await.header("dpop-nonce").is_empty());
}
