//! Who may register: everybody, or who shows an initial access token (RFC 7591 §1.2, §3). That is one of our own making,
//! good for so many clients; or an access token for this endpoint, to which all rules of a protected resource apply.

use crate::clients::Origin;
use crate::config::{REGISTRATION_SCOPE, RegistrationMode};
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use crate::respond;
use crate::store::{Credential, Fault, Id, InitialToken, SecretHash, Store};
use axum::body::Body;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use keybound_dpop::jose::crypto::{CryptoError, random};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Now, UnixTime};
use keybound_oauth::error::ErrorCode;
use keybound_oauth::scope::Scope;
use keybound_resource::{Access, Rejection};
use serde_json::Value;
use std::net::SocketAddr;

/// Why somebody may register a client.
#[derive(Debug)]
pub enum Admitted {
    /// Everybody may.
    Anybody,
    /// By an initial access token, which is used when the client is written.
    ByToken(Id, SecretHash),
    /// By an access token.
    ByAccess(Box<Access>),
}

/// Why somebody may not.
#[derive(Debug)]
pub enum Refused {
    /// Said as any refusal.
    Plainly(Refusal),
    /// With a challenge for the token that is no good.
    Unauthorized(Denied),
    /// With a challenge for a token: there was none, so that there is nothing wrong with it (RFC 6750 §3.1).
    Anonymous(Denied),
    /// The guard said no.
    ByGuard(Box<Rejection>),
}

impl<R: Into<Refusal>> From<R> for Refused {
    fn from(refusal: R) -> Self {
        Self::Plainly(refusal.into())
    }
}

/// Judges the `Authorization` header.
///
/// # Errors
/// [`Refused`]
pub async fn admit(provider: &Provider, parts: &Parts, now: Now) -> Result<Admitted, Refused> {
    if !parts.headers.contains_key(AUTHORIZATION) {
        return match provider.config.registration.mode {
            RegistrationMode::Open => Ok(count(provider, parts).map(|()| Admitted::Anybody)?),
            RegistrationMode::Token | RegistrationMode::Off => Err(Refused::Anonymous(Denied::new(
                ErrorCode::InvalidToken,
                "AS-DCR-12",
                "registration needs an initial access token: ask the operator for one",
            ))),
        };
    }
    // What is no initial access token by its form is an access token, and the guard's.
    match bearer(&parts.headers).and_then(|token| Credential::parse(token.reveal())) {
        Some((id, hash)) => {
            let found = provider.store.find_initial_token(id, &hash).await?;
            let is_good = found.is_some_and(|token| now.unix < token.expires_at && token.uses_left > 0);
            is_good.then_some(Admitted::ByToken(id, hash)).ok_or_else(spent)
        }
        None => admit_by_access(provider, parts).await,
    }
}

/// Counts what somebody without a token has us write down, and fetch (AS-DCR-12).
///
/// # Errors
/// 429 where there was too much from that address.
pub fn count(provider: &Provider, parts: &Parts) -> Result<(), Denied> {
    let Some(peer) = parts.extensions.get::<SocketAddr>() else { return Ok(()) };
    provider.limits.registration(peer.ip(), provider.now().monotonic, &provider.metrics)
}

/// The refusal of an initial access token.
#[must_use]
pub fn spent() -> Refused {
    let wire = "the initial access token is unknown, has expired, or was used as often as it may be";
    Refused::Unauthorized(Denied::new(ErrorCode::InvalidToken, "AS-DCR-12", wire))
}

/// RFC 9449 §7: bound, with a proof, for this endpoint and with its scope; and of a client that an operator let have it, in
/// its own name.
async fn admit_by_access(provider: &Provider, parts: &Parts) -> Result<Admitted, Refused> {
    let rejected = |rejection| Refused::ByGuard(Box::new(rejection));
    let Some(guard) = &provider.registration else { return Err(spent()) };
    let access = guard.check(parts, &provider.targets.register).await.map_err(rejected)?;
    let scope = Scope::parse(REGISTRATION_SCOPE).unwrap_or_default();
    guard.require_scope(&access, &scope, parts).map_err(rejected)?;
    let jti = access.claims().get("jti").and_then(Value::as_str).unwrap_or_default();
    let client_id = access.client_id().unwrap_or_default();
    let client = provider.clients.find(&provider.store, client_id, provider.now()).await?;
    let is_trusted = client.is_some_and(|client| {
        client.origin == Origin::Operator
            && access.subject() == client_id
            && client.scope.as_ref().is_some_and(|scope| scope.contains(REGISTRATION_SCOPE))
    });
    match is_trusted && !provider.store.is_revoked(crate::issue::grant_of(jti), jti).await? {
        true => Ok(Admitted::ByAccess(Box::new(access))),
        false => Err(rejected(guard.refuse_revoked(&access, parts))),
    }
}

/// The token of a `Bearer` credential (RFC 6750 §2.1), where there is exactly one.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let (scheme, token) = line.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| Secret::new(token))
}

impl Refused {
    /// The answer. Writes the audit event.
    #[must_use]
    pub fn respond(self) -> Response<Body> {
        match self {
            Self::Plainly(refusal) => respond::refusal(&refusal, None),
            Self::ByGuard(rejection) => rejection.into_response().map(Body::new),
            Self::Unauthorized(denied) => {
                challenge(denied, "Bearer realm=\"registration\", error=\"invalid_token\"")
            }
            Self::Anonymous(denied) => challenge(denied, "Bearer realm=\"registration\""),
        }
    }
}

fn challenge(denied: Denied, challenge: &'static str) -> Response<Body> {
    let denied = denied.status(StatusCode::UNAUTHORIZED);
    let mut response = respond::refusal(&denied.into(), None);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

/// Makes an initial access token, good for that many clients until then. It is shown once.
///
/// # Errors
/// Without entropy; [`Fault`] where the store does not answer.
pub async fn make_initial_token(
    store: &Store,
    uses: u32,
    life_secs: u64,
    now: UnixTime,
) -> Result<Secret, Fault> {
    let entropy = random().map_err(|error: CryptoError| Fault::because(error.to_string()))?;
    let (id, text, secret_hash) = Credential::mint(now, &entropy);
    let expires_at = now.plus_secs(life_secs);
    store.insert_initial_token(InitialToken { id, secret_hash, expires_at, uses_left: uses }).await?;
    Ok(text)
}
