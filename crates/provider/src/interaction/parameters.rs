//! Which parameters a request has: those that the browser brought, or those that its client pushed (RFC 9126 §4). Where
//! there is a reference, what stands beside it has no effect.

use super::pushed::{self, PushedKey};
use crate::clients::RegisteredClient;
use crate::provider::Provider;
use crate::refusal::Denied;
use crate::store::Fault;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::form::Form;
use keybound_oauth::pushed::reference;
use std::borrow::Cow;

/// Whether a visitor begins with a request now, or began with it before, as a form of ours shows: a pushed request can
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
/// [`Fault`] where the store does not answer.
pub(super) async fn of<'f>(
    provider: &Provider,
    client: &RegisteredClient,
    form: &'f Form,
    begun: Begun,
) -> Result<Result<Parameters<'f>, Unresolved>, Fault> {
    if let Some(reference) = form.get("request_uri").and_then(reference) {
        let found = pushed::find(provider, client, reference, begun).await?;
        return Ok(found.map_err(Unresolved::Page));
    }
    if provider.config.require_pushed_authorization_requests
        || client.require_pushed_authorization_requests
        || provider.config.profile.of(client).demands_pushed_requests()
    {
        let wire =
            "the request must be pushed: send `request_uri` from the pushed authorization request endpoint";
        return Ok(Err(Unresolved::Return(Denied::new(ErrorCode::InvalidRequest, "AS-PAR-14", wire))));
    }
    Ok(Ok(Parameters { form: Cow::Borrowed(form), pushed: None }))
}
