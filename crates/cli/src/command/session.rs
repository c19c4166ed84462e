//! `keybound session`

use super::ConfigArg;
use crate::error::CommandError;
use crate::facts::span;
use crate::output;
use keybound_dpop::time::{Clock, SystemClock, UnixTime};
use keybound_provider::store::{Id, Session, Store};
use serde_json::json;
use std::process::ExitCode;

/// Sessions that are read from the store at once.
const PAGE: u32 = 500;

const HELP: &str = "\
Examples:
  keybound session list
  keybound session end --user alice

A session is one user, signed in in one browser, at the provider that this machine runs. Its clients are told when it is \
ended, by the provider while it runs. Your own logins, as a client, are in `keybound sessions`.";

const LIST_HELP: &str = "\
Examples:
  keybound session list
  keybound session list --user alice --json

As JSON, times are seconds since 1970.";

const END_HELP: &str = "\
Examples:
  keybound session end --user alice
  keybound session end AZ3mP2tVf0u1vQ0fJm1c5A

Refresh tokens end with it, unless they are for offline use. To end those too, give the user another password.";

/// List and end the sign-ins of a provider's users
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List who is signed in
    #[command(after_long_help = LIST_HELP)]
    List {
        /// Only this user's
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// End a session, or all of a user
    #[command(after_long_help = END_HELP)]
    End {
        /// The session
        #[arg(value_name = "ID", required_unless_present = "user", conflicts_with = "user")]
        id: Option<String>,
        /// All sessions of this user
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        #[command(flatten)]
        config: ConfigArg,
    },
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let now = SystemClock::start().now().unix;
    match args.action {
        Action::List { user, json, config } => list(&config.store()?, user.as_deref(), json, now).await?,
        Action::End { id, user, config } => {
            let store = config.store()?;
            match (id, user) {
                (_, Some(name)) => {
                    let count = store.end_sessions_of(&subject_of(&store, &name).await?, now).await?;
                    output::line(&format!("ended {count} of {}", output::plain(&name)))?;
                }
                (id, None) => end(&store, &id.unwrap_or_default(), now).await?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn end(store: &Store, text: &str, now: UnixTime) -> Result<(), CommandError> {
    let is_ended = match Id::parse(text) {
        Some(id) => store.end_session(id, now).await?,
        None => false,
    };
    if !is_ended {
        let what = format!("there is no session `{text}`");
        return Err(CommandError::failed(what).advise("see `keybound session list`"));
    }
    output::line(&format!("ended {}", output::plain(text)))
}

async fn subject_of(store: &Store, name: &str) -> Result<String, CommandError> {
    let user = store.find_user_by_username(name).await?;
    user.map(|user| user.subject).ok_or_else(|| {
        CommandError::failed(format!("there is no user `{name}`")).advise("see `keybound user list`")
    })
}

async fn list(store: &Store, user: Option<&str>, json: bool, now: UnixTime) -> Result<(), CommandError> {
    let subject = match user {
        Some(name) => Some(subject_of(store, name).await?),
        None => None,
    };
    let mut sessions: Vec<Session> = Vec::new();
    loop {
        let after = sessions.last().map(|session| session.id);
        let page = store.sessions(subject.as_deref(), after, PAGE).await?;
        if page.is_empty() {
            break;
        }
        sessions.extend(page);
    }
    sessions.retain(|session| now < session.expires_at);
    let mut shown = Vec::with_capacity(sessions.len());
    for session in sessions {
        let user = store.find_user_by_subject(&session.subject).await?;
        shown.push((session, user.map(|user| user.username).unwrap_or_default()));
    }
    if json {
        let sessions = shown.iter().map(|(session, username)| {
            json!({ "id": session.id.to_string(), "username": username, "sub": session.subject,
                    "auth_time": session.auth_time.as_secs(), "expires_at": session.expires_at.as_secs() })
        });
        return output::json(&sessions.collect());
    }
    if shown.is_empty() {
        return output::note("nobody is signed in\n");
    }
    let width = shown.iter().map(|(_, username)| username.chars().count()).max().unwrap_or(0);
    for (session, username) in &shown {
        let since = span(now.since(session.auth_time).as_secs());
        let left = span(session.expires_at.since(now).as_secs());
        let line = format!("{}  {username:<width$}  signed in {since} ago, for {left} more", session.id);
        output::line(&output::plain(&line))?;
    }
    Ok(())
}
