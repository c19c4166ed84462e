//! The device authorization endpoint (RFC 8628 §3.1), read as a sentence.

use crate::device::{self, DeviceRequest};
use crate::extract::{Call, form_call};
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::{authenticate, prove, respond};
use axum::body::Body;
use axum::extract::State;
use http::{Request, Response, StatusCode};
use keybound_dpop::time::Now;
use keybound_oauth::device::DeviceAuthorizationResponse;
use std::sync::Arc;

/// What is sent back: the codes, and whether a new nonce is due.
struct Answer {
    codes: DeviceAuthorizationResponse,
    wants_new_nonce: bool,
}

/// Answers a device authorization request.
pub async fn handle(State(provider): State<Arc<Provider>>, request: Request<Body>) -> Response<Body> {
    let now = provider.now();
    let result = match form_call(request, provider.targets.device_authorization.clone()).await {
        Ok(call) => answer(&provider, &call, now).await,
        Err(refusal) => Err(refusal),
    };
    match result {
        Ok(Answer { codes, wants_new_nonce }) => {
            let mut response = respond::private_json(StatusCode::OK, codes.to_json());
            if wants_new_nonce {
                respond::put_nonce(response.headers_mut(), &provider.nonces.issue(now.unix));
            }
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
    let proof = prove::offered(provider, &client, call, now)?;
    let jkt = proof.as_ref().map(|proof| *proof.jkt());
    let asked = DeviceRequest::judge(provider, &client.client, &call.form, jkt)?;
    let proof = prove::record(provider, &client, proof, now)?;
    let wants_new_nonce = proof.as_ref().is_some_and(|proof| proof.wants_new_nonce());
    Ok(Answer { codes: device::issue(provider, asked, now.unix).await?, wants_new_nonce })
}
