//! Servers that rotate their nonces while many requests are under way.

use crate::mock::{CHALLENGE, Mock, api, get, reply};
use axum::body::Body;
use http::Response;
use keybound_client::api::{Api, ApiSettings};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A resource that gives a new nonce every so many requests, and takes the one before as well.
async fn rotating(every: usize, refused: Arc<AtomicUsize>) -> Mock {
    Mock::start(move |seen, before| -> Response<Body> {
        let epoch = before / every;
        let given = seen.nonce().and_then(|nonce| nonce.strip_prefix('n')?.parse().ok());
        let nonce = format!("n{epoch}");
        if given.is_some_and(|given: usize| epoch.saturating_sub(given) <= 1) {
            return reply(200, &[("DPoP-Nonce", &nonce)], "");
        }
        refused.fetch_add(1, Ordering::SeqCst);
        reply(401, &[CHALLENGE, ("DPoP-Nonce", &nonce)], "")
    })
    .await
}

async fn call(api: &Api, origin: &str, times: usize) {
    for _ in 0..times {
        let answer = api.send(get(format!("{origin}/x"))).await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn cl_non_07_after_the_first_request_none_is_refused_one_by_one() {
    let refused = Arc::default();
    let mock = rotating(7, Arc::clone(&refused)).await;
    call(&api(&mock.origin, ApiSettings::default()), &mock.origin, 1000).await;
    assert_eq!(refused.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn cl_non_07_cl_non_09_after_the_first_request_none_is_refused_with_64_under_way() {
    let refused = Arc::default();
    // As many as can be under way between two nonces of a server that takes the one before as well.
    let mock = rotating(256, Arc::clone(&refused)).await;
    let api = api(&mock.origin, ApiSettings::default());
    call(&api, &mock.origin, 1).await;
    let callers = (0..64).map(|_| {
        let (api, origin) = (api.clone(), mock.origin.clone());
        tokio::spawn(async move { call(&api, &origin, 32).await })
    });
    for caller in Vec::from_iter(callers) {
        caller.await.expect("joined");
    }
    assert_eq!(refused.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn cl_non_09_fifty_at_once_while_the_nonce_changes() {
    let current = Arc::new(AtomicUsize::new(0));
    let at_server = Arc::clone(&current);
    let mock = Mock::start(move |seen, _| {
        let nonce = format!("n{}", at_server.load(Ordering::SeqCst));
        match seen.nonce() {
            Some(given) if given == nonce => reply(200, &[], ""),
            _ => reply(401, &[CHALLENGE, ("DPoP-Nonce", &nonce)], ""),
        }
    })
    .await;
    let api = api(&mock.origin, ApiSettings::default());
    call(&api, &mock.origin, 1).await;
    let callers = (0..50).map(|index| {
        if index == 25 {
            current.store(1, Ordering::SeqCst);
        }
        let (api, origin) = (api.clone(), mock.origin.clone());
        tokio::spawn(async move { call(&api, &origin, 2).await })
    });
    for caller in Vec::from_iter(callers) {
        caller.await.expect("joined");
    }
    assert!(mock.seen().len() <= 2 + 50 * 3, "a lost race costs one request");
}
