//! The client configuration endpoint (RFC 7592 §2): a client reads, replaces and removes its own registration.

use super::register::{read, written};
use crate::audit::Event;
use crate::config::RegistrationMode;
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use crate::registration::admission::{self, Refused, bearer};
use crate::registration::{policy, record, sector, statement};
use crate::respond;
use crate::store::{Client, Credential, Decided, SecretHash};
use axum::body::Body;
use axum::extract::{Path, State};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response, StatusCode};
use keybound_dpop::secret::Secret;
use keybound_oauth::client_secret::ClientSecret;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::registration::RegistrationRequest;
use serde_json::Value;
use std::sync::Arc;

/// Members that only we write: a request may repeat none of them but `client_secret`, as it is (RFC 7592 §2.2).
const OURS: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];

/// A client that its registration access token opens.
struct Managed {
    client: Client,
    token: Secret,
    hash: SecretHash,
}

/// Reads the registration (RFC 7592 §2.1).
pub async fn read_one(
    State(provider): State<Arc<Provider>>,
    Path(client_id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    match open(&provider, &client_id, &headers).await {
        Ok(managed) => {
            let information = record::information(&provider.config, &managed.client, managed.token, None);
            respond::private_json(StatusCode::OK, information.to_json())
        }
        Err(refused) => refused.respond(),
    }
}

/// Replaces the registration (RFC 7592 §2.2).
pub async fn change(
    State(provider): State<Arc<Provider>>,
    Path(client_id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let changed = async {
        let managed = open(&provider, &client_id, &parts.headers).await?;
        if provider.config.registration.mode == RegistrationMode::Open {
            admission::count(&provider, &parts)?;
        }
        let request = read(&parts.headers, body).await?;
        replace(&provider, managed, request).await
    };
    changed.await.unwrap_or_else(Refused::respond)
}

/// Ends the client and all that it was given (RFC 7592 §2.3).
pub async fn remove(
    State(provider): State<Arc<Provider>>,
    Path(client_id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let removed = async {
        let managed = open(&provider, &client_id, &headers).await?;
        provider.store.remove_client(&managed.client.client_id, provider.unix()).await?;
        written(&provider, Event::ClientRemoved, &client_id).await
    };
    match removed.await {
        Ok(()) => {
            let mut response = respond::done();
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Err(refused) => refused.respond(),
    }
}

/// An unknown client and a wrong token look the same, so that nobody can search for clients (OpenID Connect Registration
/// §4.4). The token of a client that is gone is gone with it.
async fn open(provider: &Provider, client_id: &str, headers: &HeaderMap) -> Result<Managed, Refused> {
    let denied = || {
        let wire = "`Authorization: Bearer` must hold the registration access token of this client";
        Denied::new(ErrorCode::InvalidToken, "AS-DCR-11", wire)
    };
    if !headers.contains_key(AUTHORIZATION) {
        return Err(Refused::Anonymous(denied()));
    }
    let wrong = || Refused::Unauthorized(denied());
    let token = bearer(headers).ok_or_else(wrong)?;
    let (_, hash) = Credential::parse(token.reveal()).ok_or_else(wrong)?;
    let client = provider.store.managed_client(client_id, &hash).await?.ok_or_else(wrong)?;
    Ok(Managed { client, token, hash })
}

async fn replace(
    provider: &Provider,
    managed: Managed,
    request: RegistrationRequest,
) -> Result<Response<Body>, Refused> {
    let now = provider.unix();
    check_names(&managed.client, &request)?;
    let members = statement::apply(provider, &request, now).await?;
    let settled = record::settle(&provider.config, members, Some(&managed.client), now)?;
    sector::check(provider, &settled.metadata).await?;
    let new_secret = settled.new_secret.clone();
    let config = provider.config.clone();
    let decide = move |before: &Client| {
        record::check_change(&config, before, &settled.metadata)?;
        Ok::<_, Denied>(settled.record(&before.client_id, before.created_at))
    };
    let id = managed.client.client_id.clone();
    match provider.store.change_client(&id, managed.hash, now, decide).await? {
        Decided::Taken(client) => {
            written(provider, Event::ClientUpdated, &id).await?;
            let mut information = record::information(&provider.config, &client, managed.token, new_secret);
            information.software_statement = request.software_statement;
            Ok(respond::private_json(StatusCode::OK, information.to_json()))
        }
        Decided::Denied(denied) => Err(denied.into()),
        Decided::Unknown => {
            Err(Refusal::Unavailable("the client went while it was changed".to_owned()).into())
        }
    }
}

/// RFC 7592 §2.2: the client says who it is, and none of what is ours to say.
fn check_names(client: &Client, request: &RegistrationRequest) -> Result<(), Denied> {
    let sent = &request.metadata;
    if sent.get("client_id").and_then(Value::as_str) != Some(client.client_id.as_str()) {
        return Err(policy::invalid("AS-DCR-11", "`client_id`: must be that of this client"));
    }
    if let Some(name) = OURS.iter().find(|name| sent.contains_key(**name)) {
        return Err(policy::invalid("AS-DCR-11", format!("`{name}`: must be left out")));
    }
    let Some(secret) = sent.get("client_secret") else { return Ok(()) };
    let kept = client.metadata.get("client_secret_sha256").and_then(Value::as_str);
    let kept = kept.and_then(ClientSecret::from_digest);
    let is_same = kept.zip(secret.as_str()).is_some_and(|(kept, sent)| kept.accepts(&Secret::new(sent)));
    match is_same {
        true => Ok(()),
        false => {
            let wire = "`client_secret`: must be the one that the client has, or left out: it is made here";
            Err(policy::invalid("AS-DCR-11", wire))
        }
    }
}
