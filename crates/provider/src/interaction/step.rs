//! The next step for a request, and the pages on the way.

use super::asked::Asked;
use super::consent::{answer, consent_event};
use super::form_token::{self, Purpose};
use super::judge::{FaultyRequest, Outcome, ValidRequest, judge};
use super::next::{Done, Next, decide};
use super::parameters::Begun;
use super::remembered::{Remembered, is_open};
use super::request_object;
use super::submission::Submission;
use super::throttle::Wait;
use super::visitor::Visitor;
use crate::audit::Event;
use crate::page::texts::Texts;
use crate::page::{
    self, About, AccountPage, ConsentPage, Escaped, Frame, Language, Remember, ReturnPage, SignInPage,
};
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::respond;
use crate::store::{Id, SignedIn, Write};
use askama::Template;
use axum::body::Body;
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};
use keybound_dpop::time::UnixTime;

/// Judges the request and goes on with it: to a page, or back to the client. `word` is the evidence of a sign-in that
/// this request asked for.
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub async fn next_step(
    provider: &Provider,
    visitor: &Visitor,
    asked: &Asked,
    word: Option<&str>,
) -> Result<Response<Body>, Refusal> {
    if let Some(by_value) = request_object::dereference(provider, asked).await? {
        return start_again(provider, &by_value);
    }
    let has_just_signed_in = has_just_signed_in(provider, visitor, asked, word);
    let begun = if has_just_signed_in { Begun::Before } else { Begun::Now };
    let request = match judge(provider, &asked.form, begun, visitor.language).await? {
        Outcome::Page(denied) => return Err(denied.into()),
        Outcome::Return(faulty) => return tell_fault(provider, visitor, asked, &faulty),
        Outcome::Good(request) => request,
    };
    go_on(provider, visitor, asked, request, Done { sign_in: has_just_signed_in, choice: false }).await
}

/// Goes on with a request that can be granted.
pub(super) async fn go_on(
    provider: &Provider,
    visitor: &Visitor,
    asked: &Asked,
    mut request: Box<ValidRequest>,
    done: Done,
) -> Result<Response<Body>, Refusal> {
    let (signed_in, now) = (visitor.signed_in.as_ref(), provider.unix());
    let remembered = match signed_in {
        Some(signed_in) if is_open(provider, &request) => {
            Some(Remembered::of(&request.client, signed_in, now))
        }
        _ => None,
    };
    let consent = remembered.as_ref().and_then(|remembered| remembered.answer(provider, &mut request));
    match (decide(provider, &request, signed_in, done, (consent, now)), signed_in) {
        (Next::Refuse(denied), _) => request.address.answer(provider, Err(&denied)),
        (Next::Answer(consent), Some(signed_in)) => {
            let used = Write::UseConsent { id: consent, at: now };
            consent_event(provider, Event::ConsentUsed, &request, signed_in);
            Box::pin(answer(provider, &request, signed_in, vec![used])).await
        }
        (Next::Ask, Some(signed_in)) => {
            Ok(consent_page(provider, asked, &request, signed_in, (consent, now)))
        }
        (Next::Choose, Some(signed_in)) => Ok(account_page(provider, asked, &request, signed_in)),
        (Next::SignIn | Next::Answer(_) | Next::Ask | Next::Choose, _) => {
            let username = request.request.login_hint.as_deref().unwrap_or_default();
            sign_in_page(provider, visitor, asked, &Errand::of(&request), &Attempted::not_yet(username))
        }
    }
}

fn has_just_signed_in(provider: &Provider, visitor: &Visitor, asked: &Asked, word: Option<&str>) -> bool {
    let (Some(signed_in), Some(word)) = (&visitor.signed_in, word) else { return false };
    let owner = signed_in.session.id.as_bytes();
    form_token::holds(&provider.form_key, Purpose::SignedIn, owner, &asked.text, word, provider.unix())
}

/// A faulty request: to the client where a user is signed in or the client wants it so; else to a page first, so that
/// nobody can use us to send people to a place of their choice (RFC 9700 §4.11.2).
pub(super) fn tell_fault(
    provider: &Provider,
    visitor: &Visitor,
    asked: &Asked,
    faulty: &FaultyRequest,
) -> Result<Response<Body>, Refusal> {
    respond::audit(&faulty.denied);
    if faulty.at_once || visitor.signed_in.is_some() {
        return faulty.address.answer(provider, Err(&faulty.denied));
    }
    let (owner, is_new) = visitor.form_owner()?;
    let frame = Frame::of(&provider.config, faulty.address.language());
    let shown = ReturnPage {
        frame,
        client: faulty.client.display_name(),
        code: faulty.denied.code.as_str(),
        text: &faulty.denied.wire,
        request: Escaped(&asked.text),
        csrf: form_token::mint(
            &provider.form_key,
            Purpose::Return,
            owner.as_bytes(),
            &asked.text,
            provider.unix(),
        ),
    };
    let target = faulty.address.form_target();
    let response = page::respond(frame, StatusCode::BAD_REQUEST, &shown, Some(&target));
    Ok(with_form_cookie(provider, response, &owner, is_new))
}

/// The button of that page: carries the error to the client (AS-AUT-14).
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub async fn carry_back(provider: &Provider, submission: &Submission) -> Result<Response<Body>, Refusal> {
    let owner = submission.visitor.sent_form_owner().map(str::as_bytes);
    submission.check(provider, Purpose::Return, owner)?;
    let Submission { asked, visitor, .. } = submission;
    match judge(provider, &asked.form, Begun::Before, visitor.language).await? {
        Outcome::Page(denied) => Err(denied.into()),
        Outcome::Return(faulty) => faulty.address.answer(provider, Err(&faulty.denied)),
        Outcome::Good(_) => start_again(provider, asked),
    }
}

/// To the authorization endpoint, with the request as it was.
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub fn start_again(provider: &Provider, asked: &Asked) -> Result<Response<Body>, Refusal> {
    page::redirect(&provider.config, &authorize_url(provider, &asked.text))
}

/// The authorization endpoint with that query.
pub(super) fn authorize_url(provider: &Provider, query: &str) -> String {
    format!("{}?{query}", provider.config.endpoint(crate::endpoint::AUTHORIZE))
}

/// What somebody signs in for.
pub(super) struct Errand<'a> {
    /// Who sent them here.
    pub(super) client: &'a str,
    /// Where the form is posted to.
    pub(super) action: &'static str,
    /// What the form is good for.
    pub(super) purpose: Purpose,
    /// Where a form may end besides here.
    pub(super) form_target: Option<String>,
    /// What they read.
    pub(super) language: Language,
}

impl<'a> Errand<'a> {
    /// To answer an authorization request.
    pub(super) fn of(request: &'a ValidRequest) -> Self {
        Self {
            client: request.client.display_name(),
            action: page::SIGN_IN,
            purpose: Purpose::SignIn,
            form_target: Some(request.address.form_target()),
            language: request.address.language(),
        }
    }
}

/// What a page says of an attempt before: to sign in, or to enter a code.
pub(super) struct Attempted<'a> {
    pub(super) typed: &'a str,
    pub(super) status: StatusCode,
    pub(super) mistake: Option<Mistake>,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mistake {
    /// The name or the password.
    SignIn,
    /// The code.
    Code,
    /// It was one too many.
    TooMany(Wait),
}

impl Mistake {
    fn told(self, text: &Texts) -> String {
        match self {
            Self::SignIn => text.sign_in_wrong.as_str().to_owned(),
            Self::Code => text.device_code_not_good.as_str().to_owned(),
            Self::TooMany(wait) => text.too_many_attempts.with(wait.secs).as_str().to_owned(),
        }
    }
}

impl<'a> Attempted<'a> {
    /// There was none; `typed` is a guess.
    pub(super) const fn not_yet(typed: &'a str) -> Self {
        Self { typed, status: StatusCode::OK, mistake: None }
    }

    /// It was one too many.
    pub(super) const fn too_many(typed: &'a str, wait: Wait) -> Self {
        Self { typed, status: StatusCode::TOO_MANY_REQUESTS, mistake: Some(Mistake::TooMany(wait)) }
    }

    /// What was typed is wrong.
    pub(super) const fn wrong(typed: &'a str, mistake: Mistake) -> Self {
        Self { typed, status: StatusCode::UNPROCESSABLE_ENTITY, mistake: Some(mistake) }
    }

    /// What the page says of it; nothing where there was no attempt.
    pub(super) fn error(&self, text: &Texts) -> String {
        self.mistake.map(|mistake| mistake.told(text)).unwrap_or_default()
    }

    /// The page that says so.
    pub(super) fn respond(
        &self,
        frame: Frame<'_>,
        page: &impl Template,
        form_target: Option<&str>,
    ) -> Response<Body> {
        let mut response = page::respond(frame, self.status, page, form_target);
        if let Some(Mistake::TooMany(wait)) = self.mistake {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.secs));
        }
        response
    }
}

/// The page to sign in.
pub(super) fn sign_in_page(
    provider: &Provider,
    visitor: &Visitor,
    asked: &Asked,
    errand: &Errand<'_>,
    attempted: &Attempted<'_>,
) -> Result<Response<Body>, Refusal> {
    let (owner, is_new) = visitor.form_owner()?;
    let frame = Frame::of(&provider.config, errand.language);
    let shown = SignInPage {
        frame,
        client: errand.client,
        action: errand.action,
        username: attempted.typed,
        error: &attempted.error(frame.text),
        request: Escaped(&asked.text),
        csrf: form_token::mint(
            &provider.form_key,
            errand.purpose,
            owner.as_bytes(),
            &asked.text,
            provider.unix(),
        ),
    };
    let response = attempted.respond(frame, &shown, errand.form_target.as_deref());
    Ok(with_form_cookie(provider, response, &owner, is_new))
}

/// Has the browser told what its forms are bound to, where it does not know yet.
pub(super) fn with_form_cookie(
    provider: &Provider,
    mut response: Response<Body>,
    owner: &str,
    is_new: bool,
) -> Response<Body> {
    if let Some(cookie) = super::cookie::Cookie::Form.set(&provider.config, owner).filter(|_| is_new) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

fn consent_page(
    provider: &Provider,
    asked: &Asked,
    request: &ValidRequest,
    signed_in: &SignedIn,
    (remembered, now): (Option<Id>, UnixTime),
) -> Response<Body> {
    let owner = signed_in.session.id.as_bytes();
    let days = provider.config.lifetimes.consent_secs.div_ceil(86_400);
    let frame = Frame::of(&provider.config, request.address.language());
    let reach = &request.reach;
    let scope = request.shown_scope();
    let scope: Vec<&str> = scope.iter().collect();
    let shown = ConsentPage {
        frame,
        client: request.client.display_name(),
        client_id: request.client.id.as_str(),
        about: About::of(provider, &request.client),
        username: &signed_in.username,
        asked: page::asked(frame, &scope, &reach.resources, &reach.details),
        details: page::details(frame, &reach.details),
        destination: request.address.shown(),
        remember: is_open(provider, request).then_some(Remember { days, is_ticked: remembered.is_some() }),
        request: Escaped(&asked.text),
        csrf: form_token::mint(
            &provider.form_key,
            Purpose::Consent,
            owner,
            &request.as_shown(&asked.text),
            now,
        ),
    };
    let target = request.address.form_target();
    page::respond(frame, StatusCode::OK, &shown, Some(&target))
}

fn account_page(
    provider: &Provider,
    asked: &Asked,
    request: &ValidRequest,
    signed_in: &SignedIn,
) -> Response<Body> {
    let owner = signed_in.session.id.as_bytes();
    let frame = Frame::of(&provider.config, request.address.language());
    let shown = AccountPage {
        frame,
        client: request.client.display_name(),
        username: &signed_in.username,
        request: Escaped(&asked.text),
        csrf: form_token::mint(&provider.form_key, Purpose::Account, owner, &asked.text, provider.unix()),
    };
    let target = request.address.form_target();
    page::respond(frame, StatusCode::OK, &shown, Some(&target))
}
