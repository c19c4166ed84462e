//! Servers whose clock is wrong, or who say so (RFC 9449 §11.2).

use crate::server::{Asked, Hostile, Says, says};
use crate::victim::{api, client, get};
use keybound_client::api::ApiSettings;
use keybound_e2e::clock::BEGIN;
use std::collections::BTreeSet;

/// Refuses a proof, in either role, and says what time it is.
fn refusal(asked: &Asked, date: &str) -> Says {
    match asked.target() {
        "/token" => says(400, &[("Date", date)], r#"{"error":"invalid_dpop_proof"}"#),
        _ => {
            let challenge = ("WWW-Authenticate", r#"DPoP error="invalid_dpop_proof", algs="ES256""#);
            says(401, &[("Date", date), challenge], "")
        }
    }
}

/// By how many seconds the proofs were ahead that a server got which says that it is this time.
async fn ahead(date: &'static str) -> BTreeSet<u64> {
    let hostile = Hostile::start(move |asked, _| refusal(asked, date)).await;
    let (client, api) = (client(&hostile.origin), api(&hostile, ApiSettings::default()));
    for _ in 0..4 {
        let _ = client.client_credentials(None, Vec::new()).await;
        let _ = api.send(get(&hostile.origin)).await;
    }
    let asked = hostile.asked();
    assert!(asked.len() <= 16, "each request is sent twice at the most: {}", asked.len());
    let iat = |one: &Asked| one.proof()["iat"].as_u64().expect("a time");
    asked.iter().map(|one| iat(one).checked_sub(BEGIN.as_secs()).expect("not of the past")).collect()
}

/// No `Date` makes the client sign for a time that is further ahead than the bound; one within it does, which shows that
/// `Date` is looked at.
#[tokio::test]
async fn ops_tim_02_atk_124_no_date_gets_a_proof_of_the_future() {
    for date in [
        "Fri, 15 Jan 2027 08:10:02 GMT",
        "Fri, 15 Jan 2027 09:00:00 GMT",
        "Fri, 15 Jan 2038 08:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "soon",
        "",
    ] {
        assert_eq!(ahead(date).await, BTreeSet::from([0]), "{date}");
    }
    assert_eq!(ahead("Fri, 15 Jan 2027 08:09:00 GMT").await, BTreeSet::from([0, 540]));
}
