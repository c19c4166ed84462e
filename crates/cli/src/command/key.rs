//! `keybound key`

use crate::error::CommandError;
use crate::{input, output, places};
use clap::ValueEnum;
use keybound_client::keystore::pkcs11::TokenName;
use keybound_client::keystore::{KeyInfo, KeyKind, KeyStore};
use keybound_dpop::jose::algorithm::Algorithm;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound key new laptop
  keybound key list

What a key's name stands for is in a file that nobody else can read, in ~/.local/share/keybound/keys (or in \
KEYBOUND_HOME): the key, the key under a passphrase, or where in a token it is. Private keys are never printed; tokens \
that are bound to a key cannot be used without it.

Passphrases and PINs are asked for at the terminal, unless KEYBOUND_PASSPHRASE_FILE or KEYBOUND_PIN_FILE names a file, \
or KEYBOUND_PASSPHRASE or KEYBOUND_PIN holds them.";

const NEW_HELP: &str = "\
Examples:
  keybound key new laptop
  keybound key new laptop --encrypted
  keybound key new laptop --pkcs11 /usr/lib/softhsm/libsofthsm2.so --token work

A key in a token (PKCS #11: a security module, a smart card, a TPM) is made there and never leaves it.";

const LIST_HELP: &str = "\
Examples:
  keybound key list
  keybound key list --json | jq -r '.[].jkt'";

const SHOW_HELP: &str = "\
Examples:
  keybound key show laptop
  keybound key show laptop --json | jq .jwk";

const PASSWD_HELP: &str = "\
Examples:
  keybound key passwd laptop

A key that has no passphrase yet gets one. The key stays the same, and what is bound to it.";

const DELETE_HELP: &str = "\
Examples:
  keybound key delete laptop
  keybound key delete laptop --yes

Tokens that are bound to the key can be used no more. A key in a token is deleted there too.";

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
    New(NewArgs),
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
    /// Put a key file under another passphrase
    #[command(after_long_help = PASSWD_HELP)]
    Passwd {
        /// The name of the key
        name: String,
    },
    /// Delete a key pair
    #[command(after_long_help = DELETE_HELP)]
    Delete {
        /// The name of the key
        name: String,
        /// Do not ask before a key in a token is deleted
        #[arg(long)]
        yes: bool,
        /// Forget the name, and leave the key in its token
        #[arg(long, conflicts_with = "yes")]
        keep_in_token: bool,
    },
}

#[derive(Debug, clap::Args)]
struct NewArgs {
    /// Its name
    name: String,
    /// What it signs with
    #[arg(long, value_enum, value_name = "ALGORITHM", default_value = "ES256")]
    alg: KeyAlgorithm,
    /// Put the file under a passphrase
    #[arg(long, conflicts_with = "pkcs11")]
    encrypted: bool,
    /// Make it in a token, by way of this library
    #[arg(long, value_name = "MODULE", requires = "token")]
    pkcs11: Option<PathBuf>,
    /// The label of the token
    #[arg(long, value_name = "LABEL", requires = "pkcs11")]
    token: Option<String>,
    /// The serial number of the token, where two have that label
    #[arg(long, value_name = "NUMBER", requires = "pkcs11")]
    serial: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
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
    /// RSA with PSS, for servers and tokens that have nothing else
    #[value(name = "PS256")]
    Ps256,
    /// RSA with PKCS #1 v1.5, likewise
    #[value(name = "RS256")]
    Rs256,
}

impl From<KeyAlgorithm> for Algorithm {
    fn from(chosen: KeyAlgorithm) -> Self {
        match chosen {
            KeyAlgorithm::Es256 => Self::Es256,
            KeyAlgorithm::EdDsa => Self::EdDsa,
            KeyAlgorithm::Ed25519 => Self::Ed25519,
            KeyAlgorithm::Ps256 => Self::Ps256,
            KeyAlgorithm::Rs256 => Self::Rs256,
        }
    }
}

pub(crate) fn run(args: Args) -> Result<ExitCode, CommandError> {
    let keys = places::keys()?;
    match args.action {
        Action::New(args) => new(&keys, args)?,
        Action::List { json } => return list(&keys, json),
        Action::Show { name, json } => show(&describe(&name, &keys.info(&name)?), json)?,
        Action::Passwd { name } => {
            keys.change_passphrase(&name)?;
            output::line(&format!("{name} has a new passphrase"))?;
        }
        Action::Delete { name, keep_in_token: true, .. } => {
            keys.forget(&name)?;
            output::line(&format!("forgot {name}"))?;
        }
        Action::Delete { name, yes, .. } => {
            if !yes && let Ok(KeyInfo { kind: KeyKind::Token(place), .. }) = keys.info(&name) {
                input::confirm(&format!(
                    "Delete the key `{}` in token `{}` for good?",
                    place.label, place.token
                ))?;
            }
            keys.delete(&name)?;
            output::line(&format!("deleted {name}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn new(keys: &KeyStore, args: NewArgs) -> Result<(), CommandError> {
    let (name, algorithm) = (args.name.as_str(), args.alg.into());
    match (args.pkcs11, args.token) {
        (Some(module), Some(token)) => {
            let token = TokenName { module, token, serial: args.serial };
            keys.create_in_token(name, algorithm, &token)?;
        }
        _ if args.encrypted => {
            keys.create_encrypted(name, algorithm)?;
        }
        _ => {
            keys.create(name, algorithm)?;
        }
    }
    let key = keys.info(name)?;
    if args.json {
        return output::json(&describe(name, &key));
    }
    output::line(&format!("{name}  {}  jkt {}", key.algorithm, key.public.thumbprint()))
}

fn show(described: &Value, json: bool) -> Result<(), CommandError> {
    if json {
        return output::json(described);
    }
    let text = |member: &str| described.get(member).and_then(Value::as_str).unwrap_or_default();
    let mut lines = Vec::new();
    for member in ["name", "kind", "module", "token", "serial", "alg", "jkt"] {
        if !text(member).is_empty() {
            lines.push(format!("{member:<6}  {}", output::plain(text(member))));
        }
    }
    lines.push(format!("jwk     {}", described.get("jwk").map(Value::to_string).unwrap_or_default()));
    output::line(&lines.join("\n"))
}

/// What may be known of a key: its public half, and where the private one is.
fn describe(name: &str, key: &KeyInfo) -> Value {
    let jwk: Value = serde_json::from_str(&key.public.to_json()).unwrap_or_default();
    let mut described = json!({ "name": name, "kind": key.kind.to_string(), "alg": key.algorithm.name(),
                                "jkt": key.public.thumbprint().to_string(), "jwk": jwk });
    if let (KeyKind::Token(place), Some(members)) = (&key.kind, described.as_object_mut()) {
        members.insert("module".to_owned(), place.module.to_string_lossy().into());
        members.insert("token".to_owned(), place.token.as_str().into());
        members.insert("serial".to_owned(), place.serial.as_str().into());
    }
    described
}

fn list(keys: &KeyStore, json: bool) -> Result<ExitCode, CommandError> {
    let (mut described, mut broken) = (Vec::new(), Vec::new());
    for name in keys.names()? {
        match keys.info(&name) {
            Ok(key) => described.push(describe(&name, &key)),
            Err(error) => broken.push(error.to_string()),
        }
    }
    if json {
        output::json(&described.as_slice().into())?;
    } else if described.is_empty() && broken.is_empty() {
        output::note("there are no keys yet; `keybound key new NAME` makes one\n")?;
    } else {
        for key in &described {
            let text = |member: &str| key.get(member).and_then(Value::as_str).unwrap_or_default();
            let (name, alg, jkt, kind) = (text("name"), text("alg"), text("jkt"), text("kind"));
            output::line(&format!("{name:<20}  {alg:<7}  jkt {jkt}  {kind}"))?;
        }
    }
    match broken.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(CommandError::failed(broken.join("\n"))),
    }
}
