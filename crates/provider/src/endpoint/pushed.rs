//! The pushed authorization request endpoint (RFC 9126 §2), read as a sentence.

use crate::audit::{self, Event, Facts};
use crate::extract::{Call, form_call};
use crate::interaction::pushed;
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::respond::Answer;
use crate::{authenticate, prove, respond};
use axum::body::Body;
use axum::extract::State;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Request, Response, StatusCode};
use keybound_dpop::time::Now;
use std::sync::Arc;

/// Answers a pushed authorization request.
pub async fn handle(State(provider): State<Arc<Provider>>, request: Request<Body>) -> Response<Body> {
    let now = provider.now();
    let result = async {
        let call = form_call(request, provider.targets.pushed.clone()).await?;
        answer(&provider, &call, now).await
    };
    let mut response = respond::to_proof(&provider, result.await, now.unix);
    if response.status() == StatusCode::CREATED {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    }
    response
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
    let client_id = Some(client.client.id.as_str());
    audit::write(Event::Pushed, &Facts { client_id, ..Facts::default() });
    Ok(Answer { status: StatusCode::CREATED, json: pushed.to_json(), wants_new_nonce })
}
