//! DPOP-JTI: a proof is used once.

use super::signatures::malleated;
use super::stage::{Place, Stage, both, key_for, resigned, signature_of};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::Signer;
use keybound_dpop::replay::ReplaySalt;
use keybound_dpop::target::Target;
use keybound_e2e::forge::new_key;
use keybound_e2e::world::*;
use keybound_e2e::{Forge, World};
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

#[tokio::test]
async fn dpop_jti_01_a_text_with_something_in_it() {
    both(async |at| {
        at.refuses("DPOP-JWS-12", &at.sign(&at.good().without("jti"))).await;
        for jti in [json!(""), json!(7), json!(null), json!(["a"]), json!({})] {
            at.refuses("DPOP-JTI-01", &at.sign(&at.good().claim("jti", jti))).await;
        }
        for control in ["\0", "a\0b", "a\r\nb", "\u{1b}[31m", "a\u{85}"] {
            at.refuses("DPOP-JTI-01", &at.sign(&at.good().claim("jti", control))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_jti_02_at_most_256_octets() {
    both(async |at| {
        at.takes(&at.sign(&at.good().claim("jti", "x".repeat(256)))).await;
        at.takes(&at.sign(&at.good().claim("jti", "\u{e9}".repeat(128)))).await;
        at.refuses("DPOP-JTI-02", &at.sign(&at.good().claim("jti", "x".repeat(257)))).await;
        at.refuses("DPOP-JTI-02", &at.sign(&at.good().claim("jti", "\u{e9}".repeat(129)))).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jti_03_atk_052_no_shape_is_asked_for() {
    both(async |at| {
        for jti in ["a1", "7", " ", "\u{1f511}", "00000000-0000-0000-0000-000000000000"] {
            at.takes(&at.sign(&at.good().claim("jti", jti))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_jti_04_twice_is_once_too_often() {
    both(async |at| {
        let proof = at.sign(&at.good());
        at.takes(&proof).await;
        at.refuses("DPOP-JTI-04", &proof).await;
        at.refuses("DPOP-JTI-04", &proof).await;
        let same_jti = at.good().claim("jti", "one");
        at.takes(&at.sign(&same_jti)).await;
        at.refuses("DPOP-JTI-04", &at.sign(&same_jti.clone().claim("iat", at.now() + 1))).await;
        at.refuses("DPOP-JTI-04", &at.sign(&same_jti.claim("more", 1))).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jti_05_the_same_word_of_others_and_elsewhere_is_another() {
    let world = World::new().await;
    let token = world.tokens().await.text("access_token");
    let other = new_key();
    let at_token = |key| Forge::new(key, "POST", TOKEN, world.now()).claim("jti", "same").sign(key);
    for key in [&world.key, &other] {
        assert_eq!(world.client_credentials(Some(&at_token(key))).await.status, 200);
    }
    let at_userinfo = world.userinfo_proof(&token).claim("jti", "same").sign(&world.key);
    assert_eq!(world.userinfo("DPoP", &token, Some(&at_userinfo)).await.status, 200);
    for key in [&world.key, &other] {
        assert_eq!(world.client_credentials(Some(&at_token(key))).await.status, 400);
    }
    assert_eq!(world.userinfo("DPoP", &token, Some(&at_userinfo)).await.status, 401);
    let target = |url| Target::parse(url).expect("a target");
    let jkt = world.key.public_jwk().thumbprint();
    let entry = |issuer, url| world.provider.replay_salt.proof_key(issuer, &jkt, &target(url), "same");
    assert_eq!(entry(ISSUER, TOKEN), entry(ISSUER, "HTTPS://AS.example:443/a/../token?q"));
    assert_ne!(entry(ISSUER, TOKEN), entry(API, TOKEN));
    let other_salt = ReplaySalt::new([7; 32]);
    assert_ne!(entry(ISSUER, TOKEN), other_salt.proof_key(ISSUER, &jkt, &target(TOKEN), "same"));
}

#[tokio::test]
async fn dpop_jti_06_atk_030_another_spelling_of_a_proof_is_the_same_proof() {
    both(async |at| {
        let proof = at.sign(&at.good());
        let other = resigned(&proof, &malleated(&signature_of(&proof)));
        assert_ne!(proof, other);
        at.takes(&proof).await;
        at.refuses("DPOP-JTI-04", &other).await;
        let proof = at.sign(&at.good());
        at.takes(&resigned(&proof, &malleated(&signature_of(&proof)))).await;
        at.refuses("DPOP-JTI-04", &proof).await;
        at.refuses("DPOP-JWS-04", &super::structure::respelled(&proof)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dpop_jti_07_atk_054_one_of_64_at_once() {
    let stage = Arc::new(Stage::new().await);
    let at_token = Forge::new(&stage.key, "POST", TOKEN, stage.world.now()).sign(&stage.key);
    let at_userinfo = Forge::new(&stage.key, "GET", USERINFO, stage.world.now()).token(&stage.token);
    let at_userinfo = at_userinfo.sign(&stage.key);
    for place in [Place::Token, Place::UserInfo] {
        let mut all = JoinSet::new();
        for _ in 0..64 {
            let (stage, at_token, at_userinfo) = (Arc::clone(&stage), at_token.clone(), at_userinfo.clone());
            all.spawn(async move {
                match place {
                    Place::Token => stage.world.client_credentials(Some(&at_token)).await,
                    Place::UserInfo => stage.world.userinfo("DPoP", &stage.token, Some(&at_userinfo)).await,
                }
                .status
                .as_u16()
            });
        }
        let answers = all.join_all().await;
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{place:?}: {answers:?}");
        let refused = if place == Place::Token { 400 } else { 401 };
        assert_eq!(answers.iter().filter(|status| **status == refused).count(), 63, "{place:?}: {answers:?}");
    }
}

#[tokio::test]
async fn dpop_jti_08_only_what_passed_everything_is_recorded() {
    both(async |at| {
        let log = &at.stage.world.provider.replay;
        let before = log.len();
        let good = at.good();
        for round in 0..200 {
            let good = good.clone().claim("jti", format!("junk-{round}"));
            for bad in [
                good.clone().claim("htm", "PUT").sign(&at.stage.key),
                good.clone().claim("htu", "https://other.example/").sign(&at.stage.key),
                good.clone().claim("iat", at.now() - 3600).sign(&at.stage.key),
                good.clone().claim("iat", at.now() + 3600).sign(&at.stage.key),
                resigned(&good.sign(&at.stage.key), &[1; 64]),
            ] {
                assert!(at.show(&[bad.as_bytes()]).await.status.is_client_error());
            }
        }
        assert_eq!(log.len(), before, "a poisoner fills nothing");
        at.takes(&at.sign(&good.claim("jti", "junk-0"))).await;
        assert_eq!(log.len(), before + 1);
    })
    .await;
    let stage = Stage::with_nonces().await;
    let held = stage.world.provider.replay.len();
    stage
        .play(async |at| {
            let before = at.stage.world.provider.replay.len();
            at.challenges("DPOP-NON-02", &at.sign(&at.good().nonce("of-nobody"))).await;
            assert_eq!(at.stage.world.provider.replay.len(), before);
        })
        .await;
    assert_eq!(held, 1, "the one that was taken");
}

#[tokio::test]
async fn dpop_jti_09_a_challenged_proof_is_not_used() {
    Stage::with_nonces()
        .await
        .play(async |at| {
            let proof = at.good().claim("jti", "kept");
            let nonce = at.challenges("DPOP-NON-01", &at.sign(&proof.clone().without("nonce"))).await;
            at.takes(&at.sign(&at.good().nonce(&nonce))).await;
            at.takes(&at.sign(&proof.nonce(&nonce))).await;
        })
        .await;
}

#[tokio::test]
async fn dpop_jti_10_once_in_the_life_of_a_nonce() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = key_for(algorithm);
        let stage = Stage::with_nonces().await;
        let world = &stage.world;
        let nonce = stage.nonce.clone().expect("a nonce");
        let at_token = Forge::new(&key, "POST", TOKEN, world.now()).nonce(&nonce).sign(&key);
        let at_userinfo =
            Forge::new(&stage.key, "GET", USERINFO, world.now()).nonce(&nonce).token(&stage.token);
        let at_userinfo = at_userinfo.sign(&stage.key);
        assert_eq!(world.client_credentials(Some(&at_token)).await.status, 200);
        assert_eq!(world.userinfo("DPoP", &stage.token, Some(&at_userinfo)).await.status, 200);
        let (used, unknown) = ("invalid_dpop_proof", "use_dpop_nonce");
        let into_the_step = world.now().as_secs() % 60;
        for (secs, told) in [(0, used), (119 - into_the_step, used), (60, used), (1, unknown)] {
            world.clock.pass(secs);
            assert_eq!(world.client_credentials(Some(&at_token)).await.text("error"), told, "{secs}");
            let answer = world.userinfo("DPoP", &stage.token, Some(&at_userinfo)).await;
            assert_eq!(answer.challenges()[0].get("error"), Some(told), "{secs}");
        }
    }
}
