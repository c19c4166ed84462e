//! The device authorization endpoint (RFC 8628 §3.1), read as a sentence.

use crate::device::{self, DeviceRequest};
use crate::extract::{Call, form_call};
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::respond::Answer;
use crate::{authenticate, prove, respond};
use axum::body::Body;
use axum::extract::State;
use http::{Request, Response, StatusCode};
use keybound_dpop::time::Now;
use std::sync::Arc;

/// Answers a device authorization request.
pub async fn handle(State(provider): State<Arc<Provider>>, request: Request<Body>) -> Response<Body> {
    let now = provider.now();
    let result = async {
        let call = form_call(request, provider.targets.device_authorization.clone()).await?;
        answer(&provider, &call, now).await
    };
    respond::to_proof(&provider, result.await, now.unix)
}

async fn answer(provider: &Provider, call: &Call, now: Now) -> Result<Answer, Refusal> {
    let client = authenticate::client(provider, call, now).await?;
    let proof = prove::offered(provider, &client, call, now)?;
    let jkt = proof.as_ref().map(|proof| *proof.jkt());
    let asked = DeviceRequest::judge(provider, &client.client, &call.form, jkt)?;
    let proof = prove::record(provider, &client, proof, now)?;
    let wants_new_nonce = proof.as_ref().is_some_and(|proof| proof.wants_new_nonce());
    let json = device::issue(provider, asked, now.unix).await?.to_json();
    Ok(Answer { status: StatusCode::OK, json, wants_new_nonce })
}
