//! `keybound client`

use super::ConfigArg;
use crate::error::CommandError;
use crate::{input, output};
use clap::ValueEnum;
use keybound_dpop::time::{Clock, SystemClock, UnixTime};
use keybound_provider::profile::Profile;
use keybound_provider::registration::admission::make_initial_token;
use keybound_provider::registry::{AddedClient, add_client_under};
use keybound_provider::store::{Client, Store};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound client add --native --redirect-uri http://127.0.0.1/callback
  keybound client list

These commands work on the provider's store, also while the provider runs.";

const ADD_HELP: &str = "\
Examples:
  A program on the user's machine, as `keybound login` is one:
    keybound client add --id cli --native --redirect-uri http://127.0.0.1/callback
  A web application with a secret, which is made here and shown once:
    keybound client add --auth client_secret_basic --redirect-uri https://app.example/callback
  A service that acts for itself, with a key pair:
    keybound client add --grant client_credentials --auth private_key_jwt --jwks keys.json --scope 'read write'
  A device without a keyboard, whose user signs in elsewhere:
    keybound client add --id tv --grant device_code --grant refresh_token
  An API that calls another one in the name of its own caller (RFC 8693):
    keybound client add --id orders --grant token_exchange --auth client_secret_basic
  Anything else, as client metadata (RFC 7591 section 2):
    keybound client add --from client.json";

const LIST_HELP: &str = "\
Examples:
  keybound client list
  keybound client list --json | jq -r '.[].client_id'";

const TOKEN_HELP: &str = "\
Examples:
  keybound client token
  keybound client token --uses 20 --hours 168

The program that registers itself sends it as `Authorization: Bearer TOKEN` (RFC 7591 section 3).
Give [registration] mode = \"token\" in the provider's configuration.";

const REMOVE_HELP: &str = "\
Examples:
  keybound client remove cli

What was granted to the client is revoked.";

/// Add, list and remove the programs that may ask for tokens
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a client, or replace the one of that identifier
    #[command(after_long_help = ADD_HELP)]
    Add(Box<Add>),
    /// List all clients
    #[command(after_long_help = LIST_HELP)]
    List {
        /// Print JSON: the metadata, without secrets
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Make an initial access token, by which programs register themselves
    #[command(after_long_help = TOKEN_HELP)]
    Token {
        /// How many clients it is good for
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        uses: u32,
        /// How long it is good
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=8760))]
        hours: u64,
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Remove a client
    #[command(after_long_help = REMOVE_HELP)]
    Remove {
        /// The client identifier
        #[arg(allow_hyphen_values = true)]
        id: String,
        #[command(flatten)]
        config: ConfigArg,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    written: Written,
    /// Take the metadata from a JSON file; `-` for stdin
    #[arg(long, value_name = "FILE.json", conflicts_with = "Written")]
    from: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Metadata as options.
#[derive(Debug, clap::Args)]
#[group(id = "Written", multiple = true)]
struct Written {
    /// The client identifier; left out, a random one
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// What people should read as its name
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Where the browser is sent back to; may be given more than once
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// What it may ask for tokens with; left out, a code and refresh tokens
    #[arg(long = "grant", value_name = "TYPE", value_enum)]
    grants: Vec<Grant>,
    /// How it shows who it is; left out, `private_key_jwt` with --jwks, else `none`
    #[arg(long, value_name = "METHOD", value_enum)]
    auth: Option<Auth>,
    /// Its public keys for `private_key_jwt`: a JWK Set
    #[arg(long, value_name = "FILE")]
    jwks: Option<String>,
    /// The most that it may ask for
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// It is installed on a device: any port will do in a loopback redirect URI
    #[arg(long)]
    native: bool,
    /// It may have tokens that are bound to no key, where a resource allows that too
    #[arg(long)]
    no_dpop: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Grant {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
    #[value(name = "urn:ietf:params:oauth:grant-type:device_code", alias = "device_code")]
    DeviceCode,
    #[value(name = "urn:ietf:params:oauth:grant-type:token-exchange", alias = "token_exchange")]
    TokenExchange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Auth {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let now = SystemClock::start().now().unix;
    match args.action {
        Action::Add(args) => add(&args, now).await?,
        Action::List { json, config } => list(&config.store()?, json).await?,
        Action::Token { uses, hours, config } => {
            let token = make_initial_token(&config.store()?, uses, hours * 60 * 60, now).await?;
            output::line(token.reveal())?;
            output::note("Keep the token now: it is shown this once, and only its digest is stored.\n")?;
        }
        Action::Remove { id, config } => {
            if !config.store()?.remove_client(&id, now).await? {
                return Err(CommandError::failed(format!("there is no client `{id}`"))
                    .advise("see `keybound client list`"));
            }
            output::line(&format!("removed {}", output::plain(&id)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(args: &Add, now: UnixTime) -> Result<(), CommandError> {
    let file = args.config.load()?;
    let store = Store::open(&file.store)?;
    let metadata = match &args.from {
        Some(file) => input::json(file)?,
        None => args.written.metadata()?,
    };
    let AddedClient { client_id, client_secret } =
        add_client_under(&store, Profile::of_provider(&file), metadata, now).await?;
    if args.json {
        let secret = client_secret.as_ref().map(|secret| secret.reveal());
        return output::json(&match secret {
            Some(secret) => json!({ "client_id": client_id, "client_secret": secret }),
            None => json!({ "client_id": client_id }),
        });
    }
    output::line(&format!("client_id      {}", output::plain(&client_id)))?;
    if let Some(secret) = client_secret {
        output::line(&format!("client_secret  {}", secret.reveal()))?;
        output::note("Keep the secret now: it is shown this once, and only its digest is stored.\n")?;
    }
    Ok(())
}

impl Written {
    /// Client metadata (RFC 7591 §2).
    fn metadata(&self) -> Result<Value, CommandError> {
        let mut metadata = Map::new();
        let mut put = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
        if let Some(id) = &self.id {
            put("client_id", id.as_str().into());
        }
        if let Some(name) = &self.name {
            put("client_name", name.as_str().into());
        }
        if !self.redirect_uris.is_empty() {
            put("redirect_uris", self.redirect_uris.as_slice().into());
        }
        put("grant_types", self.grants().into_iter().map(name_of).collect());
        let auth = self.auth.unwrap_or(if self.jwks.is_some() { Auth::PrivateKeyJwt } else { Auth::None });
        put("token_endpoint_auth_method", name_of(auth).into());
        if let Some(file) = &self.jwks {
            put("jwks", input::json(file)?);
        }
        if let Some(scope) = &self.scope {
            put("scope", scope.as_str().into());
        }
        if self.native {
            put("application_type", "native".into());
        }
        if self.no_dpop {
            put("dpop_bound_access_tokens", false.into());
        }
        Ok(Value::Object(metadata))
    }

    fn grants(&self) -> Vec<Grant> {
        match self.grants.as_slice() {
            [] => vec![Grant::AuthorizationCode, Grant::RefreshToken],
            grants => grants.to_vec(),
        }
    }
}

/// The registered name of a value.
fn name_of(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

async fn list(store: &Store, json: bool) -> Result<(), CommandError> {
    let clients = store.clients().await?;
    if json {
        return output::json(&clients.into_iter().map(without_secrets).collect());
    }
    if clients.is_empty() {
        return output::note("there are no clients yet; `keybound client add` adds one\n");
    }
    let width = clients.iter().map(|client| client.client_id.len()).max().unwrap_or(0);
    for client in &clients {
        let member = |name: &str| client.metadata.get(name);
        let text = |name: &str| member(name).and_then(Value::as_str).unwrap_or_default();
        let words = |name: &str| {
            let items = member(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        };
        let bound = member("dpop_bound_access_tokens") != Some(&Value::Bool(false));
        let line = format!(
            "{:<width$}  {}  {}  {}  {}  {}",
            client.client_id,
            text("token_endpoint_auth_method"),
            words("grant_types"),
            if bound { "bound" } else { "bearer allowed" },
            words("redirect_uris"),
            text("client_name"),
        );
        output::line(output::plain(&line).trim_end())?;
    }
    Ok(())
}

/// The metadata of a client, as it may be printed.
fn without_secrets(client: Client) -> Value {
    let mut metadata = client.metadata;
    if let Some(members) = metadata.as_object_mut() {
        members.retain(|name, _| !name.starts_with("client_secret"));
        members.insert("client_id".to_owned(), client.client_id.into());
        members.insert("source".to_owned(), client.source.as_str().into());
    }
    metadata
}
