//! The token endpoint (RFC 6749 §3.2, RFC 9449 §5), read as a sentence.

use crate::extract::{Call, form_call};
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::respond::Answer;
use crate::{audit, authenticate, grant, issue, prove, respond};
use axum::body::Body;
use axum::extract::State;
use http::{Request, Response, StatusCode};
use keybound_dpop::time::Now;
use keybound_oauth::client_metadata::GrantType;
use std::sync::Arc;

/// Answers a token request.
pub async fn handle(State(provider): State<Arc<Provider>>, request: Request<Body>) -> Response<Body> {
    let now = provider.now();
    let result = async {
        let call = form_call(request, provider.targets.token.clone()).await?;
        answer(&provider, &call, now).await
    };
    respond::to_proof(&provider, result.await, now.unix)
}

async fn answer(provider: &Arc<Provider>, call: &Call, now: Now) -> Result<Answer, Refusal> {
    let client = authenticate::client(provider, call, now).await?;
    let proof = prove::verify(provider, &client, call, now)?;
    let grant = grant::find(provider, &client, call, now).await?;
    issue::check_keys(provider, &client.client, now.unix)?;
    let proof = prove::record(provider, &client, proof, now)?;
    let wants_new_nonce = proof.as_ref().is_some_and(|proof| proof.wants_new_nonce());
    let granted = grant::redeem(provider, &client, grant, proof, issue::mint()?, now).await?;
    provider.clients.note_use(&granted.client, now);
    issued(provider, call, &granted);
    let json = issue::tokens(provider, granted, now.unix)?.to_json();
    Ok(Answer { status: StatusCode::OK, json, wants_new_nonce })
}

/// Counts it, and writes the event (OPS-LOG-02).
fn issued(provider: &Provider, call: &Call, granted: &grant::Granted) {
    let grant_type = call.form.get("grant_type").and_then(GrantType::parse);
    if let Some(grant_type) = grant_type {
        provider.metrics.issued(grant_type);
    }
    audit::issued(provider, grant_type, granted);
}
