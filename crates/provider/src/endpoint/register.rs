//! Client registration (RFC 7591 §3, OpenID Connect Registration §3), read as a sentence.

use crate::audit::{self, Event, Facts};
use crate::extract;
use crate::provider::Provider;
use crate::refusal::Denied;
use crate::registration::admission::{self, Admitted, Refused};
use crate::registration::{logo, record, sector, statement};
use crate::respond;
use crate::store::{Credential, Registered, Registering};
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, Request, Response, StatusCode};
use keybound_dpop::jose::crypto::random;
use keybound_oauth::registration::{RegistrationError, RegistrationRequest};
use std::sync::Arc;

/// Octets in a request, at the most.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Answers a registration request.
pub async fn handle(State(provider): State<Arc<Provider>>, request: Request<Body>) -> Response<Body> {
    answer(&provider, request).await.unwrap_or_else(Refused::respond)
}

async fn answer(provider: &Provider, request: Request<Body>) -> Result<Response<Body>, Refused> {
    let now = provider.now();
    let (parts, body) = request.into_parts();
    let admitted = admission::admit(provider, &parts, now).await?;
    let request = read(&parts.headers, body).await?;
    let members = statement::apply(provider, &request, now.unix).await?;
    let settled = record::settle(&provider.config, members, None, now.unix)?;
    sector::check(provider, &settled.metadata).await?;
    let (_, access_token, management) = Credential::mint(now.unix, &random().map_err(no_entropy)?);
    let client = settled.record(&record::mint_client_id()?, now.unix);
    let registering = Registering {
        client: client.clone(),
        management,
        initial: match &admitted {
            Admitted::ByToken(id, hash) => Some((*id, *hash)),
            Admitted::Anybody | Admitted::ByAccess(_) => None,
        },
        max_clients: provider.config.registration.max_clients,
    };
    match provider.store.register_client(registering).await? {
        Registered::Yes => {}
        Registered::TokenSpent => return Err(admission::spent()),
    }
    written(provider, Event::ClientRegistered, &client.client_id).await?;
    let mut information = record::information(&provider.config, &client, access_token, settled.new_secret);
    information.software_statement = request.software_statement;
    let mut response = respond::private_json(StatusCode::CREATED, information.to_json());
    if let (Admitted::ByAccess(access), Some(guard)) = (&admitted, &provider.registration) {
        guard.complete(access, response.headers_mut());
    }
    Ok(response)
}

fn no_entropy(error: keybound_dpop::jose::crypto::CryptoError) -> crate::refusal::Refusal {
    error.into()
}

/// Reads a request to register or to change.
///
/// # Errors
/// 400 for what is not one JSON object, 413 for what is too large.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<RegistrationRequest, Refused> {
    let body = extract::json_body(headers, body, MAX_BODY_BYTES).await?;
    let request = RegistrationRequest::parse(&body).map_err(|error| unreadable(&error))?;
    Ok(request)
}

fn unreadable(error: &RegistrationError) -> Denied {
    crate::registration::policy::invalid("AS-DCR-03", error.to_string())
}

/// What comes after a change of a client: it holds at once in this process, and is told.
pub(super) async fn written(provider: &Provider, event: Event, client_id: &str) -> Result<(), Refused> {
    audit::write(event, &Facts { client_id: Some(client_id), ..Facts::default() });
    let now = provider.now();
    provider.clients.renew(&provider.store, now).await?;
    provider.signing_keys.want(provider.clients.signing_slots());
    if let Some(client) = provider.clients.find(&provider.store, client_id, now).await? {
        logo::want(provider, &client);
    }
    Ok(())
}
