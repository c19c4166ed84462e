//! What a user lets a client have without being asked again: to which clients that is open, what is remembered, and
//! which requests it answers (RFC 6749 §10.2, RFC 8252 §8.6).

use super::judge::ValidRequest;
use crate::clients::RegisteredClient;
use crate::config::Config;
use crate::provider::Provider;
use crate::reach::Reach;
use crate::refusal::Refusal;
use crate::store::{Consent, Id, SignedIn, Write};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::{random, sha256};
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization::Prompt;
use keybound_oauth::client_metadata::{ApplicationType, AuthMethod};
use keybound_oauth::redirect_uri::RedirectUri;
use keybound_oauth::scope::Scope;
use serde_json::{Value, json};

/// What the scope is called that Core §11 wants asked for anew.
const OFFLINE: &str = "offline_access";

/// All that is remembered of one user at one client.
#[derive(Debug)]
pub(super) struct Remembered<'s> {
    all: &'s [Consent],
    client_hash: String,
    now: UnixTime,
}

impl<'s> Remembered<'s> {
    /// What was found with the session, of the client that was asked for there.
    pub(super) fn of(client: &RegisteredClient, signed_in: &'s SignedIn, now: UnixTime) -> Self {
        let all = signed_in.consents.as_slice();
        let client_hash = if all.is_empty() { String::new() } else { hash_of(client) };
        Self { all, client_hash, now }
    }

    /// Whether nothing is.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The consent that answers the request, which is [open](is_open) to that, without a page. A silent request loses `offline_access` rather than its
    /// answer, where that alone was not allowed (OpenID Connect Core §11).
    pub(super) fn answer(&self, provider: &Provider, request: &mut ValidRequest) -> Option<Id> {
        if self.is_empty() {
            return None;
        }
        if let Some(found) = self.covering(&provider.config, request).first() {
            return Some(*found);
        }
        if !request.prompts(Prompt::None) || !request.reach.scope.contains(OFFLINE) {
            return None;
        }
        let less: Vec<&str> = request.reach.scope.iter().filter(|token| *token != OFFLINE).collect();
        request.reach.scope = Scope::parse(&less.join(" ")).ok()?;
        self.covering(&provider.config, request).first().copied()
    }

    /// The consents that reach as far as the request.
    pub(super) fn covering(&self, config: &Config, request: &ValidRequest) -> Vec<Id> {
        let shown = request.shown_scope();
        let is_good = |consent: &&Consent| {
            self.now < consent.expires_at
                && consent.client_hash == self.client_hash
                && covers(config, consent, &shown, &request.reach)
        };
        self.all.iter().filter(is_good).map(|consent| consent.id).collect()
    }

    /// The user allowed this, and wants it remembered: in the place of all that is no more than it.
    pub(super) fn remember(
        &self,
        provider: &Provider,
        request: &ValidRequest,
        signed_in: &SignedIn,
    ) -> Result<Vec<Write>, Refusal> {
        let new = Consent {
            id: Id::mint(self.now, &random()?),
            subject: signed_in.session.subject.clone(),
            client_id: request.client.id.as_str().to_owned(),
            client_hash: hash_of(&request.client),
            scope: request.shown_scope().iter().map(str::to_owned).collect(),
            resources: request.reach.resources.clone(),
            authorization_details: request.reach.details.clone(),
            given_at: self.now,
            used_at: None,
            expires_at: self.now.plus_secs(provider.config.lifetimes.consent_secs),
        };
        let is_less = |old: &&Consent| {
            let reach = Reach::kept(&old.scope, &old.resources, &old.authorization_details);
            old.client_hash != new.client_hash || covers(&provider.config, &new, &reach.scope, &reach)
        };
        let less = self.all.iter().filter(is_less).map(|old| Write::ForgetConsent { id: old.id });
        let mut writes: Vec<Write> = less.collect();
        writes.push(Write::RememberConsent(Box::new(new)));
        Ok(writes)
    }
}

/// Whether a user may say yes to the request once for all.
pub(super) fn is_open(provider: &Provider, request: &ValidRequest) -> bool {
    let config = &provider.config;
    let may_be = |name: &str| config.detail_type(name).is_some_and(|(_, known)| known.remember);
    config.lifetimes.consent_secs > 0
        && is_assured(&request.client, request.address.redirect_uri())
        && request.reach.details.iter().all(|detail| may_be(detail.detail_type()))
}

/// Whether only the client itself can use the answer: it goes to an https address, which is the client's own, or is
/// worth nothing without a key or secret that only the client has. What listens on a loopback port or claims a scheme
/// can be anybody (RFC 8252 §8.6), and a secret that is in every copy of an application is none (§8.5).
fn is_assured(client: &RegisteredClient, redirect_uri: &RedirectUri) -> bool {
    let is_installed = client.application_type == ApplicationType::Native;
    redirect_uri.url().scheme() == "https"
        || match client.token_endpoint_auth_method {
            AuthMethod::None => false,
            AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => !is_installed,
            AuthMethod::PrivateKeyJwt => true,
        }
}

/// Whether the request asks for no more than what was allowed. `shown` is its scope as a user reads it: claims that are
/// asked for by name have the sentence of their scope.
fn covers(config: &Config, consent: &Consent, shown: &Scope, reach: &Reach) -> bool {
    let has_scope = |token: &str| consent.scope.iter().any(|known| known == token);
    shown.iter().all(has_scope)
        && reach.resources.iter().all(|name| consent.resources.contains(name))
        && reach.details.is_within(&consent.authorization_details)
        && covers_unnamed(config, consent, reach)
}

/// Where a request names nothing of a resource, a user reads that it is everything: no scope and no detail that was
/// allowed there is as much.
fn covers_unnamed(config: &Config, consent: &Consent, reach: &Reach) -> bool {
    let unnamed = reach.unnamed(config);
    if unnamed.is_empty() {
        return true;
    }
    let allowed = Reach::kept(&consent.scope, &consent.resources, &consent.authorization_details);
    let allowed = allowed.unnamed(config);
    unnamed.iter().all(|name| allowed.contains(name))
}

/// What tells the client from another of its name: where its answers go, and how it shows who it is.
fn hash_of(client: &RegisteredClient) -> String {
    let metadata = client.to_json();
    let mut places: Vec<&str> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
    places.sort_unstable();
    let member = |name: &str| metadata.get(name).cloned().unwrap_or(Value::Null);
    let secret = client.client_secret.as_ref().map(|secret| secret.to_hashed().to_member().1);
    let known_by = json!([
        places,
        member("application_type"),
        member("token_endpoint_auth_method"),
        secret,
        member("jwks"),
        member("jwks_uri"),
    ]);
    base64url::encode(&sha256(known_by.to_string().as_bytes()))
}
