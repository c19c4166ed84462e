//! The token endpoint (RFC 6749 §3.2, RFC 9449 §5), read as a sentence.

use crate::extract::{Call, form_call};
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::{audit, authenticate, grant, issue, prove, respond};
use axum::body::Body;
use axum::extract::State;
use http::{Request, Response, StatusCode};
use keybound_dpop::time::Now;
use keybound_oauth::client_metadata::GrantType;
use keybound_oauth::token::TokenResponse;
use std::sync::Arc;

/// What is sent back: the tokens, and whether a new nonce is due.
struct Answer {
    tokens: TokenResponse,
    wants_new_nonce: bool,
}

/// Answers a token request.
pub async fn handle(State(provider): State<Arc<Provider>>, request: Request<Body>) -> Response<Body> {
    let now = provider.now();
    let result = match form_call(request, provider.targets.token.clone()).await {
        Ok(call) => answer(&provider, &call, now).await,
        Err(refusal) => Err(refusal),
    };
    match result {
        Ok(Answer { tokens, wants_new_nonce }) => {
            let mut response = respond::private_json(StatusCode::OK, tokens.to_json());
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

async fn answer(provider: &Arc<Provider>, call: &Call, now: Now) -> Result<Answer, Refusal> {
    let client = authenticate::client(provider, call, now).await?;
    let proof = prove::verify(provider, &client, call, now)?;
    let grant = grant::find(provider, &client, call, now).await?;
    issue::check_keys(provider, &client.client, now.unix)?;
    let proof = prove::record(provider, &client, proof, now)?;
    let wants_new_nonce = proof.as_ref().is_some_and(|proof| proof.wants_new_nonce());
    let granted = grant::redeem(provider, &client, grant, proof, issue::mint(now.unix)?, now).await?;
    issued(provider, call, &granted);
    Ok(Answer { tokens: issue::tokens(provider, granted, now.unix)?, wants_new_nonce })
}

/// Counts it, and writes the event (OPS-LOG-02).
fn issued(provider: &Provider, call: &Call, granted: &grant::Granted) {
    let grant_type = call.form.get("grant_type").and_then(GrantType::parse);
    if let Some(grant_type) = grant_type {
        provider.metrics.issued(grant_type);
    }
    audit::issued(provider, grant_type, granted);
}
