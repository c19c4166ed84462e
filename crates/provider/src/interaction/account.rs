//! Going on as who is signed in, or as somebody else (`prompt=select_account`, OpenID Connect Core §3.1.2.1).

use super::form_token::Purpose;
use super::judge::{Outcome, judge};
use super::next::Done;
use super::parameters::Begun;
use super::step::{Attempted, Errand, go_on, sign_in_page, start_again, tell_fault};
use super::submission::Submission;
use crate::provider::Provider;
use crate::refusal::Refusal;
use axum::body::Body;
use http::Response;

/// Takes the user's choice.
///
/// # Errors
/// [`Refusal`], to be told on a page.
pub async fn choose(provider: &Provider, submission: &Submission) -> Result<Response<Body>, Refusal> {
    let Submission { form, asked, visitor } = submission;
    let Some(signed_in) = &visitor.signed_in else { return start_again(provider, asked) };
    submission.check(provider, Purpose::Account, Some(signed_in.session.id.as_bytes()))?;
    let request = match judge(provider, &asked.form, Begun::Before, visitor.language).await? {
        Outcome::Page(denied) => return Err(denied.into()),
        Outcome::Return(faulty) => return tell_fault(provider, visitor, asked, &faulty),
        Outcome::Good(request) => request,
    };
    match form.has("switch") {
        true => sign_in_page(provider, visitor, asked, &Errand::of(&request), &Attempted::not_yet("")),
        false => go_on(provider, visitor, asked, request, Done { sign_in: false, choice: true }).await,
    }
}
