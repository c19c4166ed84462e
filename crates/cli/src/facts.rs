//! What may be told of a session: everything but its tokens.

use crate::error::{CommandError, Kind};
use crate::output::{self, plain};
use crate::places;
use crate::profile::Profiles;
use keybound_client::private_file::PrivateFileError;
use keybound_client::session::Session;
use keybound_client::session_store::SessionStoreError;
use keybound_dpop::time::UnixTime;
use serde_json::{Value, json};

/// The session of that name.
pub(crate) fn load(name: &str) -> Result<Session, CommandError> {
    places::sessions()?.load(name).map_err(|error| match error {
        SessionStoreError::File(PrivateFileError::Missing(_)) => {
            let how = match name {
                crate::profile::DEFAULT => String::new(),
                name if Profiles::load().is_ok_and(|all| all.by_name.contains_key(name)) => {
                    format!(" --profile {name}")
                }
                name => format!(" --session {name}"),
            };
            CommandError::of(Kind::NotLoggedIn, format!("there is no session `{name}`"))
                .advise(format!("log in with `keybound login{how}`, or see `keybound sessions list`"))
        }
        SessionStoreError::File(PrivateFileError::Name(_)) => CommandError::usage(error),
        error => CommandError::failed(error),
    })
}

/// Whether a session can be kept under that name.
pub(crate) fn check_name(name: &str) -> Result<(), CommandError> {
    match places::sessions()?.load(name) {
        Err(error @ SessionStoreError::File(PrivateFileError::Name(_))) => Err(CommandError::usage(error)),
        _ => Ok(()),
    }
}

/// As JSON.
pub(crate) fn json(name: &str, session: &Session) -> Value {
    let tokens = &session.tokens;
    json!({
        "session": name,
        "issuer": session.issuer.as_str(),
        "client_id": session.client_id.as_str(),
        "sub": tokens.subject,
        "scope": tokens.scope.as_ref().map(ToString::to_string),
        "token_type": tokens.token_type.as_str(),
        "expires_at": tokens.expires_at.map(UnixTime::as_secs),
        "is_renewable": tokens.refresh_token.is_some(),
        "key": session.key,
        "jkt": session.jkt.to_string(),
        "origins": session.origins.iter().collect::<Vec<_>>(),
    })
}

/// As lines for people, each a fact.
pub(crate) fn text(name: &str, session: &Session, now: UnixTime) -> String {
    let tokens = &session.tokens;
    let mut lines =
        format!("session   {name}\nissuer    {}\nclient    {}\n", session.issuer, session.client_id);
    if let Some(subject) = &tokens.subject {
        lines.push_str(&format!("user      {}\n", plain(subject)));
    }
    if let Some(scope) = &tokens.scope {
        lines.push_str(&format!("scope     {scope}\n"));
    }
    lines.push_str(&format!("token     {}, {}\n", tokens.token_type.as_str(), life(session, now)));
    lines.push_str(&format!("key       {}, jkt {}\n", session.key, session.jkt));
    let origins: Vec<&str> = session.origins.iter().collect();
    lines.push_str(&format!(
        "goes to   {}",
        if origins.is_empty() { "nobody".to_owned() } else { origins.join(", ") }
    ));
    lines
}

/// How long the access token is good, and what comes then.
pub(crate) fn life(session: &Session, now: UnixTime) -> String {
    let renewed = if session.tokens.refresh_token.is_some() { ", renewed when needed" } else { "" };
    match session.tokens.expires_at {
        None => format!("good for a time that the server did not tell{renewed}"),
        Some(at) if at <= now => format!("expired{renewed}"),
        Some(at) => format!("good for {}{renewed}", span(at.as_secs().saturating_sub(now.as_secs()))),
    }
}

/// A span of time, in its greatest unit.
pub(crate) fn span(secs: u64) -> String {
    match secs {
        0..=119 => format!("{secs} s"),
        120..=7199 => format!("{} min", secs / 60),
        7200..=172_799 => format!("{} h", secs / 3600),
        _ => format!("{} days", secs / 86_400),
    }
}

/// What a login ends with: on stdout for programs where asked for, on stderr for people. A token only where asked for.
pub(crate) fn tell(name: &str, session: &Session, json: bool, show_token: bool) -> Result<(), CommandError> {
    let token = show_token.then(|| session.tokens.access_token.reveal());
    if json {
        let mut facts = self::json(name, session);
        if let (Some(token), Some(facts)) = (token, facts.as_object_mut()) {
            facts.insert("access_token".to_owned(), token.into());
        }
        return output::json(&facts);
    }
    let tokens = &session.tokens;
    let who = tokens.subject.as_deref().unwrap_or(session.client_id.as_str());
    let what = tokens.scope.as_ref().map(|scope| format!(", scope `{scope}`")).unwrap_or_default();
    let told = format!("logged in as {who} at {}{what}; session `{name}`", session.issuer);
    output::note(&format!("{}, tokens bound to key {}\n", plain(&told), session.jkt))?;
    token.map_or(Ok(()), output::line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_a_unit_that_fits() {
        assert_eq!([59, 600, 10_000, 400_000].map(span), ["59 s", "10 min", "2 h", "4 days"]);
    }
}
