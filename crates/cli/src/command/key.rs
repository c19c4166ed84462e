//! `keybound key`

use crate::error::CommandError;
use crate::{output, places};
use clap::ValueEnum;
use keybound_client::keystore::KeyInfo;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::Signer as _;
use serde_json::{Value, json};
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound key new laptop
  keybound key list

Keys are files that nobody else can read, in ~/.local/share/keybound/keys (or in KEYBOUND_HOME). Private keys are never \
printed; tokens that are bound to a key cannot be used without it.";

const NEW_HELP: &str = "\
Examples:
  keybound key new laptop
  keybound key new laptop --alg EdDSA";

const LIST_HELP: &str = "\
Examples:
  keybound key list
  keybound key list --json | jq -r '.[].jkt'";

const SHOW_HELP: &str = "\
Examples:
  keybound key show laptop
  keybound key show laptop --json | jq .jwk";

const DELETE_HELP: &str = "\
Examples:
  keybound key delete laptop

Tokens that are bound to the key can be used no more.";

/// Make, list and delete the keys that proofs are signed with
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a key pair
    #[command(after_long_help = NEW_HELP)]
    New {
        /// Its name
        name: String,
        /// What it signs with
        #[arg(long, value_enum, value_name = "ALGORITHM", default_value = "ES256")]
        alg: KeyAlgorithm,
    },
    /// List all keys with their thumbprints
    #[command(after_long_help = LIST_HELP)]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the public key and its thumbprint (RFC 7638), which tokens are bound to
    #[command(after_long_help = SHOW_HELP)]
    Show {
        /// The name of the key
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a key pair
    #[command(after_long_help = DELETE_HELP)]
    Delete {
        /// The name of the key
        name: String,
    },
}

/// The algorithms for new keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyAlgorithm {
    /// ECDSA with P-256: every server takes it
    #[value(name = "ES256")]
    Es256,
    /// Ed25519, by its older name
    #[value(name = "EdDSA")]
    EdDsa,
    /// Ed25519, by the name of RFC 9864
    #[value(name = "Ed25519")]
    Ed25519,
}

impl From<KeyAlgorithm> for Algorithm {
    fn from(chosen: KeyAlgorithm) -> Self {
        match chosen {
            KeyAlgorithm::Es256 => Self::Es256,
            KeyAlgorithm::EdDsa => Self::EdDsa,
            KeyAlgorithm::Ed25519 => Self::Ed25519,
        }
    }
}

pub(crate) fn run(args: Args) -> Result<ExitCode, CommandError> {
    let keys = places::keys()?;
    match args.action {
        Action::New { name, alg } => {
            let key = keys.create(&name, alg.into())?;
            output::line(&format!("{name}  {}  jkt {}", key.algorithm(), key.public_jwk().thumbprint()))?;
        }
        Action::List { json } => {
            let mut described = Vec::new();
            for name in keys.names()? {
                described.push(describe(&name, &keys.info(&name)?));
            }
            list(&described, json)?;
        }
        Action::Show { name, json } => {
            let described = describe(&name, &keys.info(&name)?);
            if json {
                output::json(&described)?;
            } else {
                let text = |member: &str| described.get(member).and_then(Value::as_str).unwrap_or_default();
                let jwk = described.get("jwk").map(ToString::to_string).unwrap_or_default();
                output::line(&format!(
                    "name  {name}\nalg   {}\njkt   {}\njwk   {jwk}",
                    text("alg"),
                    text("jkt")
                ))?;
            }
        }
        Action::Delete { name } => {
            keys.delete(&name)?;
            output::line(&format!("deleted {name}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What may be known of a key: its public half.
fn describe(name: &str, key: &KeyInfo) -> Value {
    let jwk: Value = serde_json::from_str(&key.public.to_json()).unwrap_or_default();
    json!({ "name": name, "kind": key.kind.to_string(), "alg": key.algorithm.name(),
            "jkt": key.public.thumbprint().to_string(), "jwk": jwk })
}

fn list(described: &[Value], json: bool) -> Result<(), CommandError> {
    if json {
        return output::json(&described.into());
    }
    if described.is_empty() {
        return output::note("there are no keys yet; `keybound key new NAME` makes one\n");
    }
    for key in described {
        let text = |member: &str| key.get(member).and_then(Value::as_str).unwrap_or_default();
        output::line(&format!("{:<20}  {:<7}  jkt {}", text("name"), text("alg"), text("jkt")))?;
    }
    Ok(())
}
