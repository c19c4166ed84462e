//! Which parameters a request has: those that the browser brought, those in a request object (RFC 9101 §6.3), or those that
//! its client pushed (RFC 9126 §4). What stands beside an object or a reference has no effect.

use super::pushed::{self, PushedKey};
use super::request_object;
use crate::clients::RegisteredClient;
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use keybound_oauth::error::ErrorCode;
use keybound_oauth::form::Form;
use keybound_oauth::pushed::reference;
use std::borrow::Cow;

/// Whether a visitor begins with a request now, or began with it before, as a form of ours shows or has yet to show: a pushed request can
/// be finished after it can no longer be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Now.
    Now,
    /// Before, in time.
    Before,
}

/// The parameters that count.
#[derive(Debug)]
pub(super) struct Parameters<'f> {
    pub(super) form: Cow<'f, Form>,
    /// The pushed request that they come from.
    pub(super) pushed: Option<PushedKey>,
}

/// Why there are none.
#[derive(Debug)]
pub(super) enum Unresolved {
    /// Nothing vouches for where the request comes from: a page.
    Page(Denied),
    /// The client may be told, where its redirect URI holds.
    Return(Denied),
}

/// Finds the parameters of a request that a browser brought.
///
/// # Errors
/// 503 where the store does not answer, or the client's keys cannot be had.
pub(super) async fn of<'f>(
    provider: &Provider,
    client: &RegisteredClient,
    form: &'f Form,
    begun: Begun,
) -> Result<Result<Parameters<'f>, Unresolved>, Refusal> {
    if form.has("request") && form.has("request_uri") {
        let wire = "`request` and `request_uri` must not be sent together";
        return Ok(Err(Unresolved::Return(Denied::new(ErrorCode::InvalidRequest, "AS-JAR-01", wire))));
    }
    if let Some(reference) = form.get("request_uri").and_then(reference) {
        let found = pushed::find(provider, client, reference, begun).await?;
        return Ok(found.map_err(Unresolved::Page));
    }
    if must_push(provider, client) {
        let wire =
            "the request must be pushed: send `request_uri` from the pushed authorization request endpoint";
        return Ok(Err(Unresolved::Return(Denied::new(ErrorCode::InvalidRequest, "AS-PAR-14", wire))));
    }
    if let Some(object) = form.get("request") {
        return match request_object::open(provider, client, object, form, begun).await {
            Ok(form) => Ok(Ok(Parameters { form: Cow::Owned(form), pushed: None })),
            Err(Refusal::Denied(denied)) => Ok(Err(Unresolved::Return(denied))),
            Err(unavailable) => Err(unavailable),
        };
    }
    if form.has("request_uri") {
        return Ok(Err(Unresolved::Return(request_object::not_fetched(client))));
    }
    Ok(match check_signed(client) {
        Ok(()) => Ok(Parameters { form: Cow::Borrowed(form), pushed: None }),
        Err(denied) => Err(Unresolved::Return(denied)),
    })
}

/// Whether requests of the client must be pushed (RFC 9126 §5, §6).
pub(super) fn must_push(provider: &Provider, client: &RegisteredClient) -> bool {
    provider.config.require_pushed_authorization_requests
        || client.require_pushed_authorization_requests
        || provider.config.profile.of(client).demands_pushed_requests()
}

/// Refuses bare parameters of a client that must sign (RFC 9101 §10.5).
pub(super) fn check_signed(client: &RegisteredClient) -> Result<(), Denied> {
    if !client.require_signed_request_object {
        return Ok(());
    }
    let wire = "this client must send its parameters in a signed `request`";
    Err(Denied::new(ErrorCode::InvalidRequest, "FMS-01", wire))
}
