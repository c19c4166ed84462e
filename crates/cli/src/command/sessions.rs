//! `keybound sessions`

use crate::bound_key;
use crate::error::CommandError;
use crate::server::NameArgs;
use crate::{facts, output, places};
use keybound_dpop::time::{Clock, SystemClock};
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound sessions list
  keybound sessions show work
  keybound sessions delete work

These are your own logins, on this machine: what `keybound login` has kept, and `keybound request` uses. Who runs a \
provider finds the sign-ins of its users in `keybound session`.";

const LIST_HELP: &str = "\
Examples:
  keybound sessions list
  keybound sessions list --json | jq -r '.[] | select(.is_renewable) | .session'

Times are seconds since 1970. Tokens are never shown.";

const SHOW_HELP: &str = "\
Examples:
  keybound sessions show
  keybound sessions show work --json | jq -r .jkt";

const DELETE_HELP: &str = "\
Examples:
  keybound sessions delete work

Only what is kept here is deleted, with the key that the login made; its tokens stay good where somebody has them and \
the key. `keybound logout` has the server end them too.";

/// List, show and delete your logins on this machine
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List all logins
    #[command(after_long_help = LIST_HELP)]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what is known of a login
    #[command(after_long_help = SHOW_HELP)]
    Show {
        /// Its name; left out, that of the profile
        #[arg(env = "KEYBOUND_SESSION", hide_env_values = true)]
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a login, and the key that it made
    #[command(after_long_help = DELETE_HELP)]
    Delete {
        /// Its name
        name: String,
    },
}

pub(crate) fn run(args: Args) -> Result<ExitCode, CommandError> {
    match args.action {
        Action::List { json } => list(json)?,
        Action::Show { name, json } => {
            let named = NameArgs { session: name, ..NameArgs::default() };
            let name = named.session(&named.server(true)?);
            let session = facts::load(&name)?;
            if json {
                output::json(&facts::json(&name, &session))?;
            } else {
                output::line(&facts::text(&name, &session, SystemClock::start().now().unix))?;
            }
        }
        Action::Delete { name } => delete(&name)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(json: bool) -> Result<(), CommandError> {
    let sessions = places::sessions()?;
    let names = sessions.names().map_err(CommandError::failed)?;
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        match sessions.load(&name) {
            Ok(session) => all.push((name, session)),
            Err(error) => output::note(&format!("{}\n", output::plain(&error.to_string())))?,
        }
    }
    if json {
        return output::json(&all.iter().map(|(name, session)| facts::json(name, session)).collect());
    }
    if all.is_empty() {
        return output::note("there are no logins yet; `keybound login` makes one\n");
    }
    let now = SystemClock::start().now().unix;
    for (name, session) in &all {
        let who = session.tokens.subject.as_deref().unwrap_or(session.client_id.as_str());
        let line = format!("{name:<16}  {who} at {}  {}", session.issuer, facts::life(session, now));
        output::line(&output::plain(&line))?;
    }
    Ok(())
}

fn delete(name: &str) -> Result<(), CommandError> {
    let sessions = places::sessions()?;
    // One that cannot be read can be deleted all the same.
    let session = sessions.load(name);
    if let Err(keybound_client::session_store::SessionStoreError::File(_)) = &session {
        facts::load(name)?;
    }
    // Whoever renews it meanwhile would write it again after it was deleted.
    let _turn = sessions.lock(name).map_err(CommandError::failed)?;
    sessions.delete(name).map_err(CommandError::failed)?;
    let is_key_gone = session.map_or(Ok(false), |session| bound_key::delete_own(&session, &sessions))?;
    output::line(&format!("deleted {name}{}", if is_key_gone { " and its key" } else { "" }))
}
