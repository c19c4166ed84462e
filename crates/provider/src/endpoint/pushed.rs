//! The pushed authorization request endpoint (RFC 9126 §2), read as a sentence.

use crate::extract::{Call, form_call};
use crate::interaction::pushed;
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::{authenticate, prove, respond};
use axum::body::Body;
use axum::extract::State;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Request, Response, StatusCode};
use keybound_dpop::time::Now;
use keybound_oauth::pushed::PushedResponse;
use std::sync::Arc;

/// What is sent back: the reference, and whether a new nonce is due.
struct Answer {
    pushed: PushedResponse,
    wants_new_nonce: bool,
}

/// Answers a pushed authorization request.
pub async fn handle(State(provider): State<Arc<Provider>>, request: Request<Body>) -> Response<Body> {
    let now = provider.now();
    let result = match form_call(request, provider.targets.pushed.clone()).await {
        Ok(call) => answer(&provider, &call, now).await,
        Err(refusal) => Err(refusal),
    };
    match result {
        Ok(Answer { pushed, wants_new_nonce }) => {
            let mut response = respond::private_json(StatusCode::CREATED, pushed.to_json());
            if wants_new_nonce {
                respond::put_nonce(response.headers_mut(), &provider.nonces.issue(now.unix));
            }
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
            response
        }
        Err(refusal) => {
            let nonce = provider.uses_nonces().then(|| provider.nonces.issue(now.unix));
            respond::refusal(&refusal, nonce.as_ref())
        }
    }
}

async fn answer(provider: &Provider, call: &Call, now: Now) -> Result<Answer, Refusal> {
    let client = authenticate::client(provider, call, now).await?;
    pushed::admit(provider, &client.client, call.peer, now.monotonic)?;
    let proof = prove::offered(provider, &client, call, now)?;
    let jkt = proof.as_ref().map(|proof| proof.jkt());
    let parameters = pushed::accept(provider, &client.client, &call.form, jkt).await?;
    let proof = prove::record(provider, &client, proof, now)?;
    let wants_new_nonce = proof.as_ref().is_some_and(|proof| proof.wants_new_nonce());
    let pushed = pushed::keep(provider, &client.client, parameters, now.unix).await?;
    tracing::info!(target: "audit", event = "pushed", client_id = client.client.id.as_str());
    Ok(Answer { pushed, wants_new_nonce })
}
