//! Introspection (RFC 7662, RFC 9701): what stands behind a token, for who may know. The token that is asked about needs
//! no proof here, and its binding is told, not judged (RFC 9449 §6.2).

use super::userinfo::Shared;
use crate::access::{self, LiveToken};
use crate::clients::RegisteredClient;
use crate::config::INTROSPECT_SCOPE;
use crate::extract::{Call, form_call};
use crate::provider::{Provider, StartError};
use crate::refusal::{Denied, Refusal};
use crate::signing_keys::{DEFAULT_ALGORITHM, KeyUse};
use crate::store::{Credential, RefreshToken, RefreshTokenState};
use crate::{authenticate, issue, prove, respond, subject};
use axum::body::Body;
use axum::extract::State;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use keybound_dpop::confirmation::Confirmation;
use keybound_dpop::time::Now;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::introspection::{ActiveToken, IntrospectionRequest, IntrospectionResponse, MEDIA_TYPE};
use keybound_oauth::scope::Scope;
use keybound_oauth::token::TokenType;
use keybound_resource::{Access, DpopUse, Guard, LocalKeys, Rejection};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The guard of the endpoint, for callers that show an access token.
///
/// # Errors
/// [`StartError`]
pub fn guard(shared: &Shared<'_>, keys: &LocalKeys, audience: &str) -> Result<Guard, StartError> {
    super::userinfo::guard(shared, keys, (audience, INTROSPECT_SCOPE), DpopUse::Required)
}

/// Why there is no answer.
enum Refused {
    ByGuard(Box<Rejection>),
    Otherwise(Refusal),
}

impl<R: Into<Refusal>> From<R> for Refused {
    fn from(refusal: R) -> Self {
        Self::Otherwise(refusal.into())
    }
}

/// Answers an introspection request.
pub async fn handle(State(provider): State<Arc<Provider>>, request: Request<Body>) -> Response<Body> {
    match answer(&provider, request).await {
        Ok(response) => response,
        Err(Refused::ByGuard(rejection)) => rejection.into_response().map(Body::new),
        Err(Refused::Otherwise(refusal)) => respond::refusal(&refusal, None),
    }
}

async fn answer(provider: &Arc<Provider>, request: Request<Body>) -> Result<Response<Body>, Refused> {
    let now = provider.now();
    let (head, body) = request.into_parts();
    let access = match shows_access_token(&head.headers) {
        true => Some(judge_access(provider, &head).await?),
        false => None,
    };
    let call = form_call(Request::from_parts(head, body), provider.targets.introspect.clone()).await?;
    let caller = match &access {
        Some(access) => access.client_id().unwrap_or_default().to_owned(),
        None => authenticate_caller(provider, &call, now).await?,
    };
    let request = IntrospectionRequest::parse(&call.form).map_err(Denied::from)?;
    let found = look_up(provider, &caller, request.token.reveal(), now).await?;
    let mut response = match wants_jwt(&call.headers) {
        true => signed(provider, &caller, &found, now).await?,
        false => respond::private_json(StatusCode::OK, found.to_json().to_string()),
    };
    if let Some(access) = &access {
        provider.introspection.complete(access, response.headers_mut());
    }
    Ok(response)
}

/// Whether the caller shows who it is by an access token (RFC 7662 §2.1).
fn shows_access_token(headers: &HeaderMap) -> bool {
    let line = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let scheme = line.split(' ').next().unwrap_or_default();
    ["DPoP", "Bearer"].iter().any(|known| known.eq_ignore_ascii_case(scheme))
}

/// All rules of a protected resource hold for the caller's own token (RFC 9449 §7).
async fn judge_access(provider: &Provider, head: &Parts) -> Result<Access, Refused> {
    let guard = &provider.introspection;
    let rejected = |rejection| Refused::ByGuard(Box::new(rejection));
    let access = guard.check(head, &provider.targets.introspect).await.map_err(rejected)?;
    let scope = Scope::parse(INTROSPECT_SCOPE).unwrap_or_default();
    guard.require_scope(&access, &scope, head).map_err(rejected)?;
    let jti = access.claims().get("jti").and_then(Value::as_str).unwrap_or_default();
    let client_id = access.client_id().unwrap_or_default();
    // What a client was given ends with it.
    let is_there = provider.clients.is_there(&provider.store, client_id, provider.now()).await?;
    match is_there && !provider.store.is_revoked(issue::grant_of(jti), jti).await? {
        true => Ok(access),
        false => Err(rejected(guard.refuse_revoked(&access, head))),
    }
}

/// Anonymous callers could scan for tokens (RFC 7662 §4).
async fn authenticate_caller(provider: &Provider, call: &Call, now: Now) -> Result<String, Refusal> {
    let client = authenticate::client(provider, call, now).await?;
    if client.client.is_public() {
        let wire = "introspection is for clients that authenticate";
        return Err(Denied::new(ErrorCode::InvalidClient, "AS-INT-04", wire).into());
    }
    prove::record(provider, &client, None, now)?;
    Ok(client.client.id.to_string())
}

/// Whatever is not good, or not the caller's to know of, looks the same.
async fn look_up(
    provider: &Provider,
    caller: &str,
    text: &str,
    now: Now,
) -> Result<IntrospectionResponse, Refusal> {
    if let Some(token) = access::find(provider, text, now).await? {
        let is_theirs =
            token.client_id() == caller || provider.config.is_resource_in(caller, token.claims.aud.iter());
        return Ok(if is_theirs { of_access_token(token) } else { IntrospectionResponse::Inactive });
    }
    let Some((id, hash)) = Credential::parse(text) else { return Ok(IntrospectionResponse::Inactive) };
    let found = provider.store.find_refresh_token(id, &hash).await?;
    let found = found.map(|(token, _)| token).filter(|token| {
        token.client_id == caller
            && token.state == RefreshTokenState::Live
            && now.unix < token.expires_at.min(token.idle_expires_at)
    });
    let client = provider.clients.find(&provider.store, caller, now).await?;
    let Some((token, client)) = found.zip(client) else { return Ok(IntrospectionResponse::Inactive) };
    Ok(of_refresh_token(provider, &client, &token))
}

fn of_access_token(token: LiveToken) -> IntrospectionResponse {
    let token_type = match token.claims.confirmation {
        Confirmation::Jkt(_) => TokenType::Dpop,
        _ => TokenType::Bearer,
    };
    active(Some(token_type), token.all)
}

/// For its owner alone. `token_type` is the way to present an access token; a refresh token has none.
fn of_refresh_token(
    provider: &Provider,
    client: &RegisteredClient,
    token: &RefreshToken,
) -> IntrospectionResponse {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("iss", provider.config.issuer.as_str().into());
    put("sub", subject::seen_by(provider, client, &token.subject).into());
    put("client_id", token.client_id.as_str().into());
    put("scope", token.scope.join(" ").into());
    if !token.authorization_details.is_empty() {
        put("authorization_details", token.authorization_details.to_json());
    }
    put("iat", token.issued_at.as_secs().into());
    put("exp", token.expires_at.min(token.idle_expires_at).as_secs().into());
    if let Some(jkt) = &token.jkt {
        put("cnf", json!({ "jkt": jkt }));
    }
    active(None, members)
}

fn active(token_type: Option<TokenType>, members: Map<String, Value>) -> IntrospectionResponse {
    IntrospectionResponse::Active(Box::new(ActiveToken { token_type, members }))
}

/// RFC 9701 §4: the caller asks for a signed response by its media type.
fn wants_jwt(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = lines.flat_map(|line| line.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case(MEDIA_TYPE))
            && !parts.any(|parameter| ["q=0", "q=0.0"].contains(&parameter))
    })
}

async fn signed(
    provider: &Provider,
    caller: &str,
    found: &IntrospectionResponse,
    now: Now,
) -> Result<Response<Body>, Refusal> {
    let client = provider.clients.find(&provider.store, caller, now).await?;
    let algorithm = client.and_then(|client| client.introspection_signed_response_alg);
    let algorithm = algorithm.unwrap_or(DEFAULT_ALGORITHM);
    let key = provider.signing_keys.signer(KeyUse::Messages, algorithm, now.unix)?;
    let parties = (provider.config.issuer.as_str(), caller);
    let jwt = found.sign(&key.key, Some(&key.kid), parties, now.unix)?;
    let mut response = respond::private_json(StatusCode::OK, jwt);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    Ok(response)
}
