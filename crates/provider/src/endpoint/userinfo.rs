//! UserInfo (OpenID Connect Core §5.3): a protected resource like any other, behind the same guard.

use crate::access;
use crate::clients::RegisteredClient;
use crate::issue;
use crate::provider::{Provider, StartError};
use crate::refusal::Refusal;
use crate::respond;
use crate::signing_keys::{KeyUse, SigningKeys};
use axum::body::Body;
use axum::extract::State;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use keybound_dpop::nonce::NonceKeys;
use keybound_dpop::proof::error::Check;
use keybound_dpop::replay::{MemoryLog, ReplaySalt};
use keybound_dpop::time::{Clock, UnixTime};
use keybound_oauth::form::Form;
use keybound_oauth::scope::Scope;
use keybound_oauth::userinfo;
use keybound_resource::{
    Access, DpopUse, Guard, GuardConfig, Keys, LocalKeys, Reason, Rejection, ReplayLog, TokenProfile,
    TrustedIssuer,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The guards of UserInfo: the strict one, and the one for clients that may use bearer tokens there (DEC-05).
#[derive(Debug)]
pub struct UserinfoGuards {
    keys: LocalKeys,
    strict: Guard,
    legacy: Guard,
}

/// What the guards share with the other endpoints.
pub struct Shared<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// The nonces, where they are asked for.
    pub nonces: Option<&'a NonceKeys>,
    /// The replay log.
    pub replay: &'a Arc<MemoryLog>,
    /// Its salt.
    pub salt: &'a ReplaySalt,
    /// What proofs are accepted.
    pub policy: &'a keybound_dpop::proof::check::Policy,
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
}

impl UserinfoGuards {
    /// Both guards.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn new(shared: &Shared<'_>, signing_keys: &SigningKeys) -> Result<Self, StartError> {
        let keys = LocalKeys::new(signing_keys.key_set_of(KeyUse::Tokens, shared.clock.unix()));
        let guard = |dpop| guard(shared, &keys, (shared.issuer, "openid"), dpop);
        Ok(Self { strict: guard(DpopUse::Required)?, legacy: guard(DpopUse::Allowed)?, keys })
    }

    /// Our keys, for other guards of ours.
    #[must_use]
    pub const fn keys(&self) -> &LocalKeys {
        &self.keys
    }

    /// Takes the keys of tokens as they are now; where they are the same, what is remembered of tokens stays.
    pub fn replace_keys(&self, signing_keys: &SigningKeys, now: UnixTime) {
        let keys = signing_keys.key_set_of(KeyUse::Tokens, now);
        if *self.keys.current() != keys {
            self.keys.replace(keys);
        }
    }
}

/// A guard for tokens of ours, for that audience and scope.
pub(crate) fn guard(
    shared: &Shared<'_>,
    keys: &LocalKeys,
    (audience, scope): (&str, &str),
    dpop: DpopUse,
) -> Result<Guard, StartError> {
    let issuer = TrustedIssuer::new(shared.issuer, Keys::Local(keys.clone()), TokenProfile::Rfc9068);
    let config = GuardConfig {
        dpop,
        nonce: shared.nonces.cloned(),
        replay: ReplayLog::Memory(Arc::clone(shared.replay)),
        replay_salt: shared.salt.clone(),
        proof: shared.policy.clone(),
        scope: Scope::parse(scope).ok(),
        ..GuardConfig::new(issuer, audience, Arc::clone(shared.clock))?
    };
    Guard::new(config).map_err(|error| StartError::Store(error.to_string()))
}

/// Answers a UserInfo request, GET or POST.
pub async fn handle(State(provider): State<Arc<Provider>>, request: Request<Body>) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    if parts.method == Method::POST && !parts.headers.contains_key(AUTHORIZATION) {
        take_token_from_form(&mut parts, body).await;
    }
    let guards = &provider.userinfo;
    let guard = if provider.clients.any_legacy() { &guards.legacy } else { &guards.strict };
    let look_up = |token| access::look_up(&provider, token);
    let access = match guard.check_known(&parts, &provider.targets.userinfo, look_up).await {
        Ok(access) => access,
        Err(rejection) => {
            count(&provider, rejection.reason());
            return rejected(rejection);
        }
    };
    if access.jkt().is_some() {
        provider.metrics.proof_accepted_elsewhere();
    }
    match claims(&provider, guard, &access, &parts).await {
        Ok(mut response) => {
            guard.complete(&access, response.headers_mut());
            response
        }
        Err(NoClaims::Rejected(rejection)) => rejected(*rejection),
        Err(NoClaims::Unavailable(refusal)) => respond::refusal(&refusal, None),
    }
}

/// What the guard thought of the proof (OPS-LOG-05).
fn count(provider: &Provider, reason: &Reason) {
    let Reason::Proof(refusal) = reason else { return };
    match refusal.check() {
        Check::NonceMissing | Check::NonceUnknown => provider.metrics.nonce_challenged(),
        Check::Replay => provider.metrics.replayed(),
        _ => {}
    }
    if !matches!(refusal.check(), Check::NonceMissing | Check::NonceUnknown) {
        provider.metrics.proof_refused(reason.row());
    }
}

enum NoClaims {
    Rejected(Box<Rejection>),
    Unavailable(Refusal),
}

impl<R: Into<Refusal>> From<R> for NoClaims {
    fn from(refusal: R) -> Self {
        Self::Unavailable(refusal.into())
    }
}

/// The claims that the token lets out: what its scope stands for, and what was asked for by name when its grant was given.
async fn claims(
    provider: &Provider,
    guard: &Guard,
    access: &Access,
    parts: &Parts,
) -> Result<Response<Body>, NoClaims> {
    let openid = Scope::parse("openid").unwrap_or_default();
    guard
        .require_scope(access, &openid, parts)
        .map_err(|rejection| NoClaims::Rejected(Box::new(rejection)))?;
    let revoked = || NoClaims::Rejected(Box::new(guard.refuse_revoked(access, parts)));
    let jti = access.claims().get("jti").and_then(|jti| jti.as_str()).unwrap_or_default();
    let grant_id = issue::grant_of(jti).ok_or_else(revoked)?;
    let grant = provider.store.find_live_grant(grant_id, jti).await?.ok_or_else(revoked)?;
    let client_id = access.client_id().unwrap_or_default();
    // What a client was given ends with it.
    let client =
        provider.clients.find(&provider.store, client_id, provider.now()).await?.ok_or_else(revoked)?;
    // A bearer token is good here only for a client that is still marked so.
    if access.jkt().is_none() && !client.legacy_oidc {
        return Err(revoked());
    }
    let user = provider.store.find_user_by_subject(grant.subject.as_deref().unwrap_or_default()).await?;
    let known = user.ok_or_else(revoked)?.claims;
    // The `sub` of the token is that of the ID token that came with it (§5.3.2).
    let response = userinfo::response(access.subject(), access.scope(), &grant.claims.userinfo, &known);
    Ok(in_its_form(provider, &client, response)?)
}

/// JSON, or a JWT for a client that is registered for one (OpenID Connect Core §5.3.2).
fn in_its_form(
    provider: &Provider,
    client: &RegisteredClient,
    response: Map<String, Value>,
) -> Result<Response<Body>, Refusal> {
    let Some(algorithm) = client.userinfo_signed_response_alg else {
        return Ok(respond::private_json(StatusCode::OK, Value::Object(response).to_string()));
    };
    let key = provider.signing_keys.signer(KeyUse::Messages, algorithm, provider.unix())?;
    let parties = (provider.config.issuer.as_str(), client.id.as_str());
    let jwt = userinfo::sign(response, parties, &key.key, Some(&key.kid))?;
    let mut response = respond::private_json(StatusCode::OK, jwt);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(userinfo::JWT_MEDIA_TYPE));
    Ok(response)
}

/// A token in the body counts as a bearer token (RFC 6750 §2.2): the guard refuses it where it is bound (DEC-06).
async fn take_token_from_form(parts: &mut Parts, body: Body) {
    let is_form = parts.headers.get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
    });
    if !is_form {
        return;
    }
    let limited = http_body_util::Limited::new(body, keybound_oauth::form::MAX_FORM_BYTES);
    let Ok(collected) = limited.collect().await else { return };
    let token = Form::parse(&collected.to_bytes()).ok().and_then(|form| form.secret("access_token"));
    if let Some(value) =
        token.and_then(|token| HeaderValue::from_str(&format!("Bearer {}", token.reveal())).ok())
    {
        parts.headers.insert(AUTHORIZATION, value);
    }
}

fn rejected(rejection: Rejection) -> Response<Body> {
    rejection.into_response().map(Body::new)
}
