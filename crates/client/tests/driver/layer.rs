//! The tower layer over a client of hyper.

use crate::mock::{CHALLENGE, INVALID_TOKEN, Mock, Parts, TOKENS, client, reply, session};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::middleware::{DpopLayer, Rules, SendError};
use keybound_client::nonce_rule::Resend;
use keybound_client::resource_exchange::ResourceError;
use keybound_client::shared_session::{SharedSession, Upkeep};
use std::error::Error;
use tower::{Layer, ServiceExt};

type Answer = Result<Response<Incoming>, SendError<hyper_util::client::legacy::Error>>;

fn shared(origin: &str) -> SharedSession {
    let client = client(origin, ClientAuth::None);
    let (prover, upkeep) = (client.prover().clone(), Upkeep { renewal: Some(client), place: None });
    let session = session(&prover, origin, origin);
    SharedSession::new(prover, session, upkeep).expect("a session")
}

async fn send<B>(session: &SharedSession, rules: Rules, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let client = Client::builder(TokioExecutor::new()).build_http();
    DpopLayer::new(session.clone()).with_rules(rules).layer(client).oneshot(request).await
}

fn put<B>(origin: &str, body: B) -> Request<B> {
    Request::put(format!("{origin}/x?q=1")).body(body).expect("a request")
}

async fn collected(answer: Answer) -> Bytes {
    answer.expect("an answer").into_body().collect().await.expect("a body").to_bytes()
}

/// Asks for a nonce, and answers with what it got.
async fn echo() -> Mock {
    Mock::start(|seen, _| match (seen.method.as_str(), seen.nonce().as_deref()) {
        (_, Some("n")) => reply(200, &[], &String::from_utf8_lossy(&seen.body)),
        _ => reply(401, &[CHALLENGE, ("DPoP-Nonce", "n")], ""),
    })
    .await
}

#[tokio::test]
async fn cl_non_01_cl_prf_01_a_body_that_is_there_is_sent_again_with_a_new_proof() {
    let mock = echo().await;
    let answer = send(&shared(&mock.origin), Rules::default(), put(&mock.origin, Full::from("all"))).await;
    assert_eq!(collected(answer).await, "all");
    let seen = mock.seen();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].proof()["jti"], seen[1].proof()["jti"]);
    for seen in &seen {
        assert_eq!(seen.proof()["htu"], format!("{}/x", mock.origin));
        assert_eq!((seen.target.as_str(), seen.authorization()), ("/x?q=1", Some("DPoP token-1")));
    }
}

#[tokio::test]
async fn cl_non_12_a_stream_follows_a_request_that_brings_the_nonce() {
    let (mock, part) = (echo().await, Bytes::from("part."));
    let session = shared(&mock.origin);
    let rules = Rules::default().keeping(10);
    let answer = send(&session, rules, put(&mock.origin, Parts(4, part.clone()))).await;
    assert_eq!(collected(answer).await, "part.part.part.part.");
    let methods = || Vec::from_iter(mock.seen().into_iter().map(|seen| seen.method));
    assert_eq!(methods(), ["HEAD", "PUT"]);
    let head = &mock.seen()[0];
    assert!(head.body.is_empty() && !head.headers.contains_key("transfer-encoding"));
    // The nonce is known now.
    collected(send(&session, rules, put(&mock.origin, Parts(4, part))).await).await;
    assert_eq!(methods(), ["HEAD", "PUT", "PUT"]);
}

#[tokio::test]
async fn cl_non_12_a_stream_that_is_challenged_all_the_same_is_an_error_that_says_so() {
    let mock = Mock::start(|seen, before| match seen.method.as_str() {
        "HEAD" => reply(200, &[], ""),
        _ => reply(401, &[CHALLENGE, ("DPoP-Nonce", &format!("n{before}"))], ""),
    })
    .await;
    let rules = Rules::default().keeping(10);
    let refused = send(&shared(&mock.origin), rules, put(&mock.origin, Parts(4, Bytes::from("part.")))).await;
    let Err(SendError::Client(ClientError::Resource(ResourceError::ResendNeeded(Resend::Nonce)))) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(mock.seen().len(), 2);
}

#[tokio::test]
async fn cl_non_12_a_stream_that_turns_out_short_is_sent_again() {
    let mock = Mock::start(|seen, _| match (seen.method.as_str(), seen.nonce().as_deref()) {
        ("GET", _) => reply(200, &[], ""),
        (_, Some("n")) => reply(200, &[], &String::from_utf8_lossy(&seen.body)),
        _ => reply(401, &[CHALLENGE, ("DPoP-Nonce", "n")], ""),
    })
    .await;
    let session = shared(&mock.origin);
    let rules = Rules::default().keeping(20);
    // The server is known, and has asked for no nonce yet.
    let get = Request::get(format!("{}/x", mock.origin)).body(Full::<Bytes>::default()).expect("a request");
    collected(send(&session, rules, get).await).await;
    let answer = send(&session, rules, put(&mock.origin, Parts(3, Bytes::from("part.")))).await;
    assert_eq!(collected(answer).await, "part.part.part.");
    assert_eq!(mock.seen().len(), 3);
}

#[tokio::test]
async fn cl_tok_06_cl_tok_10_a_token_that_is_refused_is_renewed_once_for_all() {
    let mock = Mock::start(|seen, _| match (seen.target.as_str(), seen.authorization()) {
        ("/token", _) => reply(200, &[], TOKENS),
        (_, Some("DPoP token-2")) => reply(200, &[], &String::from_utf8_lossy(&seen.body)),
        _ => reply(401, &[INVALID_TOKEN], ""),
    })
    .await;
    let session = shared(&mock.origin);
    let calls = (0..20).map(|_| {
        let (session, request) = (session.clone(), put(&mock.origin, Full::from("all")));
        tokio::spawn(async move { collected(send(&session, Rules::default(), request).await).await })
    });
    for call in Vec::from_iter(calls) {
        assert_eq!(call.await.expect("joined"), "all");
    }
    assert_eq!(mock.seen().iter().filter(|seen| seen.target == "/token").count(), 1);
}

#[tokio::test]
async fn cl_red_01_atk_122_redirects_are_the_callers() {
    let mock = Mock::start(|_, _| reply(307, &[("Location", "/there")], "")).await;
    let answer = send(&shared(&mock.origin), Rules::default(), put(&mock.origin, Full::from("all"))).await;
    assert_eq!((answer.expect("an answer").status().as_u16(), mock.seen().len()), (307, 1));
}
