//! Servers whose clocks differ from the client's (OPS-TIM-02).

use crate::mock::{Mock, START, Seen, TOKENS, client, get, reply, session, transport};
use axum::body::Body;
use http::Response;
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client_auth::ClientAuth;
use keybound_client::clock_offset::MAX_OFFSET_SECS;
use keybound_client::destination::Destination;
use keybound_client::prover::{ClockUse, Prover};
use keybound_client::resource_refused;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::time::{Clock, Now, UnixTime};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const REFUSED: (&str, &str) = ("WWW-Authenticate", r#"DPoP error="invalid_dpop_proof", algs="ES256""#);

/// A clock that stands still.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Now {
        Now { unix: UnixTime::from_secs(START), monotonic: Duration::ZERO }
    }
}

fn api(origin: &str) -> Api {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let prover = Prover::new(Arc::new(key), Arc::default(), Arc::new(Still));
    let session = session(&prover, origin, origin);
    Api::new(transport(), prover, session, ApiSettings::default()).expect("an API")
}

fn date(ahead: i64) -> String {
    let secs = START.checked_add_signed(ahead).expect("a time");
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(secs))
}

fn iat_ahead(seen: &Seen) -> i64 {
    seen.proof()["iat"].as_i64().expect("iat") - i64::try_from(START).expect("a time")
}

/// A resource whose clock is ahead by that much, and who takes proofs of five seconds.
fn strict(ahead: i64) -> impl Fn(&Seen, usize) -> Response<Body> {
    move |seen, _| {
        let date = date(ahead);
        match iat_ahead(seen) - ahead {
            -5..=0 => reply(200, &[("Date", &date)], ""),
            _ => reply(401, &[REFUSED, ("Date", &date)], ""),
        }
    }
}

#[tokio::test]
async fn ops_tim_02_a_client_whose_clock_is_ten_minutes_off_is_taken_all_the_same() {
    for ahead in [-600, -30, 30, 600] {
        let mock = Mock::start(strict(ahead)).await;
        let api = api(&mock.origin);
        for expected in [2, 3, 4] {
            let answer = api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
            assert_eq!((answer.status().as_u16(), mock.seen().len()), (200, expected), "{ahead}");
        }
        let to = Destination::parse(&mock.origin).expect("a destination");
        let clock = api.shared_session().prover().server_clock(&to);
        assert_eq!(clock.use_of_it, ClockUse::InUse);
        assert!((ahead - clock.correction_secs()).abs() <= 1, "{ahead}: {clock:?}");
    }
}

#[tokio::test]
async fn ops_tim_02_no_correction_where_none_is_needed() {
    let mock = Mock::start(|_, _| reply(200, &[("Date", &date(300))], "")).await;
    let api = api(&mock.origin);
    for _ in 0..3 {
        api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
    }
    assert!(mock.seen().iter().all(|seen| iat_ahead(seen) == 0));
}

#[tokio::test]
async fn ops_tim_02_a_token_endpoint_with_another_clock_gets_proof_and_assertion_by_it() {
    let mock = Mock::start(|seen, _| {
        let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(START + 400));
        let form = seen.form();
        let assertion = form.get("client_assertion").expect("an assertion");
        let jwt = keybound_dpop::jose::jws::UnverifiedJwt::parse(assertion).expect("a JWT");
        let iat = jwt.claims().expect("claims").numeric_date("iat").expect("a time").expect("iat").as_secs();
        let is_fresh = |iat: u64| (START + 380..=START + 420).contains(&iat);
        match (is_fresh(iat), is_fresh(seen.proof()["iat"].as_u64().expect("iat"))) {
            (true, true) => reply(200, &[("Date", &date)], TOKENS),
            (false, _) => reply(401, &[("Date", &date)], r#"{"error":"invalid_client"}"#),
            (true, false) => reply(400, &[("Date", &date)], r#"{"error":"invalid_dpop_proof"}"#),
        }
    })
    .await;
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let client = client(&mock.origin, ClientAuth::PrivateKeyJwt { signer: Arc::new(key), kid: None });
    client.client_credentials(None, Vec::new()).await.expect("tokens");
    assert_eq!(mock.seen().len(), 2);
}

#[tokio::test]
async fn atk_124_a_date_in_the_far_future_gets_no_proof_for_it() {
    for ahead in [601, 3600, 100_000_000, -3600] {
        let mock = Mock::start(move |_, _| reply(401, &[REFUSED, ("Date", &date(ahead))], "")).await;
        let api = api(&mock.origin);
        for expected in [1, 2] {
            let answer = api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
            assert_eq!((answer.status().as_u16(), mock.seen().len()), (401, expected), "{ahead}");
            let told = resource_refused::judge(&answer, UnixTime::from_secs(START)).expect_err("refused");
            assert!(told.advice().contains("clock"), "{told}");
        }
        assert!(mock.seen().iter().all(|seen| iat_ahead(seen) == 0), "{ahead}");
    }
}

#[tokio::test]
async fn atk_124_a_date_that_runs_ahead_gets_no_further_than_the_bound() {
    let mock = Mock::start(|seen, _| {
        let date = date(iat_ahead(seen) + 500);
        reply(401, &[REFUSED, ("Date", &date)], "")
    })
    .await;
    let api = api(&mock.origin);
    for _ in 0..5 {
        api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
    }
    assert!(mock.seen().len() <= 10);
    assert!(mock.seen().iter().all(|seen| iat_ahead(seen) <= MAX_OFFSET_SECS));
}

#[tokio::test]
async fn atk_124_a_proof_that_is_refused_for_another_reason_is_not_dated_anew_for_ever() {
    let mock = Mock::start(|_, _| reply(401, &[REFUSED, ("Date", &date(120))], "")).await;
    let other = Mock::start(|_, _| reply(200, &[], "")).await;
    let api = api(&mock.origin);
    for expected in [2, 3, 4] {
        api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
        assert_eq!(mock.seen().len(), expected);
    }
    let dated: Vec<_> = mock.seen().iter().map(iat_ahead).collect();
    assert_eq!(dated, [0, 120, 0, 0]);
    let to = Destination::parse(&other.origin).expect("a destination");
    assert_eq!(api.shared_session().prover().now_at(&to), UnixTime::from_secs(START));
}
