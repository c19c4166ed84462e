//! `keybound signing-key`

use super::ConfigArg;
use crate::error::CommandError;
use crate::facts::span;
use crate::output;
use clap::ValueEnum;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::time::{Clock, SystemClock, UnixTime};
use keybound_provider::signing_keys::command::{KeyError, Pace, retire, rotate};
use keybound_provider::store::{KeyChange, SigningKey, Store};
use serde_json::{Value, json};
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound signing-key list
  keybound signing-key rotate
  keybound signing-key rotate --now

The provider makes its keys by itself, one for each purpose and algorithm, and gives each a successor after 90 days \
(`[signing] rotate_days`). These commands work on its store, also while it runs; it sees a change within two seconds. \
Private keys are never printed.";

const LIST_HELP: &str = "\
Examples:
  keybound signing-key list
  keybound signing-key list --json | jq -r '.[] | select(.state == \"signs\") | .kid'

States: `signs`; `next`, published and not used yet; `published`, used no more, and there until what it has signed has \
ended; `gone`, out of the key set for good.";

const ROTATE_HELP: &str = "\
Examples:
  keybound signing-key rotate
  keybound signing-key rotate --alg RS256
  keybound signing-key rotate --now

In order, nobody notices: the new key is published at once and used six minutes later, when no cache is without it; the \
old one stays published until the last of its tokens has ended.

--now is for a key that somebody else may have. The new key signs at once, and the old one is out at once: every \
access token and ID token that it has signed is refused as soon as whoever checks it reads the key set again, which \
takes up to five minutes. Clients go on with their refresh tokens. APIs that keep an older key set refuse new tokens \
until they read it again.";

const RETIRE_HELP: &str = "\
Examples:
  keybound signing-key retire 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I

Takes one key out of the set at once, with all that it has signed. The key that signs cannot be taken out: \
`keybound signing-key rotate --now` replaces it.";

/// List and replace the keys that the provider signs with
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List all keys, and what each is doing
    #[command(after_long_help = LIST_HELP)]
    List {
        /// Print JSON, with times in seconds since 1970
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Give the keys in use a successor
    #[command(after_long_help = ROTATE_HELP)]
    Rotate {
        /// Only the keys of this algorithm; left out, all
        #[arg(long, value_enum, value_name = "ALGORITHM")]
        alg: Option<SigningAlgorithm>,
        /// For an emergency: use the new key at once, and believe the old one no longer
        #[arg(long)]
        now: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Take a key out of the key set at once
    #[command(after_long_help = RETIRE_HELP)]
    Retire {
        /// Its `kid`
        #[arg(allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        config: ConfigArg,
    },
}

/// The algorithms that the provider signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SigningAlgorithm {
    /// ECDSA with P-256
    #[value(name = "ES256")]
    Es256,
    /// Ed25519
    #[value(name = "EdDSA")]
    EdDsa,
    /// RSA, PSS
    #[value(name = "PS256")]
    Ps256,
    /// RSA, PKCS #1 v1.5
    #[value(name = "RS256")]
    Rs256,
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(chosen: SigningAlgorithm) -> Self {
        match chosen {
            SigningAlgorithm::Es256 => Self::Es256,
            SigningAlgorithm::EdDsa => Self::EdDsa,
            SigningAlgorithm::Ps256 => Self::Ps256,
            SigningAlgorithm::Rs256 => Self::Rs256,
        }
    }
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let now = SystemClock::start().now().unix;
    match args.action {
        Action::List { json, config } => list(&config.store()?, json, now).await?,
        Action::Rotate { alg, now: at_once, json, config } => {
            let lives = config.load()?.check()?.key_lives();
            let pace = if at_once { Pace::AtOnce } else { Pace::Orderly };
            let changes = rotate(&config.store()?, alg.map(Algorithm::from), pace, lives, now).await;
            tell(&changes.map_err(explain)?, json, now)?;
        }
        Action::Retire { kid, config } => {
            retire(&config.store()?, &kid, now).await.map_err(explain)?;
            output::line(&format!("{} is out of the key set", output::plain(&kid)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn explain(error: KeyError) -> CommandError {
    let said = CommandError::failed(error.to_string());
    match error {
        KeyError::Unknown(_) | KeyError::Gone(_) => said.advise("see `keybound signing-key list`"),
        KeyError::InUse(_) => said.advise("replace it: `keybound signing-key rotate --now`"),
        KeyError::Nothing => said.advise("start the provider once, then see `keybound signing-key list`"),
        KeyError::Start(_) => said,
    }
}

fn tell(changes: &[KeyChange], json: bool, now: UnixTime) -> Result<(), CommandError> {
    let added = changes.iter().filter_map(|change| change.insert.as_ref());
    if json {
        return output::json(&added.map(|key| describe(key, &[], now)).collect());
    }
    if changes.is_empty() {
        return output::note("nothing to do: each key has a successor that is published already\n");
    }
    for change in changes {
        if let Some(key) = &change.insert {
            let from = key.use_from.since(now).as_secs();
            let when = if from == 0 { "now".to_owned() } else { format!("in {}", span(from)) };
            output::line(&format!("{}  {} {}  signs {when}", key.kid, key.algorithm, key.key_use.as_str()))?;
        }
        for (kid, at) in &change.retire {
            let until = at.since(now).as_secs();
            let when = if until == 0 { "is out".to_owned() } else { format!("is out in {}", span(until)) };
            output::line(&format!("{kid}  {when}"))?;
        }
    }
    Ok(())
}

async fn list(store: &Store, json: bool, now: UnixTime) -> Result<(), CommandError> {
    let keys = store.signing_keys().await?;
    if json {
        return output::json(&keys.iter().map(|key| describe(key, &keys, now)).collect());
    }
    if keys.is_empty() {
        return output::note("there are no keys yet; the provider makes them when it starts\n");
    }
    for key in &keys {
        let when = match state(key, &keys, now) {
            "next" => format!("signs in {}", span(key.use_from.since(now).as_secs())),
            "published" => match key.retire_at {
                Some(at) => format!("out in {}", span(at.since(now).as_secs())),
                None => String::new(),
            },
            _ => format!("made {} ago", span(now.since(key.created_at).as_secs())),
        };
        let state = state(key, &keys, now);
        let key_use = key.key_use.as_str();
        output::line(
            format!("{}  {:<5}  {key_use:<8}  {state:<9}  {when}", key.kid, key.algorithm).trim_end(),
        )?;
    }
    Ok(())
}

/// What may be known of a key.
fn describe(key: &SigningKey, all: &[SigningKey], now: UnixTime) -> Value {
    json!({
        "kid": key.kid,
        "alg": key.algorithm,
        "use": key.key_use.as_str(),
        "state": state(key, all, now),
        "created_at": key.created_at.as_secs(),
        "publish_at": key.publish_at.as_secs(),
        "use_from": key.use_from.as_secs(),
        "retire_at": key.retire_at.map(UnixTime::as_secs),
    })
}

/// What a key is doing: among those of its purpose and algorithm the one that was taken into use last signs.
fn state(key: &SigningKey, all: &[SigningKey], now: UnixTime) -> &'static str {
    let is_in = |key: &SigningKey| key.retire_at.is_none_or(|at| now < at);
    let overtakes = |other: &SigningKey| {
        (other.key_use, &other.algorithm) == (key.key_use, &key.algorithm)
            && is_in(other)
            && other.use_from <= now
            && other.use_from > key.use_from
    };
    match () {
        () if !is_in(key) => "gone",
        () if key.use_from > now => "next",
        () if all.iter().any(overtakes) => "published",
        () => "signs",
    }
}
