//! `keybound consent`

use super::ConfigArg;
use crate::error::CommandError;
use crate::output;
use keybound_dpop::time::{Clock, SystemClock, UnixTime};
use keybound_provider::store::{Consent, Store, Write};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Consents that are read from the store at once.
const PAGE: u32 = 500;

const HELP: &str = "\
Examples:
  keybound consent list
  keybound consent forget alice --client shop

A user who ticks a box when they allow an application is not asked again for the same or less. These commands work on \
the provider's store, also while the provider runs.";

const LIST_HELP: &str = "\
Examples:
  keybound consent list
  keybound consent list alice
  keybound consent list --json | jq -r '.[].client_id'";

const FORGET_HELP: &str = "\
Examples:
  keybound consent forget alice
  keybound consent forget alice --client shop
  keybound consent forget alice --client shop --revoke

The user is asked the next time. What the application has stays good, unless it is revoked too.";

/// See and forget what users need not be asked again
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List what is remembered, oldest first
    #[command(after_long_help = LIST_HELP)]
    List {
        /// The user; left out, all users
        user: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Have a user asked again
    #[command(after_long_help = FORGET_HELP)]
    Forget {
        /// The user
        user: String,
        /// The client; left out, all clients
        #[arg(long, value_name = "CLIENT_ID")]
        client: Option<String>,
        /// Revoke also what was granted in the user's name
        #[arg(long)]
        revoke: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let now = SystemClock::start().now().unix;
    match args.action {
        Action::List { user, json, config } => list(&config.store()?, user.as_deref(), json, now).await?,
        Action::Forget { user, client, revoke, config } => {
            forget(&config.store()?, &user, client, revoke, now).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(store: &Store, user: Option<&str>, json: bool, now: UnixTime) -> Result<(), CommandError> {
    let mut consents = match user {
        Some(name) => {
            let mut consents = store.consents(&subject_of(store, name).await?, None).await?;
            consents.reverse();
            consents
        }
        None => all(store).await?,
    };
    consents.retain(|consent| now < consent.expires_at);
    let mut names: Vec<String> = Vec::with_capacity(consents.len());
    for consent in &consents {
        let user = store.find_user_by_subject(&consent.subject).await?;
        names.push(user.map_or_else(|| consent.subject.clone(), |user| user.username));
    }
    let with_names = names.iter().zip(&consents);
    if json {
        return output::json(&with_names.map(|(name, consent)| describe(name, consent)).collect());
    }
    if consents.is_empty() {
        return output::note("nothing is remembered: users are asked each time\n");
    }
    for (name, consent) in with_names {
        let types = consent.authorization_details.iter().map(|detail| detail.detail_type());
        let asked = consent.scope.iter().map(String::as_str).chain(types).collect::<Vec<_>>().join(" ");
        let days = consent.expires_at.since(now).as_secs().div_ceil(86_400);
        let line = format!("{name}  {}  {asked}  days left: {days}", consent.client_id);
        output::line(&output::plain(&line))?;
    }
    Ok(())
}

async fn all(store: &Store) -> Result<Vec<Consent>, CommandError> {
    let mut consents: Vec<Consent> = Vec::new();
    loop {
        let page = store.all_consents(consents.last().map(|consent| consent.id), PAGE).await?;
        if page.is_empty() {
            return Ok(consents);
        }
        consents.extend(page);
    }
}

fn describe(username: &str, consent: &Consent) -> Value {
    json!({
        "username": username,
        "sub": consent.subject,
        "client_id": consent.client_id,
        "scope": consent.scope.join(" "),
        "resources": consent.resources,
        "authorization_details": consent.authorization_details.to_json(),
        "given_at": consent.given_at.as_secs(),
        "used_at": consent.used_at.map(UnixTime::as_secs),
        "expires_at": consent.expires_at.as_secs(),
    })
}

async fn forget(
    store: &Store,
    user: &str,
    client_id: Option<String>,
    revoke: bool,
    now: UnixTime,
) -> Result<(), CommandError> {
    let subject = subject_of(store, user).await?;
    let count = store.consents(&subject, client_id.as_deref()).await?.len();
    let write = match revoke {
        true => Write::RevokeGrantsOf { subject, client_id, at: now },
        false => Write::ForgetConsentsOf { subject, client_id },
    };
    store.write(vec![write]).await?;
    let revoked = if revoke { "; what was granted is revoked" } else { "" };
    output::line(&format!("forgot {count} of {}{revoked}", output::plain(user)))
}

async fn subject_of(store: &Store, username: &str) -> Result<String, CommandError> {
    let user = store.find_user_by_username(username).await?;
    user.map(|user| user.subject).ok_or_else(|| {
        CommandError::failed(format!("there is no user `{username}`")).advise("see `keybound user list`")
    })
}
