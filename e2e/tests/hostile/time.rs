//! Servers whose clock is wrong, or who say so (RFC 9449 §11.2).

use crate::nonces::TOKENS;
use crate::server::{Hostile, says};
use crate::victim::{api, client, get};
use keybound_client::api::ApiSettings;
use keybound_e2e::clock::BEGIN;

/// No `Date` makes the client sign for a time that has not come.
#[tokio::test]
async fn ops_tim_02_atk_124_no_date_gets_a_proof_of_the_future() {
    for date in [
        "Fri, 15 Jan 2038 08:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 15 Jan 2027 09:00:00 GMT",
        "soon",
        "",
    ] {
        let hostile = Hostile::start(move |asked, before| match (asked.target(), before % 2) {
            ("/token", 0) => {
                says(400, &[("Date", date), ("DPoP-Nonce", "n")], r#"{"error":"invalid_dpop_proof"}"#)
            }
            ("/token", _) => says(200, &[("Date", date)], TOKENS),
            (_, 0) => {
                says(401, &[("Date", date), ("WWW-Authenticate", r#"DPoP error="invalid_dpop_proof""#)], "")
            }
            _ => says(200, &[("Date", date)], ""),
        })
        .await;
        let (client, api) = (client(&hostile.origin), api(&hostile, ApiSettings::default()));
        for _ in 0..4 {
            let _ = client.client_credentials(None, Vec::new()).await;
            let _ = api.send(get(&hostile.origin)).await;
        }
        for one in hostile.asked() {
            assert_eq!(one.proof()["iat"], BEGIN.as_secs(), "{date}");
        }
    }
}

/// A clock that runs ahead by and by gets no further than one that does so at once: proofs stay within ten minutes.
#[tokio::test]
async fn ops_tim_02_atk_124_small_steps_lead_no_further_than_the_bound() {
    let hostile = Hostile::start(|asked, before| {
        let date = format!("Fri, 15 Jan 2027 08:{:02}:00 GMT", (before * 4).min(59));
        match asked.target() {
            "/token" => says(400, &[("Date", &date)], r#"{"error":"invalid_dpop_proof"}"#),
            _ => {
                let refusal = ("WWW-Authenticate", r#"DPoP error="invalid_dpop_proof""#);
                says(401, &[("Date", &date), refusal], "")
            }
        }
    })
    .await;
    let (client, api) = (client(&hostile.origin), api(&hostile, ApiSettings::default()));
    for _ in 0..8 {
        let _ = client.client_credentials(None, Vec::new()).await;
        let _ = api.send(get(&hostile.origin)).await;
    }
    let (begin, asked) = (BEGIN.as_secs(), hostile.asked());
    for one in &asked {
        let iat = one.proof()["iat"].as_u64().expect("a time");
        assert!((begin..=begin + 600).contains(&iat), "{iat} at {begin}");
    }
    assert!(asked.len() <= 32, "each request is sent twice at the most: {}", asked.len());
}
