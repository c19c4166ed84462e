//! `keybound user`

use super::ConfigArg;
use crate::error::CommandError;
use crate::{input, output};
use keybound_dpop::time::{Clock, SystemClock, UnixTime};
use keybound_provider::passwords;
use keybound_provider::registry::{NewUser, add_user};
use keybound_provider::store::{Store, User};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Users that are read from the store at once.
const PAGE: u32 = 500;

const HELP: &str = "\
Examples:
  keybound user add alice --claim email=alice@example.com --claim email_verified:=true
  keybound user list

These commands work on the provider's store, also while the provider runs.";

const ADD_HELP: &str = "\
Examples:
  keybound user add alice --claim name='Alice Example' --claim email=alice@example.com
  keybound user add alice --password-stdin < password.txt

Claims are those of OpenID Connect Core section 5.1. NAME=TEXT is text; NAME:=JSON is anything else, such as \
email_verified:=true.";

const LIST_HELP: &str = "\
Examples:
  keybound user list
  keybound user list --json | jq -r '.[].username'";

const PASSWD_HELP: &str = "\
Examples:
  keybound user passwd alice
  keybound user passwd alice --password-stdin < password.txt

The user's sessions end, and what was granted in their name is revoked.";

const REMOVE_HELP: &str = "\
Examples:
  keybound user remove alice

The user's sessions end, and what was granted in their name is revoked.";

/// Add, list and remove the people who can sign in
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a user; the password is asked for, or read from stdin
    #[command(after_long_help = ADD_HELP)]
    Add {
        /// The name that the user signs in with
        name: String,
        /// What is known of the user
        #[arg(long = "claim", value_name = "NAME=TEXT|NAME:=JSON")]
        claims: Vec<String>,
        /// The subject identifier (`sub`); left out, a random one
        #[arg(long = "sub", value_name = "SUBJECT")]
        subject: Option<String>,
        #[command(flatten)]
        password: PasswordArg,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// List all users
    #[command(after_long_help = LIST_HELP)]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Give a user another password
    #[command(after_long_help = PASSWD_HELP)]
    Passwd {
        /// The user
        name: String,
        #[command(flatten)]
        password: PasswordArg,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Remove a user
    #[command(after_long_help = REMOVE_HELP)]
    Remove {
        /// The user
        name: String,
        #[command(flatten)]
        config: ConfigArg,
    },
}

#[derive(Debug, clap::Args)]
struct PasswordArg {
    /// Read the password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let now = SystemClock::start().now().unix;
    match args.action {
        Action::Add { name, claims, subject, password, config } => {
            let store = config.store()?;
            let claims = parse_claims(&claims)?;
            let password = input::new_password(password.password_stdin)?;
            let user = add_user(&store, NewUser { username: name, password, subject, claims }, now).await?;
            output::line(&format!(
                "added {} (sub {})",
                output::plain(&user.username),
                output::plain(&user.subject)
            ))?;
        }
        Action::List { json, config } => list(&config.store()?, json).await?,
        Action::Passwd { name, password, config } => passwd(&config.store()?, &name, &password, now).await?,
        Action::Remove { name, config } => {
            if !config.store()?.remove_user(&name, now).await? {
                return Err(unknown(&name));
            }
            output::line(&format!("removed {}", output::plain(&name)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn parse_claims(written: &[String]) -> Result<Map<String, Value>, CommandError> {
    let mut claims = Map::new();
    for claim in written {
        let wrong = || {
            CommandError::usage(format!("`{claim}` is no claim"))
                .advise("write NAME=TEXT, or NAME:=JSON such as email_verified:=true")
        };
        let (name, text) = claim.split_once('=').ok_or_else(wrong)?;
        let (name, value) = match name.strip_suffix(':') {
            Some(name) => (name, serde_json::from_str(text).map_err(|_| wrong())?),
            None => (name, Value::from(text)),
        };
        if name.is_empty() {
            return Err(wrong());
        }
        claims.insert(name.to_owned(), value);
    }
    Ok(claims)
}

async fn list(store: &Store, json: bool) -> Result<(), CommandError> {
    let mut users: Vec<User> = Vec::new();
    loop {
        let after = users.last().map(|user| user.username.clone()).unwrap_or_default();
        let page = store.users(&after, PAGE).await?;
        if page.is_empty() {
            break;
        }
        users.extend(page);
    }
    if json {
        let users = users.iter().map(|user| {
            json!({ "username": user.username, "sub": user.subject, "claims": user.claims,
                    "updated_at": user.updated_at.as_secs() })
        });
        return output::json(&users.collect());
    }
    if users.is_empty() {
        return output::note("there are no users yet; `keybound user add NAME` adds one\n");
    }
    let width = users.iter().map(|user| user.username.chars().count()).max().unwrap_or(0);
    for user in &users {
        let claims: Vec<&str> = user.claims.keys().map(String::as_str).collect();
        let line = format!("{:<width$}  sub {}  claims: {}", user.username, user.subject, claims.join(" "));
        output::line(output::plain(&line).trim_end())?;
    }
    Ok(())
}

async fn passwd(
    store: &Store,
    name: &str,
    password: &PasswordArg,
    now: UnixTime,
) -> Result<(), CommandError> {
    if store.find_user_by_username(name).await?.is_none() {
        return Err(unknown(name));
    }
    let password = input::new_password(password.password_stdin)?;
    if password.is_empty() {
        return Err(CommandError::failed("the password is empty").advise("choose a longer one"));
    }
    let hash = passwords::hash(&password).map_err(CommandError::failed)?;
    if !store.set_password(name, hash, now).await? {
        return Err(unknown(name));
    }
    output::line(&format!("{} has a new password; earlier sessions have ended", output::plain(name)))
}

fn unknown(name: &str) -> CommandError {
    CommandError::failed(format!("there is no user `{name}`")).advise("see `keybound user list`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_text_or_json() {
        let read = |claims: &[&str]| {
            parse_claims(&claims.iter().map(ToString::to_string).collect::<Vec<_>>()).map(Value::from)
        };
        let claims = read(&["email=a=b", "email_verified:=true"]).expect("claims");
        assert_eq!(claims, json!({ "email": "a=b", "email_verified": true }));
        assert!(read(&["email"]).is_err() && read(&["=x"]).is_err() && read(&["a:=b"]).is_err());
    }
}
