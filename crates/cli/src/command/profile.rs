//! `keybound profile`

use super::KeyAlgorithm;
use crate::error::CommandError;
use crate::output;
use crate::places;
use crate::profile::{self, Profile, Profiles, SignIn};
use crate::server::{AskArgs, NetworkArgs, PartyArgs, SecretArgs, Server};
use serde_json::{Value, json};
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound profile add work --issuer https://id.example --client-id cli --scope 'openid read' \\
    --resource https://api.example --default
  keybound login --profile work
  keybound profile list

A profile is a server and a client at it, by one name. All of them are in one file, ~/.config/keybound/profiles.toml (or \
that which KEYBOUND_PROFILES names), which may be written by hand:

  default = \"work\"

  [profile.work]
  issuer    = \"https://id.example\"
  client_id = \"cli\"
  scope     = \"openid read\"
  resources = [\"https://api.example\"]     # what tokens are for, and where they go
  origins   = [\"https://files.example\"]   # where else they may go
  ca_file   = \"company.pem\"

  [profile.nightly]
  issuer      = \"https://login.example/realms/main\"
  client_id   = \"nightly\"
  secret_file = \"nightly.secret\"          # never the secret itself; or secret_env, secret_prompt, auth_key, …

The rest: client_certificate, registration, auth_method; sign_in = \"browser\" or \"device\", redirect_path, redirect_port; \
fapi2 = true; key, alg, timeout. What is given on the command line or in the environment wins.";

const ADD_HELP: &str = "\
Examples:
  keybound profile add work --issuer https://id.example --client-id cli --scope 'openid read' \\
    --resource https://api.example --default
  keybound profile add nightly --issuer https://id.example --client-id nightly --auth-key nightly-auth

A profile of that name is replaced. No secret is written, only where it is.";

const LIST_HELP: &str = "\
Examples:
  keybound profile list
  keybound profile list --json | jq -r '.[].issuer'";

const SHOW_HELP: &str = "\
Examples:
  keybound profile show work
  keybound profile show work --json";

const DEFAULT_HELP: &str = "\
Examples:
  keybound profile default work";

const DELETE_HELP: &str = "\
Examples:
  keybound profile delete work

Logins that were made with it stay: `keybound logout` ends them.";

/// Keep servers and clients by name
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a profile
    #[command(after_long_help = ADD_HELP)]
    Add(Box<AddArgs>),
    /// List all profiles
    #[command(after_long_help = LIST_HELP)]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a profile
    #[command(after_long_help = SHOW_HELP)]
    Show {
        /// Its name; left out, the default
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take this profile where none is named
    #[command(after_long_help = DEFAULT_HELP)]
    Default {
        /// Its name
        name: String,
    },
    /// Forget a profile
    #[command(after_long_help = DELETE_HELP)]
    Delete {
        /// Its name
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    party: PartyArgs,
    #[command(flatten)]
    ask: AskArgs,
    /// How users sign in; left out, with a browser where there is one
    #[arg(long, value_enum, value_name = "WAY")]
    sign_in: Option<SignIn>,
    /// The path of the redirect URI; left out, `/callback`
    #[arg(long, value_name = "PATH")]
    redirect_path: Option<String>,
    /// The port of the redirect URI, where the server wants the whole of it registered; left out, one that is free
    #[arg(long, value_name = "PORT")]
    redirect_port: Option<u16>,
    /// Hold every login to FAPI 2.0, or refuse it
    #[arg(long)]
    fapi2: bool,
    /// The key to bind tokens to; left out, each login makes one of its own
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// What new keys sign with; left out, what the server takes
    #[arg(long, value_enum, value_name = "ALGORITHM")]
    alg: Option<KeyAlgorithm>,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    network: NetworkArgs,
    /// Take it where no profile is named
    #[arg(long)]
    default: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, CommandError> {
    match args.action {
        Action::Add(args) => add(*args)?,
        Action::List { json } => list(json)?,
        Action::Show { name, json } => show(name.as_deref(), json)?,
        Action::Default { name } => {
            if !Profiles::load()?.by_name.contains_key(&name) {
                return Err(profile::missing(&name));
            }
            Profiles::set_default(&name)?;
            output::line(&format!("{name} is the default"))?;
        }
        Action::Delete { name } => {
            Profiles::delete(&name)?;
            output::line(&format!("deleted {name}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn add(args: AddArgs) -> Result<(), CommandError> {
    check_name(&args.name)?;
    let made = Profile {
        sign_in: args.sign_in,
        redirect_path: args.redirect_path,
        redirect_port: args.redirect_port,
        fapi2: args.fapi2,
        key: args.key,
        alg: args.alg,
        ..Profile::default()
    };
    let server = Server { name: args.name, profile: made }.with_party(&args.party).with_ask(&args.ask);
    let Server { name, mut profile } = server.with_secret(&args.secret).with_network(&args.network);
    if profile.issuer.is_none() {
        return Err(CommandError::usage("a profile needs --issuer URL"));
    }
    // Files are named from here, and the profile is read from anywhere.
    for path in
        [profile.secret_file.as_mut(), profile.auth_key.as_mut().filter(|key| crate::input::is_path(key))]
    {
        if let Some(path) = path.filter(|path| *path != "-") {
            *path = absolute(path)?;
        }
    }
    for path in [&mut profile.ca_file, &mut profile.client_certificate].into_iter().flatten() {
        *path = absolute(&path.display().to_string())?.into();
    }
    let is_first = Profiles::load()?.by_name.is_empty();
    Profiles::put(&name, &profile, args.default || is_first)?;
    let place = places::profiles()?;
    output::line(&format!("{name} is in {}", place.display()))?;
    let service = match profile.shows_who_it_is() {
        true => format!(", or for a service: keybound token client-credentials --profile {name}"),
        false => String::new(),
    };
    output::note(&format!("next: keybound login --profile {name}{service}\n"))
}

fn absolute(path: &str) -> Result<String, CommandError> {
    let path = std::path::absolute(path).map_err(|error| CommandError::failed(format!("{path}: {error}")))?;
    Ok(path.display().to_string())
}

/// The name is a session's too.
fn check_name(name: &str) -> Result<(), CommandError> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match is_plain && !name.starts_with('.') && (1..=64).contains(&name.len()) {
        true => Ok(()),
        false => Err(CommandError::usage(format!("`{name}` is no name for a profile"))
            .advise("use 1 to 64 letters, digits, dots, dashes and underscores, not a dot first")),
    }
}

fn list(json: bool) -> Result<(), CommandError> {
    let profiles = Profiles::load()?;
    let default = profiles.name(None);
    if json {
        let all = profiles.by_name.iter().map(|(name, profile)| describe(name, profile, *name == default));
        return output::json(&all.collect());
    }
    if profiles.by_name.is_empty() {
        return output::note("there are no profiles yet; `keybound profile add` makes one\n");
    }
    for (name, profile) in &profiles.by_name {
        let text = |name: Option<&str>| name.unwrap_or("-").to_owned();
        let issuer = text(profile.issuer.as_ref().map(keybound_oauth::identifier::Issuer::as_str));
        let client = text(profile.client_id.as_ref().map(keybound_oauth::identifier::ClientId::as_str));
        let mark = if *name == default { "*" } else { " " };
        output::line(&format!("{mark} {name:<16}  {issuer}  client {}", output::plain(&client)))?;
    }
    Ok(())
}

fn show(name: Option<&str>, json: bool) -> Result<(), CommandError> {
    let profiles = Profiles::load()?;
    let name = profiles.name(name);
    let profile = profiles.by_name.get(&name).ok_or_else(|| profile::missing(&name))?;
    if json {
        return output::json(&describe(&name, profile, name == profiles.name(None)));
    }
    let text = toml::to_string(profile).map_err(CommandError::failed)?;
    output::line(&format!("[profile.{name}]\n{}", text.trim_end()))
}

fn describe(name: &str, profile: &Profile, is_default: bool) -> Value {
    let mut described = json!({ "name": name, "is_default": is_default });
    if let (Some(all), Ok(Value::Object(members))) =
        (described.as_object_mut(), serde_json::to_value(profile))
    {
        all.extend(members.into_iter().filter(|(_, value)| !value.is_null()));
    }
    described
}
