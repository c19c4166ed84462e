//! DPOP-IAT: when a proof was made. Without nonces, unless a row says otherwise.

use super::stage::{At, Place, Stage, both};
use keybound_e2e::world::*;
use keybound_e2e::{Forge, Settings, World};
use serde_json::{Value, json};

/// A proof made so many seconds from now.
fn made(at: &At, offset: i64) -> String {
    at.sign(&at.good().claim("iat", at.now().checked_add_signed(offset).expect("a time")))
}

#[tokio::test]
async fn dpop_iat_01_a_number_of_seconds_within_the_window() {
    both(async |at| {
        at.refuses("DPOP-IAT-02", &made(at, -3600)).await;
        at.refuses("DPOP-IAT-04", &made(at, 3600)).await;
        at.takes(&at.sign(&at.good().claim("iat", json!(at.now() as f64 - 0.5)))).await;
    })
    .await;
    Stage::with_nonces().await.play(forms).await;
    both(forms).await;
}

/// What no `iat` may be, whether nonces are asked for or not.
async fn forms(at: &At) {
    let text = at.now().to_string();
    for form in
        [json!(text), json!(-1), json!(1e300), json!("NaN"), json!([at.now()]), json!(true), Value::Null]
    {
        at.refuses("DPOP-IAT-01", &at.sign(&at.good().claim("iat", form))).await;
    }
    let (header, claims) = (at.good().header.to_string(), at.good().claims.to_string());
    for (row, form) in
        [("DPOP-JWS-05", "NaN"), ("DPOP-JWS-05", "1e999"), ("DPOP-IAT-01", "99999999999999999999")]
    {
        let odd = claims.replacen(&format!("\"iat\":{text}"), &format!("\"iat\":{form}"), 1);
        assert_ne!(odd, claims);
        at.refuses(row, &at.sign_raw(header.as_bytes(), odd.as_bytes())).await;
    }
}

#[tokio::test]
async fn dpop_iat_02_five_minutes_back() {
    both(async |at| {
        for offset in [-10, -299, -300] {
            at.takes(&made(at, offset)).await;
        }
        for offset in [-301, -3600] {
            at.refuses("DPOP-IAT-02", &made(at, offset)).await;
        }
    })
    .await;
    let config = "[proof]\npast_window_secs = 30\n[nonce]\nmode = \"off\"\n".to_owned();
    let world = World::with(Settings { config }).await;
    world.clock.pass(600);
    let back =
        |secs: u64| Forge::new(&world.key, "POST", TOKEN, world.now().minus_secs(secs)).sign(&world.key);
    assert_eq!(world.client_credentials(Some(&back(30))).await.status, 200);
    assert_eq!(world.client_credentials(Some(&back(31))).await.status, 400);
    for secs in [29, 601] {
        let refused = config_error(&format!("[proof]\npast_window_secs = {secs}"));
        assert!(refused.contains("30 to 600"), "{refused}");
    }
}

fn config_error(more: &str) -> String {
    keybound_e2e::world::config(more).check().expect_err("refused").to_string()
}

#[tokio::test]
async fn dpop_iat_03_ten_seconds_ahead_are_fine() {
    both(async |at| {
        for offset in [1, 10, 30] {
            at.takes(&made(at, offset)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_iat_04_a_minute_ahead_is_too_far() {
    both(async |at| {
        for offset in [31, 61, 3600] {
            at.refuses("DPOP-IAT-04", &made(at, offset)).await;
        }
    })
    .await;
    let config = "[proof]\nfuture_window_secs = 60\n[nonce]\nmode = \"off\"\n".to_owned();
    let world = World::with(Settings { config }).await;
    let ahead =
        |secs: u64| Forge::new(&world.key, "POST", TOKEN, world.now().plus_secs(secs)).sign(&world.key);
    assert_eq!(world.client_credentials(Some(&ahead(60))).await.status, 200);
    assert_eq!(world.client_credentials(Some(&ahead(61))).await.status, 400);
    assert!(config_error("[proof]\nfuture_window_secs = 61").contains("60"));
}

#[tokio::test]
async fn dpop_iat_05_with_a_nonce_its_step_is_the_proof_s_age() {
    Stage::with_nonces()
        .await
        .play(async |at| {
            for offset in [-3600, -301, 60] {
                at.takes(&made(at, offset)).await;
            }
            match at.place {
                Place::Token => at.refuses("DPOP-IAT-04", &made(at, 61)).await,
                Place::UserInfo => {
                    at.takes(&made(at, 3600)).await;
                }
            }
            let stale = at.sign(&at.good().nonce("of-yesterday"));
            at.challenges("DPOP-NON-02", &stale).await;
        })
        .await;
}

/// One proof, kept and shown again at each second of its life and past it.
#[tokio::test]
async fn dpop_iat_06_atk_058_a_proof_is_never_good_after_its_record_is_gone() {
    for offset in [-300, -299, -10, 0, 10, 30] {
        let world = World::new().await;
        world.clock.pass(600);
        let token = world.tokens().await.text("access_token");
        let iat = world.now().as_secs().checked_add_signed(offset).expect("a time");
        let at_token = world.proof().claim("iat", iat).sign(&world.key);
        let at_userinfo = world.userinfo_proof(&token).claim("iat", iat).sign(&world.key);
        assert_eq!(world.client_credentials(Some(&at_token)).await.status, 200);
        assert_eq!(world.userinfo("DPoP", &token, Some(&at_userinfo)).await.status, 200);
        let life = 300 + offset;
        for second in 0..=life + 35 {
            let near_the_edge = second > life - 2;
            if second % 10 == 0 || near_the_edge {
                let answer = world.client_credentials(Some(&at_token)).await;
                assert_eq!(answer.status, 400, "{offset} {second}");
                let answer = world.userinfo("DPoP", &token, Some(&at_userinfo)).await;
                assert_eq!(answer.status, 401, "{offset} {second}");
            }
            // Others come and go, so that old records are swept out.
            if second % 30 == 0 {
                assert_eq!(world.client_credentials(Some(&world.proof().sign(&world.key))).await.status, 200);
            }
            world.clock.pass(1);
        }
    }
}

#[tokio::test]
async fn dpop_iat_07_milliseconds_are_not_seconds() {
    both(async |at| {
        for millis in [1_700_000_000_000, at.now() * 1000] {
            at.refuses("DPOP-IAT-04", &at.sign(&at.good().claim("iat", millis))).await;
        }
    })
    .await;
}
