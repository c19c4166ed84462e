//! The way of a browser through a logout (OpenID Connect RP-Initiated Logout 1.0). A client that shows an ID token of
//! this very session ends it at once; anybody else's request is a question to the user. Back to a client goes only who
//! came with an ID token of ours, and only to a place that is registered for it.

use super::address::form_target;
use super::asked::Asked;
use super::cookie::Cookie;
use super::form_token::{self, Purpose};
use super::submission::Submission;
use super::visitor::Visitor;
use crate::audit::{self, Event, Facts};
use crate::clients::{Origin, RegisteredClient};
use crate::endpoint;
use crate::hint;
use crate::logout::sid;
use crate::page::{self, DonePage, Escaped, Frame, Language, LogoutPage, SignedOutPage};
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use crate::respond;
use crate::signing_keys::KeyUse;
use crate::store::{Fault, SignedIn, Write};
use crate::subject::is_seen_as;
use axum::body::Body;
use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use keybound_dpop::secret::Secret;
use keybound_oauth::end_session::EndSessionRequest;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::form::Form;
use keybound_oauth::identifier::ClientId;
use std::sync::Arc;

/// What a logout request comes to.
#[derive(Default)]
struct Judged {
    /// Who sent the user here.
    client: Option<Arc<RegisteredClient>>,
    /// Where the user goes afterwards.
    back: Option<Back>,
    /// Whether it was an ID token of this session that came along.
    fits: bool,
}

/// A place that is registered for the client whose ID token came along.
struct Back {
    location: String,
    form_target: String,
}

/// Signs out, or asks whether to.
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub async fn begin(provider: &Provider, visitor: &Visitor, asked: &Asked) -> Result<Response<Body>, Refusal> {
    let judged = match judge(provider, visitor, &asked.form).await {
        Ok(judged) => judged,
        Err(Refusal::Denied(denied)) => return Ok(faulty(provider, visitor, &denied)),
        Err(unavailable) => return Err(unavailable),
    };
    match &visitor.signed_in {
        Some(signed_in) if judged.fits => end(provider, signed_in, &judged).await?,
        Some(signed_in) => return Ok(confirm_page(provider, visitor.language, signed_in, (asked, &judged))),
        None => {}
    }
    match (&visitor.signed_in, &judged.client, &judged.back) {
        (None, Some(client), Some(back)) if client.origin != Origin::Operator => {
            Ok(way_back(provider, visitor.language, client, back))
        }
        _ => leave(provider, visitor, &judged),
    }
}

/// The user's answer to the question.
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub async fn confirm(provider: &Provider, submission: &Submission) -> Result<Response<Body>, Refusal> {
    let Submission { asked, visitor, .. } = submission;
    let Some(signed_in) = &visitor.signed_in else { return start_again(provider, asked) };
    submission.check(provider, Purpose::Logout, Some(signed_in.session.id.as_bytes()))?;
    let judged = judge(provider, visitor, &asked.form).await?;
    end(provider, signed_in, &judged).await?;
    leave(provider, visitor, &judged)
}

/// To the endpoint by GET, with the request as it was: only then does the browser send its cookies (BCP-UI-05).
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub fn start_again(provider: &Provider, asked: &Asked) -> Result<Response<Body>, Refusal> {
    let place = format!("{}?{}", provider.config.endpoint(endpoint::LOGOUT), asked.text);
    page::redirect(&provider.config, &place)
}

/// §2: what may be believed of the request. Without an ID token of ours nobody is sent anywhere (OIDC-LGO-05).
async fn judge(provider: &Provider, visitor: &Visitor, form: &Form) -> Result<Judged, Refusal> {
    let request = EndSessionRequest::read(form);
    let find = async |client_id: &str| {
        provider.clients.find(&provider.store, client_id, provider.now()).await.map_err(Refusal::from)
    };
    let Some(hint) = &request.id_token_hint else {
        let client = match &request.client_id {
            Some(client_id) => find(client_id).await?,
            None => None,
        };
        return Ok(Judged { client, ..Judged::default() });
    };
    let hint = read_hint(provider, hint)?;
    let client_id = request.client_id.as_deref().or_else(|| hint.aud.iter().next()).unwrap_or_default();
    if !ClientId::parse(client_id).is_ok_and(|client_id| hint.is_for(&client_id)) {
        let wire = "`client_id` must be the client that the ID token was issued to";
        return Err(Denied::new(ErrorCode::InvalidRequest, "OIDC-LGO-02", wire).into());
    }
    let Some(client) = find(client_id).await? else {
        let wire = "the client that the ID token was issued to is not registered any more";
        return Err(Denied::new(ErrorCode::InvalidRequest, "OIDC-LGO-02", wire).into());
    };
    let fits = match &visitor.signed_in {
        Some(signed_in) => is_of_session(provider, &client, &hint, signed_in).await?,
        None => false,
    };
    Ok(Judged { back: find_back(&client, &request)?, client: Some(client), fits })
}

fn read_hint(provider: &Provider, hint: &Secret) -> Result<hint::Hint, Denied> {
    let keys = provider.signing_keys.key_set_of(KeyUse::Tokens, provider.unix());
    hint::verify(hint, &keys, &provider.config.issuer).map_err(|refused| {
        let wire =
            "`id_token_hint` must be an ID token that we issued, signed with a key that we still publish";
        Denied::new(ErrorCode::InvalidRequest, "OIDC-LGO-02", wire).log(&refused.to_string())
    })
}

/// §3: registered for the client, and the same character for character.
fn find_back(client: &RegisteredClient, request: &EndSessionRequest) -> Result<Option<Back>, Denied> {
    let Some(asked) = &request.post_logout_redirect_uri else { return Ok(None) };
    let registered = client.post_logout_redirect_uris.iter().find(|registered| registered.matches(asked));
    let registered = registered.ok_or_else(|| {
        let wire = "`post_logout_redirect_uri` must be one that is registered for the client, character for \
                    character";
        Denied::new(ErrorCode::InvalidRequest, "OIDC-LGO-04", wire).by(&client.id).log(asked)
    })?;
    let (location, form_target) = (request.location(registered), form_target(registered.url()));
    Ok(Some(Back { location, form_target }))
}

/// Whether the ID token came from this browser's session: the same user and, where the token says it, the same `sid`.
async fn is_of_session(
    provider: &Provider,
    client: &RegisteredClient,
    hint: &hint::Hint,
    signed_in: &SignedIn,
) -> Result<bool, Fault> {
    if !is_seen_as(provider, client, &signed_in.session.subject, &hint.sub) {
        return Ok(false);
    }
    let Some(named) = &hint.sid else { return Ok(true) };
    let known = provider.store.sids(signed_in.session.id, client.id.as_str()).await?;
    Ok(known.into_iter().any(|session| sid(provider, session, &client.id) == *named))
}

/// Ends the session and what lives with it. Its clients are told later, by notices that are written with it.
async fn end(provider: &Provider, signed_in: &SignedIn, judged: &Judged) -> Result<(), Fault> {
    let id = signed_in.session.id;
    provider.store.write(vec![Write::EndSession { id, at: provider.unix() }]).await?;
    let facts = Facts {
        client_id: judged.client.as_ref().map(|client| client.id.as_str()),
        subject: Some(&audit::alias(provider, &signed_in.session.subject)),
        ..Facts::default()
    };
    audit::write(Event::SignedOut, &facts);
    Ok(())
}

/// Nobody is signed in here any more: back to the client, or to the page that says so.
fn leave(provider: &Provider, visitor: &Visitor, judged: &Judged) -> Result<Response<Body>, Refusal> {
    let mut response = match &judged.back {
        Some(back) => page::redirect(&provider.config, &back.location)?,
        None => {
            let frame = Frame::of(&provider.config, visitor.language);
            let (title, text) = (frame.text.signed_out_title.as_str(), frame.text.signed_out_text.as_str());
            page::respond(frame, StatusCode::OK, &DonePage { frame, title, text }, None)
        }
    };
    if let Some(cookie) = Cookie::Session.clear(&provider.config) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The way back as a link: who registered themselves chose the place themselves, and an ID token of theirs is good here
/// for ever, so that anybody's link would lead there through us (RFC 9700 §4.11.2, ATK-132).
fn way_back(
    provider: &Provider,
    language: Language,
    client: &RegisteredClient,
    back: &Back,
) -> Response<Body> {
    let frame = Frame::of(&provider.config, language);
    let shown = SignedOutPage { frame, client: client.display_name(), place: &back.location };
    page::respond(frame, StatusCode::OK, &shown, None)
}

fn confirm_page(
    provider: &Provider,
    language: Language,
    signed_in: &SignedIn,
    (asked, judged): (&Asked, &Judged),
) -> Response<Body> {
    let shown = LogoutPage {
        client: judged.client.as_ref().map(|client| client.display_name()).unwrap_or_default(),
        ..question(provider, language, signed_in, &asked.text)
    };
    let target = judged.back.as_ref().map(|back| back.form_target.as_str());
    page::respond(shown.frame, StatusCode::OK, &shown, target)
}

/// A request that cannot be believed leads nowhere; who is signed in may sign out all the same.
fn faulty(provider: &Provider, visitor: &Visitor, denied: &Denied) -> Response<Body> {
    let Some(signed_in) = &visitor.signed_in else {
        return page::refusal(&provider.config, visitor.language, &Refusal::Denied(denied.clone()));
    };
    respond::audit(denied);
    // The sentence is written for developers, who quote names with backticks.
    let (code, error) = (denied.code.as_str(), denied.wire.replace('`', ""));
    let question = question(provider, visitor.language, signed_in, "");
    let shown = LogoutPage { code, error: &error, ..question };
    page::respond(shown.frame, denied.http_status(), &shown, None)
}

fn question<'a>(
    provider: &'a Provider,
    language: Language,
    signed_in: &'a SignedIn,
    request: &'a str,
) -> LogoutPage<'a> {
    let owner = signed_in.session.id.as_bytes();
    LogoutPage {
        frame: Frame::of(&provider.config, language),
        client: "",
        username: &signed_in.username,
        code: "",
        error: "",
        request: Escaped(request),
        csrf: form_token::mint(&provider.form_key, Purpose::Logout, owner, request, provider.unix()),
    }
}
