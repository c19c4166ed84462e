//! The user's answer: a code for the client, or `access_denied`.

use super::form_token::Purpose;
use super::judge::{Outcome, ValidRequest, judge};
use super::parameters::Begun;
use super::pushed;
use super::remembered::{Remembered, is_open};
use super::step::{Attempted, Errand, sign_in_page, start_again, tell_fault};
use super::submission::Submission;
use crate::audit::{self, Event, Facts};
use crate::claims;
use crate::config::Config;
use crate::page;
use crate::provider::Provider;
use crate::reach::Reach;
use crate::refusal::{Denied, Refusal};
use crate::store::{CREDENTIAL_ENTROPY, Code, CodeState, Credential, Fault, Grant, Id, SignedIn, Write};
use axum::body::Body;
use http::Response;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::secret::Secret;
use keybound_oauth::claims_request::ClaimsRequest;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::form::Form;

/// Takes the user's answer back to the client (RFC 6749 §4.1.2).
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub async fn consent(provider: &Provider, submission: &Submission) -> Result<Response<Body>, Refusal> {
    let Submission { form, asked, visitor } = submission;
    let Some(signed_in) = &visitor.signed_in else { return start_again(provider, asked) };
    // The form's token is over what is judged, so it is looked at after: to judge writes nothing, and what it tells of a
    // faulty request, the authorization endpoint tells as well.
    let mut request = match judge(provider, &asked.form, Begun::Before, visitor.language).await? {
        Outcome::Page(denied) => return Err(denied.into()),
        Outcome::Return(faulty) => return tell_fault(provider, visitor, asked, &faulty),
        Outcome::Good(request) => request,
    };
    // What became of the request meanwhile, by a change of its client, is nothing that the user has read.
    let (owner, shown) = (signed_in.session.id.as_bytes(), request.as_shown(&asked.text));
    submission.check_of(provider, Purpose::Consent, Some(owner), &shown)?;
    if form.has("switch") {
        return sign_in_page(provider, visitor, asked, &Errand::of(&request), &Attempted::not_yet(""));
    }
    let remembered = Remembered::of(&request.client, signed_in, provider.unix());
    // As it was shown: who allows less has not said that they need not be asked for the rest.
    let known = remembered.covering(&provider.config, &request);
    let shown_details = request.reach.details.clone();
    let is_allowed = form.has("allow") && keep_ticked(&provider.config, &mut request.reach, form);
    if !is_allowed {
        return refuse(provider, &request, signed_in, &remembered).await;
    }
    if !request.accepts(provider, signed_in) {
        return start_again(provider, asked);
    }
    let is_to_be_remembered = form.has("remember") && is_open(provider, &request);
    let mut writes = Vec::new();
    if !is_to_be_remembered || request.reach.details != shown_details {
        writes.extend(known.into_iter().map(|id| Write::ForgetConsent { id }));
    }
    if is_to_be_remembered {
        writes.extend(remembered.remember(provider, &request, signed_in)?);
    }
    let event = if is_to_be_remembered { Event::ConsentRemembered } else { Event::ConsentGiven };
    consent_event(provider, event, &request, signed_in);
    answer(provider, &request, signed_in, writes).await
}

/// Who says no is asked again for everything.
async fn refuse(
    provider: &Provider,
    request: &ValidRequest,
    signed_in: &SignedIn,
    remembered: &Remembered<'_>,
) -> Result<Response<Body>, Refusal> {
    consent_event(provider, Event::ConsentRefused, request, signed_in);
    let forget = Write::ForgetConsentsOf {
        subject: signed_in.session.subject.clone(),
        client_id: Some(request.client.id.as_str().to_owned()),
    };
    let writes = if remembered.is_empty() { Vec::new() } else { vec![forget] };
    complete(provider, request, writes).await?;
    let denied = Denied::new(ErrorCode::AccessDenied, "AS-AUT-15", "the user said no");
    request.address.answer(provider, Err(&denied))
}

/// Goes back to the client with a code; `writes` go with it, all or nothing.
pub(super) async fn answer(
    provider: &Provider,
    request: &ValidRequest,
    signed_in: &SignedIn,
    writes: Vec<Write>,
) -> Result<Response<Body>, Refusal> {
    let code = issue_code(provider, request, signed_in, writes).await?;
    note_challenge(provider, request);
    request.address.answer(provider, Ok(code))
}

/// Says what became of a request.
pub(super) fn consent_event(provider: &Provider, event: Event, request: &ValidRequest, signed_in: &SignedIn) {
    let facts = Facts {
        client_id: Some(request.client.id.as_str()),
        subject: Some(&audit::alias(provider, &signed_in.session.subject)),
        scope: Some(request.reach.scope.as_str()),
        ..Facts::default()
    };
    audit::write(event, &facts);
}

/// Leaves out the details that the user unticked (RFC 9396 §7.1); false where nothing is left to allow.
pub(super) fn keep_ticked(config: &Config, reach: &mut Reach, form: &Form) -> bool {
    let asked_in_detail = !reach.details.is_empty();
    reach.leave(config, page::ticked(&reach.details, form));
    !(asked_in_detail && reach.details.is_empty() && reach.scope.is_empty())
}

/// Writes grant and code together.
async fn issue_code(
    provider: &Provider,
    request: &ValidRequest,
    signed_in: &SignedIn,
    mut writes: Vec<Write>,
) -> Result<Secret, Refusal> {
    let now = provider.unix();
    let grant_id = Id::mint(now, &random()?);
    let (id, code, secret_hash) = Credential::mint(now, &random::<CREDENTIAL_ENTROPY>()?);
    let session = &signed_in.session;
    let grant = Grant {
        id: grant_id,
        client_id: request.client.id.as_str().to_owned(),
        subject: Some(session.subject.clone()),
        session_id: Some(session.id),
        created_at: now,
        revoked_at: None,
        session_ended_at: None,
        claims: claims_of(provider, request, &session.subject).await?,
    };
    let record = Code {
        id,
        secret_hash,
        grant_id,
        client_id: grant.client_id.clone(),
        redirect_uri: request.address.redirect_uri().as_str().to_owned(),
        redirect_uri_sent: request.request.redirect_uri.is_some(),
        code_challenge: request.code_challenge.map(|challenge| challenge.to_string()),
        dpop_jkt: request.request.dpop_jkt.map(|jkt| jkt.to_string()),
        subject: session.subject.clone(),
        scope: request.reach.scope.iter().map(str::to_owned).collect(),
        resources: request.reach.resources.clone(),
        authorization_details: request.reach.details.clone(),
        nonce: request.request.nonce.clone(),
        auth_time: session.auth_time,
        session_id: Some(session.id),
        acr: session.acr.clone(),
        issued_at: now,
        expires_at: now.plus_secs(provider.config.lifetimes.code_secs),
        refusals: 0,
        state: CodeState::Live,
    };
    writes.extend([Write::InsertGrant(grant), Write::InsertCode(Box::new(record))]);
    complete(provider, request, writes).await?;
    Ok(code)
}

/// What the grant keeps of the claims that were asked for. The store is asked only where that depends on what is known.
async fn claims_of(
    provider: &Provider,
    request: &ValidRequest,
    subject: &str,
) -> Result<ClaimsRequest, Fault> {
    let asked = request.claims.clone();
    let Some(ranges) = request.request.claims_locales.as_deref() else { return Ok(asked) };
    let user = provider.store.find_user_by_subject(subject).await?;
    let known = user.map(|user| user.claims).unwrap_or_default();
    Ok(claims::in_languages(asked, &request.reach.scope, ranges, &known))
}

/// Writes what the answer needs. A pushed request is used with it, whatever the answer is (RFC 9126 §7.3).
async fn complete(provider: &Provider, request: &ValidRequest, writes: Vec<Write>) -> Result<(), Refusal> {
    match request.pushed {
        Some(key) => pushed::redeem(provider, key, writes).await,
        None if writes.is_empty() => Ok(()),
        None => Ok(provider.store.write(writes).await?),
    }
}

/// A client that sends no challenge has no protection from it, and one that sends the same again and again neither
/// (RFC 9700 §2.1.1).
fn note_challenge(provider: &Provider, request: &ValidRequest) {
    let client_id = request.client.id.as_str();
    if request.code_challenge.is_none() {
        let facts = Facts { client_id: Some(client_id), row: Some("OIDC-AUT-23"), ..Facts::default() };
        audit::write(Event::NoChallenge, &facts);
    }
    let is_repeated = request.code_challenge.is_some_and(|challenge| {
        provider.memory.challenges.is_repeated(client_id, challenge, provider.now().monotonic)
    });
    if is_repeated {
        let facts = Facts { client_id: Some(client_id), row: Some("AS-PKC-06"), ..Facts::default() };
        audit::write(Event::ConstantChallenge, &facts);
    }
}
