//! The way of a browser that connects a device (RFC 8628 §3.3): enter the code, sign in, compare the code and allow or
//! deny. As with an authorization request, nothing is kept between the steps: each page carries the code, and each step
//! looks it up anew. A link with a code in it fills in the form, and never more (§3.3.1).

use super::asked::Asked;
use super::consent::keep_ticked;
use super::form_token::{self, Purpose};
use super::sign_in::{begin_session, identify};
use super::step::{Attempted, Errand, Mistake, sign_in_page, with_form_cookie};
use super::submission::Submission;
use super::visitor::Visitor;
use crate::audit::{self, Event, Facts};
use crate::clients::RegisteredClient;
use crate::endpoint;
use crate::page::{self, About, DeviceConsentPage, DevicePage, DonePage, Escaped, Frame, Language};
use crate::provider::Provider;
use crate::reach::Reach;
use crate::refusal::{Denied, Refusal};
use crate::store::{
    Approval, Decided, DeviceCode, DeviceCodeState, Fault, Grant, Id, SignedIn, Verdict, Write,
};
use axum::body::Body;
use http::{Response, StatusCode};
use keybound_dpop::jose::crypto::random;
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::claims_request::ClaimsRequest;
use keybound_oauth::client_metadata::GrantType;
use keybound_oauth::device::UserCode;
use keybound_oauth::form::{Form, FormWriter};
use std::sync::Arc;

/// A device that waits for an answer.
struct Waiting {
    code: DeviceCode,
    client: Arc<RegisteredClient>,
}

impl Waiting {
    fn errand(&self, visitor: &Visitor) -> Errand<'_> {
        Errand {
            client: self.client.display_name(),
            action: page::DEVICE_SIGN_IN,
            purpose: Purpose::DeviceSignIn,
            form_target: None,
            language: visitor.language,
        }
    }
}

/// The form to enter a code; or, for who has just entered one and signed in, the question.
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub async fn begin(
    provider: &Provider,
    visitor: &Visitor,
    asked: &Asked,
    word: Option<&str>,
) -> Result<Response<Body>, Refusal> {
    let code = code_of(&asked.form);
    if let (Some(code), Some(signed_in), Some(word)) = (&code, &visitor.signed_in, word) {
        let (carried, owner) = (carry(code)?, signed_in.session.id.as_bytes());
        let key = &provider.form_key;
        if form_token::holds(key, Purpose::SignedIn, owner, &carried.text, word, provider.unix())
            && let Some(waiting) = find(provider, code).await?
        {
            return Ok(consent_page(provider, &carried, &waiting, signed_in, visitor.language));
        }
    }
    let shown = code.map(|code| code.to_string()).unwrap_or_default();
    code_page(provider, visitor, &Attempted::not_yet(&shown))
}

/// Takes the code that somebody typed. Wrong ones are counted, by browser and by address (§5.1).
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub async fn enter(provider: &Provider, submission: &Submission) -> Result<Response<Body>, Refusal> {
    let Submission { form, visitor, .. } = submission;
    let owner = visitor.sent_form_owner();
    submission.check(provider, Purpose::DeviceCode, owner.map(str::as_bytes))?;
    let typed = form.get("user_code").unwrap_or_default();
    let now = provider.now().monotonic;
    let attempt = match provider.memory.user_codes.admit(owner.unwrap_or_default(), visitor.peer, now) {
        Ok(attempt) => attempt,
        Err(wait) => {
            audit_failure("throttled");
            return code_page(provider, visitor, &Attempted::too_many(typed, wait));
        }
    };
    let code = UserCode::parse(typed);
    let waiting = match &code {
        Some(code) => find(provider, code).await?,
        None => None,
    };
    let Some(waiting) = waiting else {
        audit_failure("no such code");
        return code_page(provider, visitor, &Attempted::wrong(typed, Mistake::Code));
    };
    provider.memory.user_codes.succeeded(&attempt, now);
    let carried = carry(&waiting.code.user_code)?;
    match &visitor.signed_in {
        Some(signed_in) => Ok(consent_page(provider, &carried, &waiting, signed_in, visitor.language)),
        None => sign_in_page(provider, visitor, &carried, &waiting.errand(visitor), &Attempted::not_yet("")),
    }
}

/// Signs in, and goes on with the code.
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub async fn sign_in(provider: &Provider, submission: &Submission) -> Result<Response<Body>, Refusal> {
    let Submission { form, asked, visitor } = submission;
    submission.check(provider, Purpose::DeviceSignIn, visitor.sent_form_owner().map(str::as_bytes))?;
    let Some(waiting) = find_carried(provider, asked).await? else {
        return code_page(provider, visitor, &Attempted::wrong("", Mistake::Code));
    };
    match identify(provider, form, visitor.peer).await? {
        Ok(user) => begin_session(provider, submission, &user, endpoint::DEVICE).await,
        Err(attempted) => sign_in_page(provider, visitor, asked, &waiting.errand(visitor), &attempted),
    }
}

/// The user's answer.
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub async fn consent(provider: &Provider, submission: &Submission) -> Result<Response<Body>, Refusal> {
    let Submission { form, asked, visitor } = submission;
    let Some(signed_in) = &visitor.signed_in else {
        let place = format!("{}?{}", provider.config.endpoint(endpoint::DEVICE), asked.text);
        return page::redirect(&provider.config, &place);
    };
    submission.check(provider, Purpose::DeviceAnswer, Some(signed_in.session.id.as_bytes()))?;
    let Some(waiting) = find_carried(provider, asked).await? else {
        return code_page(provider, visitor, &Attempted::wrong("", Mistake::Code));
    };
    if form.has("switch") {
        return sign_in_page(provider, visitor, asked, &waiting.errand(visitor), &Attempted::not_yet(""));
    }
    let code = &waiting.code;
    let mut reach = Reach::kept(&code.scope, &code.resources, &code.authorization_details);
    let is_allowed = form.has("allow") && keep_ticked(&provider.config, &mut reach, form);
    let writes = match is_allowed {
        true => allow(provider, &waiting, signed_in, reach.details)?,
        false => vec![Write::DenyDevice { id: code.id }],
    };
    if !answer(provider, &waiting, writes).await? {
        return code_page(provider, visitor, &Attempted::wrong("", Mistake::Code));
    }
    let facts = Facts {
        client_id: Some(&waiting.code.client_id),
        subject: Some(&audit::alias(provider, &signed_in.session.subject)),
        grant_type: Some(GrantType::DeviceCode.as_str()),
        scope: Some(&waiting.code.scope.join(" ")),
        ..Facts::default()
    };
    audit::write(if is_allowed { Event::ConsentGiven } else { Event::ConsentRefused }, &facts);
    Ok(done_page(provider, visitor.language, is_allowed))
}

/// The code in a link or in a form.
fn code_of(form: &Form) -> Option<UserCode> {
    form.get("user_code").and_then(UserCode::parse)
}

/// What a page carries: the code, in its one spelling.
fn carry(code: &UserCode) -> Result<Asked, Denied> {
    let text = FormWriter::new().pair("user_code", code.letters()).finish();
    Asked::of(Form::parse_query(&text)?)
}

async fn find_carried(provider: &Provider, asked: &Asked) -> Result<Option<Waiting>, Fault> {
    match code_of(&asked.form) {
        Some(code) => find(provider, &code).await,
        None => Ok(None),
    }
}

/// The device that waits for an answer to this code, as long as its client is one of ours.
async fn find(provider: &Provider, code: &UserCode) -> Result<Option<Waiting>, Fault> {
    let found = provider.store.device_code_by_user_code(code).await?;
    let Some(code) = found.filter(|code| is_pending(code, provider.unix())) else { return Ok(None) };
    let client = provider.clients.find(&provider.store, &code.client_id, provider.now()).await?;
    Ok(client.map(|client| Waiting { code, client }))
}

fn is_pending(code: &DeviceCode, now: UnixTime) -> bool {
    code.state == DeviceCodeState::Pending && now < code.expires_at
}

fn allow(
    provider: &Provider,
    waiting: &Waiting,
    signed_in: &SignedIn,
    authorization_details: AuthorizationDetails,
) -> Result<Vec<Write>, Refusal> {
    let (now, session) = (provider.unix(), &signed_in.session);
    let grant = Grant {
        id: Id::mint(now, &random()?),
        client_id: waiting.code.client_id.clone(),
        subject: Some(session.subject.clone()),
        session_id: Some(session.id),
        created_at: now,
        revoked_at: None,
        session_ended_at: None,
        claims: ClaimsRequest::default(),
    };
    let approval = Approval {
        grant_id: grant.id,
        subject: session.subject.clone(),
        auth_time: session.auth_time,
        acr: session.acr.clone(),
        authorization_details,
    };
    Ok(vec![Write::InsertGrant(grant), Write::AllowDevice { id: waiting.code.id, approval }])
}

/// Writes the answer, unless there is one already.
async fn answer(provider: &Provider, waiting: &Waiting, writes: Vec<Write>) -> Result<bool, Fault> {
    let (id, now) = (waiting.code.id, provider.unix());
    let decide = move |code: &DeviceCode| match code.id == id && is_pending(code, now) {
        true => Verdict::Take { writes: writes.clone(), out: () },
        false => Verdict::Leave(()),
    };
    let decided = provider.store.answer_device_code(waiting.code.user_code.clone(), decide).await?;
    Ok(decided == Decided::Taken(()))
}

fn code_page(
    provider: &Provider,
    visitor: &Visitor,
    attempted: &Attempted<'_>,
) -> Result<Response<Body>, Refusal> {
    let (owner, is_new) = visitor.form_owner()?;
    let csrf =
        form_token::mint(&provider.form_key, Purpose::DeviceCode, owner.as_bytes(), "", provider.unix());
    let frame = Frame::of(&provider.config, visitor.language);
    let shown = DevicePage { frame, code: attempted.typed, error: &attempted.error(frame.text), csrf };
    Ok(with_form_cookie(provider, attempted.respond(frame, &shown, None), &owner, is_new))
}

fn consent_page(
    provider: &Provider,
    carried: &Asked,
    waiting: &Waiting,
    signed_in: &SignedIn,
    language: Language,
) -> Response<Body> {
    let owner = signed_in.session.id.as_bytes();
    let now = provider.unix();
    let frame = Frame::of(&provider.config, language);
    let code = &waiting.code;
    let scope: Vec<&str> = code.scope.iter().map(String::as_str).collect();
    let shown = DeviceConsentPage {
        frame,
        code: code.user_code.to_string(),
        client: waiting.client.display_name(),
        client_id: waiting.client.id.as_str(),
        about: About::of(provider, &waiting.client),
        username: &signed_in.username,
        asked: page::asked(frame, &scope, &code.resources, &code.authorization_details),
        details: page::details(frame, &code.authorization_details),
        request: Escaped(&carried.text),
        csrf: form_token::mint(&provider.form_key, Purpose::DeviceAnswer, owner, &carried.text, now),
    };
    page::respond(frame, StatusCode::OK, &shown, None)
}

fn done_page(provider: &Provider, language: Language, is_allowed: bool) -> Response<Body> {
    let frame = Frame::of(&provider.config, language);
    let (title, text) = match is_allowed {
        true => (frame.text.device_connected_title.as_str(), frame.text.device_connected_text.as_str()),
        false => (frame.text.device_refused_title.as_str(), frame.text.device_refused_text.as_str()),
    };
    page::respond(frame, StatusCode::OK, &DonePage { frame, title, text }, None)
}

/// Without the code: it may be one letter from a good one.
fn audit_failure(reason: &str) {
    audit::write(Event::Refused, &Facts { row: Some("AS-DEV-06"), why: Some(reason), ..Facts::default() });
}
