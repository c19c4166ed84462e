//! Revocation (RFC 7009). A refresh token ends with its whole grant, an access token alone. No proof is asked for: to end
//! a token is no use of it.

use crate::access;
use crate::audit::{self, Event, Facts};
use crate::extract::{Call, form_call};
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use crate::store::{Credential, RefreshTokenState, Write};
use crate::{authenticate, prove, respond};
use axum::body::Body;
use axum::extract::State;
use http::{Request, Response};
use keybound_dpop::time::Now;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::revocation::RevocationRequest;
use std::sync::Arc;

/// A token that can be ended.
struct Found {
    client_id: String,
    kind: &'static str,
    end: Write,
}

/// Answers a revocation request.
pub async fn handle(State(provider): State<Arc<Provider>>, request: Request<Body>) -> Response<Body> {
    let now = provider.now();
    let result = match form_call(request, provider.targets.revoke.clone()).await {
        Ok(call) => revoke(&provider, &call, now).await,
        Err(refusal) => Err(refusal),
    };
    match result {
        Ok(()) => respond::done(),
        Err(refusal) => respond::refusal(&refusal, None),
    }
}

/// RFC 7009 §2.2: that a token is unknown or has ended is what the client wants.
async fn revoke(provider: &Provider, call: &Call, now: Now) -> Result<(), Refusal> {
    let client = authenticate::client(provider, call, now).await?;
    let request = RevocationRequest::parse(&call.form).map_err(Denied::from)?;
    prove::record(provider, &client, None, now)?;
    let Some(found) = find(provider, request.token.reveal(), now).await? else { return Ok(()) };
    let client_id = client.client.id.as_str();
    if found.client_id != client_id {
        let wire = "the token was issued to another client";
        return Err(Denied::new(ErrorCode::UnauthorizedClient, "AS-REV-01", wire).into());
    }
    provider.store.write(vec![found.end]).await?;
    let facts = Facts { client_id: Some(client_id), why: Some(found.kind), ..Facts::default() };
    audit::write(Event::TokensRevoked, &facts);
    Ok(())
}

/// The token is looked for everywhere: `token_type_hint` could only save a look (RFC 7009 §2.1).
async fn find(provider: &Provider, text: &str, now: Now) -> Result<Option<Found>, Refusal> {
    if let Some(token) = access::find(provider, text, now).await? {
        let end = match token.row {
            Some(id) => Write::RemoveAccessToken { id },
            None => Write::RevokeToken { jti: token.jti().to_owned(), expires_at: token.claims.exp },
        };
        return Ok(Some(Found { client_id: token.client_id().to_owned(), kind: "access_token", end }));
    }
    let Some((id, hash)) = Credential::parse(text) else { return Ok(None) };
    let found = provider.store.find_refresh_token(id, &hash).await?;
    // One that was rotated still stands for its family.
    let found = found.filter(|(token, _)| {
        token.state != RefreshTokenState::Revoked && now.unix < token.expires_at.min(token.idle_expires_at)
    });
    Ok(found.map(|(token, grant)| Found {
        client_id: token.client_id,
        kind: "refresh_token",
        end: Write::RevokeGrant { id: grant.id, at: now.unix },
    }))
}
