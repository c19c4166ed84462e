//! Request objects (RFC 9101): verified with the keys that are registered for the client, fetched only from where it is
//! registered to keep them.

use super::asked::Asked;
use super::parameters::Begun;
use crate::clients::{Origin, RegisteredClient};
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::{UnverifiedJwt, VerifiedJwt};
use keybound_oauth::error::ErrorCode;
use keybound_oauth::form::{Form, FormWriter};
use keybound_oauth::pushed::reference;
use keybound_oauth::request_object::{self, RequestObjectError};
use tokio::sync::Semaphore;
use url::Url;

/// Bytes of a request object that is fetched, at the most: it travels on by value.
const MAX_FETCHED_BYTES: usize = 6 * 1024;
/// Request objects that are fetched at one time for operators' clients, and as many for others.
const MAX_FETCHES: usize = 16;

/// How many request objects may be fetched at one time: visitors make us do it. Sites that strangers chose may be slow on
/// purpose, and hold up nobody but strangers.
#[derive(Debug)]
pub(crate) struct Fetches {
    operators: Semaphore,
    strangers: Semaphore,
}

impl Default for Fetches {
    fn default() -> Self {
        Self { operators: Semaphore::new(MAX_FETCHES), strangers: Semaphore::new(MAX_FETCHES) }
    }
}

impl Fetches {
    const fn of(&self, client: &RegisteredClient) -> &Semaphore {
        match client.origin {
            Origin::Operator => &self.operators,
            Origin::Registered | Origin::Document => &self.strangers,
        }
    }
}

fn invalid(row: &'static str, wire: impl Into<String>) -> Denied {
    Denied::new(ErrorCode::InvalidRequestObject, row, wire)
}

impl From<RequestObjectError> for Denied {
    fn from(error: RequestObjectError) -> Self {
        let row = match error {
            RequestObjectError::Encrypted => "AS-JAR-08",
            RequestObjectError::Malformed => "AS-JAR-02",
            RequestObjectError::Type | RequestObjectError::Subject => "AS-JAR-05",
            RequestObjectError::Nested => "AS-JAR-04",
            RequestObjectError::Client(_) | RequestObjectError::Audience => "AS-JAR-03",
            RequestObjectError::Time(_) => "FMS-02",
            RequestObjectError::WrongType(_) | RequestObjectError::Parameter => "AS-JAR-01",
        };
        invalid(row, error.to_string())
    }
}

/// The parameters in a request object. `outer` is what stands beside it, of which nothing counts (RFC 9101 §6.3).
///
/// # Errors
/// `invalid_request_object`, `request_not_supported`; 503 where the client's keys cannot be had.
pub(super) async fn open(
    provider: &Provider,
    client: &RegisteredClient,
    object: &str,
    outer: &Form,
    begun: Begun,
) -> Result<Form, Refusal> {
    if client.jwks.is_none() && client.jwks_uri.is_none() {
        let wire = "`request` is for clients with registered keys";
        return Err(Denied::new(ErrorCode::RequestNotSupported, "AS-JAR-06", wire).into());
    }
    let jwt = request_object::parse(object).map_err(Denied::from)?;
    let verified = verify(accepted(provider, client), client, &jwt).await?;
    let form = request_object::parameters(&verified, &client.id, &provider.config.issuer);
    let form = form.map_err(Denied::from)?;
    // A page of ours carries the very object that was in time when the visitor came with it.
    if begun == Begun::Now {
        let needed = client.require_signed_request_object;
        request_object::check_times(&verified, provider.unix(), needed).map_err(Denied::from)?;
    }
    if outer.has("dpop_jkt") && outer.get("dpop_jkt") != form.get("dpop_jkt") {
        let wire = "`dpop_jkt` must be in the request object, and not another one beside it";
        return Err(Denied::new(ErrorCode::InvalidRequest, "AS-COD-05", wire).into());
    }
    Ok(form)
}

async fn verify(
    accepted: AlgorithmSet,
    client: &RegisteredClient,
    jwt: &UnverifiedJwt<'_>,
) -> Result<VerifiedJwt, Refusal> {
    let not_theirs = || {
        let names = accepted.names().join(", ");
        invalid(
            "AS-JAR-02",
            format!("the request object must be signed with a registered key by one of {names}"),
        )
    };
    let header = jwt.header().map_err(|_| not_theirs())?;
    let algorithm = header.string("alg").ok().flatten().and_then(Algorithm::parse);
    let algorithm = algorithm.filter(|algorithm| accepted.contains(*algorithm)).ok_or_else(not_theirs)?;
    let kid = jwt.kid().map_err(|_| not_theirs())?;
    let keys = client.keys(kid.as_deref()).await.map_err(|error| {
        Refusal::Unavailable(format!("the keys of client {} cannot be fetched: {error}", client.id))
    })?;
    let candidates = keys.candidates(kid.as_deref(), algorithm);
    jwt.verify(accepted, candidates).map_err(|error| not_theirs().log(&error.to_string()).into())
}

/// Those of the client's profile, and out of them the one that it registered, where it did; none is RS256 for a client
/// that must sign (FMS-03).
fn accepted(provider: &Provider, client: &RegisteredClient) -> AlgorithmSet {
    let allowed = provider.config.profile.of(client).signature_algorithms().iter().copied();
    let chosen: Vec<Algorithm> = match client.request_object_signing_alg {
        Some(only) => allowed.filter(|known| *known == only).collect(),
        None if client.require_signed_request_object => {
            allowed.filter(|known| *known != Algorithm::Rs256).collect()
        }
        None => allowed.collect(),
    };
    AlgorithmSet::of(&chosen)
}

/// What is said of a `request_uri` that is not fetched (OpenID Connect Core §6.2).
pub(super) fn not_fetched(client: &RegisteredClient) -> Denied {
    match client.request_uris.is_empty() {
        true => {
            let wire = "`request_uri` is for pushed requests, and for clients that registered `request_uris`";
            Denied::new(ErrorCode::RequestUriNotSupported, "AS-JAR-07", wire)
        }
        false => {
            let wire = "`request_uri` must be one that is registered for the client";
            Denied::new(ErrorCode::InvalidRequestUri, "AS-JAR-07", wire)
        }
    }
}

/// Fetches the request object that a request refers to, so that it goes on by value: what the user is shown is what the
/// client gets. None where there is nothing that may be fetched.
///
/// # Errors
/// `invalid_request_uri` where it cannot be had.
pub(super) async fn dereference(provider: &Provider, asked: &Asked) -> Result<Option<Asked>, Refusal> {
    let Some(uri) = asked.form.get("request_uri").filter(|uri| reference(uri).is_none()) else {
        return Ok(None);
    };
    let client_id = asked.form.get("client_id").unwrap_or_default();
    let found = provider.clients.find(&provider.store, client_id, provider.now()).await?;
    let Some(client) = found.filter(|client| !super::parameters::must_push(provider, client)) else {
        return Ok(None);
    };
    // OpenID Connect Core §6.2: a fragment is the client's note about the content, and no part of the place.
    let place = uri.split('#').next().unwrap_or_default();
    let Some(url) = client.request_uris.iter().find(|known| known.as_str() == place) else { return Ok(None) };
    if asked.form.has("request") {
        return Ok(None);
    }
    // In a place of its own: what it needs to fetch is more than all that others need.
    let object = Box::pin(fetch(provider, &client, url.url())).await?;
    let outer = asked.form.get("dpop_jkt");
    let by_value = FormWriter::new().pair("client_id", client_id).pair("request", &object);
    // For an answer to a request whose object turns out to be unfit.
    let by_value = ["redirect_uri", "state", "response_mode"]
        .into_iter()
        .fold(by_value, |form, name| form.optional(name, asked.form.get(name)));
    let by_value = by_value.optional("dpop_jkt", outer).finish();
    Ok(Some(Asked::of(Form::parse_query(&by_value).map_err(Denied::from)?)?))
}

async fn fetch(provider: &Provider, client: &RegisteredClient, url: &Url) -> Result<String, Refusal> {
    let Ok(_permit) = provider.memory.fetches.of(client).try_acquire() else {
        return Err(Refusal::Unavailable(format!("{MAX_FETCHES} request objects are being fetched")));
    };
    let unusable = |why: &str| {
        let wire =
            format!("`request_uri` must lead to a request object of at most {MAX_FETCHED_BYTES} octets");
        Denied::new(ErrorCode::InvalidRequestUri, "AS-JAR-07", wire).log(why)
    };
    let fetched = client.fetcher().get_capped(url, MAX_FETCHED_BYTES).await;
    let fetched = fetched.map_err(|error| unusable(&error.to_string()))?;
    let object = String::from_utf8(fetched.body.to_vec()).map_err(|_| unusable("not UTF-8"))?;
    Ok(object.trim().to_owned())
}
