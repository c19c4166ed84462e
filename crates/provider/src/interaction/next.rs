//! What comes next for a request that can be granted: a plain rule over the request and who is there (OpenID Connect
//! Core §3.1.2.1, §3.1.2.3, §3.1.2.4).

use super::judge::ValidRequest;
use crate::provider::Provider;
use crate::refusal::Denied;
use crate::store::{Id, SignedIn};
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization::Prompt;
use keybound_oauth::error::ErrorCode;

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Back to the client: nothing may be shown, or the user whom it means is not there.
    Refuse(Denied),
    /// The page to sign in.
    SignIn,
    /// The page to go on as who is signed in, or as somebody else.
    Choose,
    /// The page to allow or deny.
    Ask,
    /// Back to the client with a code: this consent is remembered.
    Answer(Id),
}

/// What the user did for this very request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    /// They signed in.
    pub(super) sign_in: bool,
    /// They said that they go on as who they are.
    pub(super) choice: bool,
}

/// Decides.
pub(super) fn decide(
    provider: &Provider,
    request: &ValidRequest,
    signed_in: Option<&SignedIn>,
    done: Done,
    (remembered, now): (Option<Id>, UnixTime),
) -> Next {
    let is_silent = request.prompts(Prompt::None);
    let recent = signed_in.filter(|signed_in| done.sign_in || !is_asked_to_sign_in(request, signed_in, now));
    let Some(signed_in) = recent else {
        return match is_silent {
            true => refuse("OIDC-AUT-06", "nobody is signed in, or not lately enough"),
            false => Next::SignIn,
        };
    };
    // The answer would be the only thing that tells a client, to which nobody said yes, who is there.
    if is_silent && remembered.is_none() && request.names_a_user() {
        let wire = "the user whom the request names is not there, or has not let the client know";
        return refuse("OIDC-AUT-06", wire);
    }
    let is_meant = request.meant.is(provider, &request.client, &signed_in.session.subject, done.sign_in);
    if !is_meant || !request.accepts(provider, signed_in) {
        // §3.1.2.2: never an answer about another user. Who just signed in is not asked to do so for ever.
        let row = if is_meant { "OIDC-CLM-03" } else { "OIDC-AUT-15" };
        return match is_silent || done.sign_in {
            true => refuse(row, "somebody else is signed in than the request names"),
            false => Next::SignIn,
        };
    }
    match remembered {
        _ if request.prompts(Prompt::SelectAccount) && !done.sign_in && !done.choice => Next::Choose,
        Some(consent) if !request.prompts(Prompt::Consent) => Next::Answer(consent),
        _ if is_silent => {
            let wire = "the user has to be asked for consent";
            Next::Refuse(Denied::new(ErrorCode::ConsentRequired, "OIDC-AUT-06", wire))
        }
        _ => Next::Ask,
    }
}

fn refuse(row: &'static str, wire: &str) -> Next {
    Next::Refuse(Denied::new(ErrorCode::LoginRequired, row, wire))
}

/// Whether the user has to sign in although they did: `prompt=login`, and `max_age`, or what is registered in its place
/// (OpenID Connect Registration §2).
fn is_asked_to_sign_in(request: &ValidRequest, signed_in: &SignedIn, now: UnixTime) -> bool {
    let is_old =
        |max_age_secs| max_age_secs == 0 || signed_in.session.auth_time.plus_secs(max_age_secs) < now;
    let max_age = request.request.max_age_secs.or(request.client.default_max_age_secs);
    request.prompts(Prompt::Login) || max_age.is_some_and(is_old)
}
