//! DPOP-NON: the nonce in a proof.

use super::api::Api;
use super::stage::{Stage, both};
use keybound_dpop::nonce::{NonceKeys, NonceState};
use keybound_e2e::{Settings, World};
use serde_json::json;

#[tokio::test]
async fn dpop_non_01_where_one_is_asked_for_none_is_a_challenge() {
    Stage::with_nonces()
        .await
        .play(async |at| {
            let nonce = at.challenges("DPOP-NON-01", &at.sign(&at.good().without("nonce"))).await;
            at.challenges("DPOP-NON-01", &at.sign(&at.good().without("nonce").without("jti"))).await;
            at.takes(&at.sign(&at.good().nonce(&nonce))).await;
        })
        .await;
}

#[tokio::test]
async fn dpop_non_02_atk_064_only_what_was_issued_lately() {
    let elsewhere = World::with(Settings::with_nonces()).await;
    let of_another = elsewhere.provider.nonces.issue(elsewhere.now()).to_string();
    Stage::with_nonces()
        .await
        .play(async |at| {
            let nonce = at.stage.nonce.clone().expect("a nonce");
            let keys = &at.stage.world.provider.nonces;
            let now = at.stage.world.now();
            let old = keys.issue(now.minus_secs(180)).to_string();
            let early = keys.issue(now.plus_secs(120)).to_string();
            let mut other_step = nonce.clone().into_bytes();
            other_step[5] = if other_step[5] == b'A' { b'B' } else { b'A' };
            let other_step = String::from_utf8(other_step).expect("ASCII");
            let swapped: String = nonce
                .chars()
                .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
                .collect();
            for bad in [
                "random",
                &nonce[..31],
                &nonce[1..],
                &format!("{nonce}A"),
                &swapped,
                &of_another,
                &old,
                &early,
                &other_step,
            ] {
                let fresh = at.challenges("DPOP-NON-02", &at.sign(&at.good().nonce(bad))).await;
                at.takes(&at.sign(&at.good().nonce(&fresh))).await;
            }
        })
        .await;
}

#[tokio::test]
async fn dpop_non_03_atk_063_the_client_cannot_switch_nonces_off() {
    Stage::with_nonces()
        .await
        .play(async |at| {
            at.takes(&at.sign(&at.good())).await;
            for _ in 0..3 {
                at.challenges("DPOP-NON-01", &at.sign(&at.good().without("nonce"))).await;
            }
        })
        .await;
}

#[tokio::test]
async fn dpop_non_04_atk_064_a_nonce_is_good_where_it_was_issued() {
    let keys = NonceKeys::new([7; 32], "api", None);
    let api = Api::with("https://api.example", Some(keys.clone()));
    let of_api = keys.issue(api.now()).to_string();
    Stage::with_nonces()
        .await
        .play(async |at| {
            at.challenges("DPOP-NON-02", &at.sign(&at.good().nonce(&of_api))).await;
            let of_provider = at.stage.nonce.as_deref().expect("a nonce");
            let token = api.token();
            let proof = api.proof("GET", "/r", &token);
            let bad = proof.clone().nonce(of_provider).sign(&api.key);
            let answer = api.call(api.request("GET", "/r", &token, &bad)).await;
            api.assert_told("use_dpop_nonce", &answer);
            let good = proof.nonce(&answer.nonce()).claim("jti", format!("{:?}", at.place)).sign(&api.key);
            assert_eq!(api.call(api.request("GET", "/r", &token, &good)).await.status, 200);
        })
        .await;
}

#[tokio::test]
async fn dpop_non_05_anything_but_nqchar_is_a_malformed_proof() {
    Stage::with_nonces()
        .await
        .play(async |at| {
            for nonce in ["", "a\"b", "a\\b", "a b", "a\u{e9}", "a\r\n", &"x".repeat(257)] {
                at.refuses("DPOP-NON-05", &at.sign(&at.good().claim("nonce", nonce))).await;
            }
            for nonce in [json!(7), json!(null), json!(["x"]), json!({}), json!(true)] {
                at.refuses("DPOP-JWS-07", &at.sign(&at.good().claim("nonce", nonce))).await;
            }
        })
        .await;
}

#[tokio::test]
async fn dpop_non_06_without_nonces_one_is_not_looked_at() {
    both(async |at| {
        let answer = at.takes(&at.sign(&at.good().nonce("of-somebody"))).await;
        assert!(answer.header("dpop-nonce").is_empty());
    })
    .await;
}

/// Nothing is stored to compare with: the nonce is a MAC under a key, and each of its characters counts.
#[tokio::test]
async fn dpop_non_07_nonces_are_macs() {
    let world = World::with(Settings::with_nonces()).await;
    let (keys, now) = (&world.provider.nonces, world.now());
    let nonce = keys.issue(now).to_string();
    assert_eq!(nonce, keys.issue(now).to_string());
    for index in 0..nonce.len() {
        let mut other = nonce.clone().into_bytes();
        other[index] = if other[index] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).expect("ASCII");
        assert_eq!(keys.judge(&other, now), NonceState::Unknown, "{index}");
    }
}
