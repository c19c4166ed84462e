//! Who asks: client authentication (RFC 6749 §2.3, RFC 7523, OpenID Connect Core §9).

use crate::clients::RegisteredClient;
use crate::decoy;
use crate::extract::Call;
use crate::metrics::ClientCheck;
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::{UnverifiedJwt, VerifiedJwt};
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::replay::ReplayEntry;
use keybound_dpop::secret::Secret;
use keybound_dpop::target::Target;
use keybound_dpop::time::{Now, UnixTime};
use keybound_oauth::client_auth::{AssertionClaims, Presented};
use keybound_oauth::client_metadata::AuthMethod;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::identifier::ClientId;
use std::sync::Arc;

/// How far ahead `exp` may be (AS-CA-01).
const MAX_LIFE_SECS: u64 = 3600;
/// How far ahead `iat` and `nbf` may be (AS-CA-04).
const MAX_AHEAD_SECS: u64 = 60;
const MAX_JTI_LEN: usize = 256;

/// A client that has shown who it is; a public one has only said so.
#[derive(Debug)]
pub struct AuthenticatedClient {
    /// The client.
    pub client: Arc<RegisteredClient>,
    /// The assertion that it used, not yet recorded.
    pub assertion: Option<UsedAssertion>,
}

/// What is left of a verified assertion.
#[derive(Clone, Copy, Debug)]
pub struct UsedAssertion {
    /// What to record, so that it is used once (AS-CA-03).
    pub entry: ReplayEntry,
    /// The key that it is signed with.
    pub key: Thumbprint,
}

/// Finds out which client asks. Records nothing.
///
/// # Errors
/// `invalid_client` in every case but two methods at once, which is `invalid_request` (AS-CA-07); 429 for a client that has
/// shown who it is and asks too often.
pub async fn client(provider: &Provider, call: &Call, now: Now) -> Result<AuthenticatedClient, Refusal> {
    let by_header = call.headers.contains_key(AUTHORIZATION);
    let result = authenticate(provider, &call.headers, call, now).await;
    let client = result.map_err(|refusal| match refusal {
        Refusal::Denied(denied) => Refusal::Denied(Denied { by_header, ..denied }),
        unavailable @ Refusal::Unavailable(_) => unavailable,
    })?;
    if !client.client.is_public() {
        provider.clients.note_use(&client.client, now);
        let client_id = &client.client.id;
        let admitted = provider.limits.client(client_id.as_str(), now.monotonic, &provider.metrics);
        admitted.map_err(|denied| denied.by(client_id))?;
    }
    Ok(client)
}

/// What a client shows of itself; nothing vouches for it yet.
enum Shown<'p> {
    Nothing,
    Secret(&'p Secret),
    Assertion(UnverifiedJwt<'p>),
}

/// How a client says who it is, who that would be, and what it shows.
fn read(presented: &Presented) -> Result<(AuthMethod, ClientId, Shown<'_>), Denied> {
    Ok(match presented {
        Presented::None { client_id } => (AuthMethod::None, client_id.clone(), Shown::Nothing),
        Presented::Basic { client_id, client_secret } => {
            (AuthMethod::ClientSecretBasic, client_id.clone(), Shown::Secret(client_secret))
        }
        Presented::Post { client_id, client_secret } => {
            (AuthMethod::ClientSecretPost, client_id.clone(), Shown::Secret(client_secret))
        }
        Presented::Assertion { client_id, assertion } => {
            let jwt = UnverifiedJwt::parse(assertion.reveal()).map_err(|_| malformed())?;
            let claimed = claimed_client(&jwt, client_id.as_ref())?;
            (AuthMethod::PrivateKeyJwt, claimed, Shown::Assertion(jwt))
        }
    })
}

async fn authenticate(
    provider: &Provider,
    headers: &HeaderMap,
    call: &Call,
    now: Now,
) -> Result<AuthenticatedClient, Refusal> {
    let presented = Presented::read(headers, &call.form)
        .map_err(|error| Denied::new(error.code(), "AS-CA-07", error.to_string()))?;
    let (method, client_id, shown) = read(&presented)?;
    let found = provider.clients.find(&provider.store, client_id.as_str(), now).await?;
    let Some(client) = found else {
        match &shown {
            Shown::Nothing => {}
            Shown::Secret(secret) => decoy::check_secret(secret, &provider.metrics),
            Shown::Assertion(jwt) => decoy::check_assertion(jwt, &provider.metrics),
        }
        return Err(refused("AS-CA-07", "the client is unknown or its credentials are wrong")
            .log(client_id.as_str())
            .into());
    };
    if client.token_endpoint_auth_method != method {
        let wire = format!(
            "this client authenticates by {}; the request used {}",
            client.token_endpoint_auth_method.as_str(),
            method.as_str()
        );
        return Err(refused("AS-CA-07", wire).into());
    }
    let assertion = match &shown {
        Shown::Nothing => None,
        Shown::Secret(secret) => {
            provider.metrics.client_checked(ClientCheck::Secret);
            check_secret(&client, secret, now.unix)?;
            None
        }
        Shown::Assertion(jwt) => Some(check_assertion(provider, &client, jwt, &call.target, now.unix).await?),
    };
    Ok(AuthenticatedClient { client, assertion })
}

fn refused(row: &'static str, wire: impl Into<String>) -> Denied {
    Denied::new(ErrorCode::InvalidClient, row, wire)
}

fn malformed() -> Denied {
    refused("AS-CA-01", "the client assertion is not a JWT")
}

/// Compared as digests, in constant time (AS-CA-09).
fn check_secret(client: &RegisteredClient, presented: &Secret, now: UnixTime) -> Result<(), Denied> {
    match &client.client_secret {
        Some(secret) if secret.accepts(presented) => match client.secret_expires_at {
            Some(at) if at <= now => {
                let wire = "the client secret has expired: change the registration to get another one";
                Err(refused("AS-DCR-03", wire).log(client.id.as_str()))
            }
            _ => Ok(()),
        },
        _ => {
            Err(refused("AS-CA-09", "the client is unknown or its credentials are wrong")
                .log(client.id.as_str()))
        }
    }
}

/// Whose keys to try: `iss` of the assertion, which nothing vouches for yet.
fn claimed_client(jwt: &UnverifiedJwt<'_>, in_body: Option<&ClientId>) -> Result<ClientId, Denied> {
    let claims = jwt.claims().map_err(|_| malformed())?;
    let iss = claims.string("iss").ok().flatten();
    let iss = iss.ok_or_else(|| refused("AS-CA-01", "the client assertion needs `iss`, the client_id"))?;
    let client_id = ClientId::parse(iss).map_err(|_| malformed())?;
    if in_body.is_some_and(|in_body| *in_body != client_id) {
        return Err(refused("AS-CA-10", "`client_id` is not the client that authenticates"));
    }
    Ok(client_id)
}

/// RFC 7523 §3, with the key from the client's registration and nowhere else.
async fn check_assertion(
    provider: &Provider,
    client: &RegisteredClient,
    jwt: &UnverifiedJwt<'_>,
    called: &Target,
    now: UnixTime,
) -> Result<UsedAssertion, Refusal> {
    let (verified, key) = verify_assertion(provider, client, jwt).await?;
    let claims = verified.claims().map_err(|_| malformed())?;
    let claims = AssertionClaims::read(&claims).map_err(|wrong| refused("AS-CA-01", wrong.to_string()))?;
    check_parties(provider, client, &claims, called)?;
    let (jti, exp) = check_life(&claims, now)?;
    let key_of_jti =
        provider.replay_salt.assertion_key(provider.config.issuer.as_str(), client.id.as_str(), &jti);
    Ok(UsedAssertion { entry: ReplayEntry { key: key_of_jti, from: claims.iat, until: exp }, key })
}

/// Finds the registered key that the assertion is signed with.
async fn verify_assertion(
    provider: &Provider,
    client: &RegisteredClient,
    jwt: &UnverifiedJwt<'_>,
) -> Result<(VerifiedJwt, Thumbprint), Refusal> {
    let header = jwt.header().map_err(|_| malformed())?;
    let typ = header.string("typ").map_err(|_| malformed())?.unwrap_or("JWT");
    if !["JWT", "client-authentication+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ)) {
        let wire = "the `typ` of a client assertion must be JWT or left out";
        return Err(refused("DPOP-TYP-04", wire).log(typ).into());
    }
    let not_theirs = || {
        let wire = "the client assertion must be signed with a registered key under an accepted algorithm";
        refused("AS-CA-01", wire)
    };
    let algorithm = header.string("alg").ok().flatten().and_then(Algorithm::parse).ok_or_else(not_theirs)?;
    let kid = header.string("kid").map_err(|_| malformed())?;
    let keys = client.keys(kid).await.map_err(|error| {
        Refusal::Unavailable(format!("the keys of client {} cannot be fetched: {error}", client.id))
    })?;
    let mut accepted = AlgorithmSet::of(provider.config.profile.of(client).signature_algorithms());
    // OpenID Connect Registration §2: the one that is registered, where one is.
    if let Some(only) = client.token_endpoint_auth_signing_alg {
        accepted = accepted.intersection(AlgorithmSet::of(&[only]));
    }
    let verified_by = keys.candidates(kid, algorithm).find_map(|key| {
        provider.metrics.client_checked(ClientCheck::Assertion);
        jwt.verify(accepted, std::iter::once(key)).ok().map(|verified| (verified, key.thumbprint()))
    });
    Ok(verified_by.ok_or_else(not_theirs)?)
}

fn check_parties(
    provider: &Provider,
    client: &RegisteredClient,
    claims: &AssertionClaims,
    called: &Target,
) -> Result<(), Denied> {
    let us = Some(client.id.as_str());
    if claims.iss.as_deref() != us {
        return Err(refused("AS-CA-01", "`iss` of the client assertion must be the client_id"));
    }
    if claims.sub.as_deref() != us {
        return Err(refused("AS-CA-02", "`sub` of the client assertion must be the client_id"));
    }
    // RFC 9126 §2: the endpoint that is called is tolerated too (AS-PAR-16).
    let issuer = provider.config.issuer.as_str();
    let token_endpoint = provider.config.endpoint(crate::endpoint::TOKEN);
    let profile = provider.config.profile.of(client);
    let is_endpoint = |audience: &str| [token_endpoint.as_str(), called.as_str()].contains(&audience);
    if !claims.aud.as_ref().is_some_and(|aud| profile.accepts_audience(aud, issuer, is_endpoint)) {
        let wire = format!("`aud` of the client assertion must be the issuer, {issuer}");
        return Err(refused("AS-CA-06", wire));
    }
    Ok(())
}

/// Gives `jti` and the end of its life.
fn check_life(claims: &AssertionClaims, now: UnixTime) -> Result<(String, UnixTime), Denied> {
    let exp = claims.exp.ok_or_else(|| refused("AS-CA-01", "the client assertion needs `exp`"))?;
    if exp <= now {
        let wire = format!("the client assertion has expired; server time {}", now.as_secs());
        return Err(refused("AS-CA-04", wire));
    }
    if exp > now.plus_secs(MAX_LIFE_SECS) {
        let wire = format!("`exp` of the client assertion must be at most {MAX_LIFE_SECS} s ahead");
        return Err(refused("AS-CA-01", wire));
    }
    let ahead = |time: &UnixTime| *time > now.plus_secs(MAX_AHEAD_SECS);
    if claims.iat.as_ref().is_some_and(ahead) || claims.nbf.as_ref().is_some_and(ahead) {
        let wire = format!("`iat` and `nbf` must not be ahead; server time {}", now.as_secs());
        return Err(refused("AS-CA-04", wire));
    }
    match claims.jti.as_deref() {
        Some(jti) if (1..=MAX_JTI_LEN).contains(&jti.len()) => Ok((jti.to_owned(), exp)),
        _ => Err(refused("AS-CA-03", "the client assertion needs a `jti` of 1 to 256 octets")),
    }
}
