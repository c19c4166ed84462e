//! How often one request is sent, at the most, whatever the server answers.

use crate::mock::{CHALLENGE, INVALID_TOKEN, Mock, START, TOKENS, client, prover, reply, session};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use keybound_client::client::Client;
use keybound_client::client_auth::ClientAuth;
use keybound_client::middleware::{DpopLayer, ReplayBody};
use keybound_client::shared_session::{SharedSession, Upkeep};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tower::{Layer, ServiceExt, service_fn};

/// A reason to send a request again.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Nonce,
    Clock,
    Token,
}

const REFUSED: (&str, &str) = ("WWW-Authenticate", r#"DPoP error="invalid_dpop_proof", algs="ES256""#);

fn answer(ask: Ask, before: usize) -> Response<()> {
    let line = match ask {
        Ask::Nonce => CHALLENGE,
        Ask::Clock => REFUSED,
        Ask::Token => INVALID_TOKEN,
    };
    let mut answer = Response::builder().status(401).header(line.0, line.1);
    if matches!(ask, Ask::Nonce) {
        answer = answer.header("DPoP-Nonce", format!("n{before}"));
    }
    if matches!(ask, Ask::Clock) {
        // Another time at each answer.
        let secs = START + 60 * (before as u64 + 1);
        let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(secs));
        answer = answer.header("Date", HeaderValue::from_str(&date).expect("a value"));
    }
    answer.body(()).expect("an answer")
}

/// Sends one request to a server that asks for those in turn, and for the last one for ever: how often it was sent.
async fn sendings(asks: [Ask; 4], origin: &str, client: Client) -> usize {
    let prover = client.prover().clone();
    let session = session(&prover, origin, origin);
    let session = SharedSession::new(prover, session, Upkeep { renewal: Some(client), place: None })
        .expect("a session");
    let seen: Arc<Mutex<HashSet<HeaderValue>>> = Arc::default();
    let log = Arc::clone(&seen);
    let server = service_fn(move |request: Request<ReplayBody<Full<Bytes>>>| {
        let log = Arc::clone(&log);
        async move {
            let before = {
                let (mut log, mut proofs) = (log.lock(), request.headers().get_all("DPoP").iter());
                let (proof, None) = (proofs.next().expect("a proof"), proofs.next()) else { panic!("one") };
                assert!(log.insert(proof.clone()), "a proof was sent twice");
                log.len() - 1
            };
            let body = request.into_body().collect().await.expect("a body");
            assert_eq!(body.to_bytes(), "all");
            Ok::<_, Infallible>(answer(asks[before.min(3)], before))
        }
    });
    let request = Request::put(format!("{origin}/x")).body(Full::from("all")).expect("a request");
    let _ = DpopLayer::new(session).layer(server).oneshot(request).await;
    seen.lock().len()
}

#[tokio::test]
async fn cl_non_04_cl_prf_01_cl_tok_10_whatever_a_server_asks_for_a_request_is_sent_four_times_at_the_most() {
    let provider = Mock::start(|_, _| reply(200, &[], TOKENS)).await;
    let client = client(&provider.origin, ClientAuth::None);
    let all = [Ask::Nonce, Ask::Clock, Ask::Token];
    let mut most = 0;
    for first in all {
        for second in all {
            for third in all {
                for fourth in all {
                    let (asks, client) =
                        ([first, second, third, fourth], client.clone().with_prover(prover()));
                    let sent = sendings(asks, &provider.origin, client).await;
                    assert!(sent <= 4, "{first:?} {second:?} {third:?} {fourth:?}");
                    most = most.max(sent);
                }
            }
        }
    }
    assert_eq!(most, 4);
}
