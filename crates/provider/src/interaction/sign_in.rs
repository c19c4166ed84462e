//! Signing in with a password.

use super::cookie::Cookie;
use super::form_token::{self, Purpose};
use super::judge::{Outcome, judge};
use super::parameters::Begun;
use super::step::{Attempted, Errand, Mistake, sign_in_page, tell_fault};
use super::submission::Submission;
use crate::acr;
use crate::audit::{self, Event, Facts};
use crate::endpoint;
use crate::page;
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::store::{CREDENTIAL_ENTROPY, Credential, Session, User, Write};
use axum::body::Body;
use http::Response;
use http::header::SET_COOKIE;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::secret::Secret;
use keybound_oauth::form::Form;
use std::net::SocketAddr;

/// Checks name and password, begins a session under a new id, and goes on with the request.
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub async fn sign_in(provider: &Provider, submission: &Submission) -> Result<Response<Body>, Refusal> {
    let Submission { form, asked, visitor } = submission;
    submission.check(provider, Purpose::SignIn, visitor.sent_form_owner().map(str::as_bytes))?;
    let request = match judge(provider, &asked.form, Begun::Before, visitor.language).await? {
        Outcome::Page(denied) => return Err(denied.into()),
        Outcome::Return(faulty) => return tell_fault(provider, visitor, asked, &faulty),
        Outcome::Good(request) => request,
    };
    match identify(provider, form, visitor.peer).await? {
        Ok(user) => begin_session(provider, submission, &user, endpoint::AUTHORIZE).await,
        Err(attempted) => sign_in_page(provider, visitor, asked, &Errand::of(&request), &attempted),
    }
}

/// The user whose name and password are in the form; or what to say instead.
pub(super) async fn identify<'f>(
    provider: &Provider,
    form: &'f Form,
    peer: Option<SocketAddr>,
) -> Result<Result<User, Attempted<'f>>, Refusal> {
    let username = form.get("username").unwrap_or_default();
    let password = form.secret("password").unwrap_or_default();
    let now = provider.now().monotonic;
    let attempt = match provider.memory.throttle.admit(username, peer, now) {
        Ok(attempt) => attempt,
        Err(wait) => {
            audit_failure(provider, username, "throttled");
            return Ok(Err(Attempted::too_many(username, wait)));
        }
    };
    let Some(user) = authenticate(provider, username, password).await? else {
        audit_failure(provider, username, "no such user and password");
        return Ok(Err(Attempted::wrong(username, Mistake::SignIn)));
    };
    provider.memory.throttle.succeeded(&attempt, now);
    Ok(Ok(user))
}

/// The user of that name and password. As slow for a name that nobody has as for a wrong password.
async fn authenticate(
    provider: &Provider,
    username: &str,
    password: Secret,
) -> Result<Option<User>, Refusal> {
    let user = provider.store.find_user_by_username(username).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let checked = provider.memory.verifier.check(password, hash).await;
    let is_right = checked.map_err(|busy| Refusal::Unavailable(busy.to_string()))?;
    Ok(user.filter(|_| is_right))
}

/// A new session in the place of the one before (BCP-UI-04), and on to the endpoint with the word that the user signed
/// in for this request.
pub(super) async fn begin_session(
    provider: &Provider,
    submission: &Submission,
    user: &User,
    endpoint: &str,
) -> Result<Response<Body>, Refusal> {
    let now = provider.unix();
    let entropy: [u8; CREDENTIAL_ENTROPY] =
        random().map_err(|error| Refusal::Unavailable(error.to_string()))?;
    let (id, cookie, secret_hash) = Credential::mint(now, &entropy);
    let session = Session {
        id,
        secret_hash,
        subject: user.subject.clone(),
        auth_time: now,
        acr: Some(acr::PASSWORD.to_owned()),
        created_at: now,
        last_seen_at: now,
        expires_at: now.plus_secs(provider.config.lifetimes.session_secs),
    };
    let write = match &submission.visitor.signed_in {
        Some(before) => Write::ReplaceSession { old: before.session.id, new: session, at: now },
        None => Write::InsertSession(session),
    };
    provider.store.write(vec![write]).await?;
    let subject = audit::alias(provider, &user.subject);
    audit::write(Event::SignedIn, &Facts { subject: Some(&subject), ..Facts::default() });
    let asked = &submission.asked;
    let word = form_token::mint(&provider.form_key, Purpose::SignedIn, id.as_bytes(), &asked.text, now);
    let location = format!("{}?{}", provider.config.endpoint(endpoint), asked.after_sign_in(&word));
    let mut response = page::redirect(&provider.config, &location)?;
    if let Some(cookie) = Cookie::Session.set(&provider.config, cookie.reveal()) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

fn audit_failure(provider: &Provider, username: &str, reason: &str) {
    let username = audit::alias(provider, username);
    let facts = Facts { username: Some(&username), why: Some(reason), ..Facts::default() };
    audit::write(Event::SignInFailed, &facts);
}
