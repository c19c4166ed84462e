//! What a client hands in for tokens: found without a lock, then decided, retired and written in one transaction.

mod agreed;
mod authorization_code;
mod client_credentials;
mod device_code;
mod refresh_token;
mod token_exchange;

pub use token_exchange::ExchangeRequest;

use crate::authenticate::AuthenticatedClient;
use crate::bind::Binding;
use crate::clients::RegisteredClient;
use crate::config::TokenForm;
use crate::extract::Call;
use crate::issue::{self, Minted};
use crate::provider::Provider;
use crate::reach::{Reach, Wanted};
use crate::refusal::{Denied, Refusal};
use crate::store::{AccessToken, Credential, Decided, Grant, Id, SecretHash, Write};
use keybound_dpop::proof::check::FreshProof;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Now, UnixTime};
use keybound_oauth::audience::Audience;
use keybound_oauth::client_metadata::GrantType;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::pkce::CodeVerifier;
use keybound_oauth::token::{GrantRequest, TokenRequest};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A grant that exists, and what is asked of it. Nothing is spent yet.
#[derive(Debug)]
pub enum Found {
    /// A code.
    Code(CodeRequest),
    /// A refresh token.
    Refresh(RefreshRequest),
    /// A device code.
    Device(DeviceRequest),
    /// The client for itself.
    Client(Reach),
    /// An access token.
    Exchange(Box<ExchangeRequest>),
}

/// A token request with a code.
#[derive(Clone, Debug)]
pub struct CodeRequest {
    id: Id,
    hash: SecretHash,
    redirect_uri: Option<String>,
    verifier: Option<CodeVerifier>,
    wanted: Wanted,
    claims: Map<String, Value>,
}

/// A token request with a refresh token.
#[derive(Clone, Debug)]
pub struct RefreshRequest {
    id: Id,
    hash: SecretHash,
    wanted: Wanted,
    claims: Map<String, Value>,
}

/// A token request with a device code.
#[derive(Clone, Debug)]
pub struct DeviceRequest {
    id: Id,
    hash: SecretHash,
    wanted: Wanted,
}

/// What was granted: all that the tokens will say. The rest is signing.
#[derive(Clone, Debug)]
pub struct Granted {
    /// To whom.
    pub client: Arc<RegisteredClient>,
    /// Whom the tokens speak for: a user or a client by its own `sub`, or as the exchanged token had it.
    pub subject: String,
    /// The `sub` by which the client knows the user, where that is another one.
    pub pairwise: Option<String>,
    /// What they allow.
    pub reach: Reach,
    /// `aud` of the access token.
    pub audience: Vec<String>,
    /// What they are bound to.
    pub binding: Binding,
    /// `jti` of the access token; begins with the grant's id where there is one.
    pub jti: String,
    /// A refresh token to hand out.
    pub refresh_token: Option<Secret>,
    /// The sign-in, where a user stands behind it.
    pub sign_in: Option<SignIn>,
    /// The access token itself, where it was written down with the decision; else it is to be signed.
    pub opaque: Option<Secret>,
    /// What the token that was exchanged leaves its mark on (RFC 8693).
    pub exchanged: Option<Exchanged>,
}

impl Granted {
    /// `sub` of the tokens.
    #[must_use]
    pub fn sub(&self) -> &str {
        self.pairwise.as_deref().unwrap_or(&self.subject)
    }
}

/// What a token hands on to the one that it is exchanged for, besides subject and scope.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// `act`: who acts now, and who did before (RFC 8693 §4.1).
    pub act: Option<Value>,
    /// The new token does not outlive this.
    pub not_after: UnixTime,
}

/// What an ID token says of the sign-in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The sign-in session that the grant was given in: what `sid` is made of.
    pub session_id: Option<Id>,
    /// `auth_time`
    pub auth_time: UnixTime,
    /// `nonce`; only with the code.
    pub nonce: Option<String>,
    /// `acr`
    pub acr: Option<String>,
    /// The claims that were asked for by name (OpenID Connect Core §5.5).
    pub claims: Map<String, Value>,
}

/// Looks for what the client hands in. Reads only: an unknown code records nothing.
///
/// # Errors
/// `invalid_request`, `unsupported_grant_type`, `unauthorized_client`, `invalid_grant`.
pub async fn find(
    provider: &Provider,
    client: &AuthenticatedClient,
    call: &Call,
    now: Now,
) -> Result<Found, Refusal> {
    let TokenRequest { grant, resources, authorization_details } =
        TokenRequest::parse(&call.form).map_err(Denied::from)?;
    let wanted = |scope| Wanted { scope, resources, details: authorization_details };
    let Some(grant_type) = GrantType::parse(grant.grant_type()) else {
        let wire = "this grant type is not offered";
        return Err(Denied::new(ErrorCode::UnsupportedGrantType, "AS-TOK-14", wire).into());
    };
    if !client.client.allows_grant(grant_type) {
        let wire = format!("the client is not registered for the grant type {}", grant_type.as_str());
        return Err(Denied::new(ErrorCode::UnauthorizedClient, "AS-CA-12", wire).into());
    }
    match grant {
        GrantRequest::AuthorizationCode { code, redirect_uri, code_verifier } => {
            authorization_code::find(provider, &code, redirect_uri, code_verifier, wanted(None)).await
        }
        GrantRequest::RefreshToken { refresh_token, scope } => {
            refresh_token::find(provider, &refresh_token, wanted(scope)).await
        }
        GrantRequest::ClientCredentials { scope } => {
            client_credentials::find(provider, &client.client, &wanted(scope))
        }
        GrantRequest::DeviceCode { device_code } => {
            device_code::find(provider, &device_code, wanted(None)).await
        }
        GrantRequest::TokenExchange(exchange) => {
            // Here and below, in a place of its own: it is large, and seldom.
            Box::pin(token_exchange::find(provider, &exchange, wanted(None), now)).await
        }
        GrantRequest::Other(_) => {
            Err(Denied::new(ErrorCode::UnsupportedGrantType, "AS-TOK-14", "this grant type is not offered")
                .into())
        }
    }
}

/// Decides, binds, retires and writes, in one transaction.
///
/// # Errors
/// The refusal of the rule that was not met; 503 where the store does not answer.
pub async fn redeem(
    provider: &Arc<Provider>,
    client: &AuthenticatedClient,
    found: Found,
    proof: Option<FreshProof>,
    minted: Minted,
    now: Now,
) -> Result<Granted, Refusal> {
    // On the heap: it goes through several hands on its way to the writer.
    let asker = Box::new(Asker {
        provider: Arc::clone(provider),
        client: Arc::clone(&client.client),
        proof,
        minted,
        now,
    });
    let redeemed = match found {
        Found::Code(request) => authorization_code::redeem(asker, request).await,
        Found::Refresh(request) => refresh_token::redeem(asker, request).await,
        Found::Device(request) => device_code::redeem(asker, request).await,
        Found::Exchange(request) => Box::pin(token_exchange::redeem(&asker, *request)).await,
        Found::Client(reach) => client_credentials::redeem(&asker, reach).await,
    };
    redeemed.map_err(|refusal| refusal.by(&client.client.id))
}

/// Who asks, with what: all that a decision needs to own.
struct Asker {
    provider: Arc<Provider>,
    client: Arc<RegisteredClient>,
    proof: Option<FreshProof>,
    minted: Minted,
    now: Now,
}

impl Asker {
    /// Writes the access token down where its resources take opaque ones; a JWT is nowhere but in the answer.
    fn keep(&self, granted: &mut Granted, grant_id: Option<Id>) -> Result<Option<Write>, Denied> {
        let (config, now) = (&self.provider.config, self.now.unix);
        if granted.reach.token_form(config)? == TokenForm::Jwt {
            return Ok(None);
        }
        let (id, text, secret_hash) = Credential::mint(now, &self.minted.access_entropy);
        let audience = Audience::of(granted.audience.clone());
        let claims = issue::new_access_token(config, granted, &audience, now).to_claims();
        let expires_at = issue::expires_at(config, granted, now);
        granted.opaque = Some(text);
        let token = AccessToken { id, secret_hash, grant_id, expires_at, claims };
        Ok(Some(Write::InsertAccessToken(Box::new(token))))
    }
}

/// What the store decided, as an answer.
fn settled(
    decided: Decided<Box<Granted>, Denied>,
    unknown: impl FnOnce() -> Denied,
) -> Result<Granted, Refusal> {
    match decided {
        Decided::Taken(granted) => Ok(*granted),
        Decided::Denied(denied) => Err(denied.into()),
        Decided::Unknown => Err(unknown().into()),
    }
}

/// The one answer to a code or refresh token that cannot be used. The log tells more than the wire.
fn invalid_grant(row: &'static str, why: &str) -> Denied {
    Denied::new(ErrorCode::InvalidGrant, row, why)
}

/// What is written where two parties hold what one was given: the family ends, and the user is asked again.
fn stolen(grant: &Grant, subject: &str, at: UnixTime) -> Vec<Write> {
    let (subject, client_id) = (subject.to_owned(), Some(grant.client_id.clone()));
    vec![Write::RevokeGrant { id: grant.id, at }, Write::ForgetConsentsOf { subject, client_id }]
}
