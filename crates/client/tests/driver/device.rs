//! The device grant: what is shown, and how often a server is asked. Nobody sleeps: the waits are written down.

use crate::mock::{Mock, START, TOKENS, USE_NONCE, client, reply};
use axum::body::Body;
use http::Response;
use keybound_client::client::Client;
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::flow::ask::TokenAsk;
use keybound_client::flow::device::{DeviceError, PendingDevice};
use keybound_client::prover::Prover;
use keybound_client::tokens::Tokens;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::time::{Clock, Now, UnixTime};
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::identifier::ResourceId;
use keybound_oauth::scope::Scope;
use parking_lot::Mutex;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Answers the first request with codes, and each poll with the next of these.
async fn server(interval: Option<u32>, polls: &'static [(u16, &'static str)]) -> Mock {
    Mock::start(move |seen, before| match seen.target.as_str() {
        "/device" => begun(interval),
        _ => {
            let (status, body) = polls[(before - 1).min(polls.len() - 1)];
            reply(status, &[("DPoP-Nonce", &format!("n{before}"))], body)
        }
    })
    .await
}

fn begun(interval: Option<u32>) -> Response<Body> {
    let mut body = json!({
        "device_code": "d3v1ce", "user_code": "wdjb mjht", "expires_in": 60,
        "verification_uri": "https://id.example/device",
        "verification_uri_complete": "https://id.example/device?user_code=wdjb+mjht",
    });
    if let Some(secs) = interval {
        body["interval"] = secs.into();
    }
    reply(200, &[], &body.to_string())
}

fn ask() -> TokenAsk {
    TokenAsk {
        scope: Scope::parse("read").ok(),
        resources: vec![ResourceId::parse("https://api.example/").expect("a resource")],
        authorization_details: AuthorizationDetails::parse(r#"[{"type":"pay"}]"#).expect("details"),
    }
}

/// A clock that a wait turns.
#[derive(Debug, Default)]
struct Turned(AtomicU64);

impl Clock for Turned {
    fn now(&self) -> Now {
        let secs = START + self.0.load(Ordering::SeqCst);
        Now { unix: UnixTime::from_secs(secs), monotonic: Duration::from_secs(secs) }
    }
}

/// A client whose clock is that one.
fn device(mock: &Mock, clock: &Arc<Turned>) -> Client {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let clock: Arc<dyn Clock> = Arc::<Turned>::clone(clock);
    client(&mock.origin, ClientAuth::None).with_prover(Prover::new(Arc::new(key), Arc::default(), clock))
}

/// The end of a login, and the seconds that were waited.
async fn finish(
    client: &Client,
    clock: &Turned,
    pending: PendingDevice,
) -> (Result<Tokens, ClientError>, Vec<u64>) {
    let waits = Mutex::new(Vec::new());
    let sleep = |time: Duration| {
        waits.lock().push(time.as_secs());
        clock.0.fetch_add(time.as_secs(), Ordering::SeqCst);
        std::future::ready(())
    };
    let end = client.finish_device(pending, sleep).await;
    (end, waits.into_inner())
}

async fn login(
    interval: Option<u32>,
    polls: &'static [(u16, &'static str)],
) -> (Result<Tokens, ClientError>, Vec<u64>) {
    let (mock, clock) = (server(interval, polls).await, Arc::default());
    let client = device(&mock, &clock);
    let pending = client.begin_device(ask()).await.expect("begun");
    finish(&client, &clock, pending).await
}

const PENDING: (u16, &str) = (400, r#"{"error":"authorization_pending"}"#);
const BROKEN: (u16, &str) = (503, "<html>");
const BUSY: (u16, &str) = (429, "");
const SLOW_DOWN: (u16, &str) = (400, r#"{"error":"slow_down"}"#);

#[tokio::test]
async fn cl_flw_11_a_login_on_another_device_shows_a_code_and_polls_with_proofs() {
    let mock = server(Some(2), &[PENDING, (400, USE_NONCE), (200, TOKENS)]).await;
    let clock = Arc::default();
    let client = device(&mock, &clock);
    let pending = client.begin_device(ask()).await.expect("begun");
    assert_eq!(pending.user_code().reveal(), "wdjb mjht");
    assert_eq!(pending.verification_uri(), "https://id.example/device");
    assert!(pending.verification_uri_complete().is_some_and(|url| url.ends_with("user_code=wdjb+mjht")));
    assert_eq!(pending.expires_at().as_secs(), START + 60);
    assert!(!format!("{pending:?}").contains("d3v1ce") && !format!("{pending:?}").contains("wdjb"));
    let (tokens, waits) = finish(&client, &clock, pending).await;
    assert_eq!(tokens.expect("tokens").scope, Scope::parse("read").ok());
    assert_eq!(waits, [2, 2]);
    let seen = mock.seen();
    let begin = seen[0].form();
    assert_eq!(begin.get("dpop_jkt"), Some(client.prover().jkt().to_string().as_str()));
    assert_eq!((begin.get("scope"), begin.get("client_id")), (Some("read"), Some("app")));
    for (index, poll) in seen.iter().enumerate().skip(1) {
        assert_eq!(poll.form().get("device_code"), Some("d3v1ce"));
        for name in ["resource", "authorization_details"] {
            assert_eq!(poll.form().get(name), begin.get(name), "{name}");
            assert!(begin.get(name).is_some());
        }
        assert_eq!(poll.nonce().is_some(), index > 1, "the nonce of each answer is in the next proof");
    }
    let ids: std::collections::HashSet<_> = seen.iter().map(|seen| seen.proof()["jti"].to_string()).collect();
    assert_eq!(ids.len(), seen.len(), "a proof for each");
}

#[tokio::test]
async fn cl_flw_11_slow_down_adds_five_seconds_for_good() {
    let (end, waits) = login(None, &[PENDING, SLOW_DOWN, PENDING, SLOW_DOWN, (200, TOKENS)]).await;
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(waits, [5, 5, 10, 10, 15], "five seconds where the server does not say");
}

#[tokio::test]
async fn cl_flw_11_a_server_that_is_out_of_order_is_asked_half_as_often() {
    let (end, waits) = login(Some(1), &[BROKEN, BUSY, PENDING, (200, TOKENS)]).await;
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(waits, [1, 5, 10, 10]);
}

#[tokio::test]
async fn cl_flw_11_denied_and_expired_are_told_apart_and_end_the_login() {
    let (denied, waits) = login(Some(1), &[PENDING, (400, r#"{"error":"access_denied"}"#)]).await;
    assert!(matches!(denied, Err(ClientError::Device(DeviceError::Denied(_)))), "{denied:?}");
    assert_eq!(waits, [1, 1]);
    let (expired, waits) = login(Some(1), &[(400, r#"{"error":"expired_token"}"#)]).await;
    assert!(matches!(expired, Err(ClientError::Device(DeviceError::Expired))), "{expired:?}");
    assert_eq!(waits.len(), 1);
    let (other, waits) = login(Some(1), &[(400, r#"{"error":"invalid_grant"}"#)]).await;
    assert!(matches!(other, Err(ClientError::Token(_))), "{other:?}");
    assert_eq!(waits.len(), 1);
}

#[tokio::test]
async fn cl_flw_11_nobody_polls_after_the_code_has_expired() {
    let (end, waits) = login(Some(20), &[PENDING]).await;
    assert!(matches!(end, Err(ClientError::Device(DeviceError::Expired))), "{end:?}");
    assert_eq!(waits, [20, 20]);
    let (end, waits) = login(Some(1), &[PENDING]).await;
    assert!(matches!(end, Err(ClientError::Device(DeviceError::Expired))), "{end:?}");
    assert_eq!(waits.len(), 59);
}

#[tokio::test]
async fn cl_flw_06_an_id_token_that_a_device_did_not_ask_for_is_dropped_unread() {
    const UNASKED: (u16, &str) = (200, r#"{"access_token":"a","token_type":"DPoP","id_token":"a.b.c"}"#);
    let (tokens, _) = login(None, &[UNASKED]).await;
    let tokens = tokens.expect("tokens");
    assert_eq!((tokens.id_token, tokens.subject), (None, None));
}

#[tokio::test]
async fn cl_flw_11_a_server_that_asks_for_no_pause_is_not_flooded() {
    let (end, waits) = login(Some(0), &[PENDING, PENDING, (200, TOKENS)]).await;
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(waits, [1, 1, 1]);
    let mock = server(Some(60), &[PENDING]).await;
    let told = client(&mock.origin, ClientAuth::None).begin_device(ask()).await.expect_err("of no use");
    assert!(told.to_string().contains("expires before the first poll"), "{told}");
}

#[tokio::test]
async fn device_answers_that_are_none_are_told_with_the_endpoint() {
    for (status, body, says) in [
        (400, r#"{"error":"unauthorized_client"}"#, "registered for this grant type"),
        (502, "<html>", "out of order"),
        (200, "{}", "device_code"),
        (302, "", "redirects"),
    ] {
        let mock = Mock::start(move |_, _| reply(status, &[], body)).await;
        let told = client(&mock.origin, ClientAuth::None).begin_device(ask()).await.expect_err("refused");
        let text = told.to_string();
        assert!(text.contains("device_authorization_endpoint") && text.contains(says), "{text}");
    }
}
