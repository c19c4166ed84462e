//! `keybound register`

use crate::error::CommandError;
use crate::output::{self, plain};
use crate::profile::{AuthMethod, Profile, Profiles};
use crate::server::{NetworkArgs, Server, parse_issuer, parse_resource, parse_scope};
use crate::{input, places};
use clap::ValueEnum;
use keybound_client::flow::registration::{InitialAccess, Registration};
use keybound_dpop::secret::Secret;
use keybound_oauth::identifier::{Issuer, ResourceId};
use keybound_oauth::registration::RegistrationRequest;
use keybound_oauth::scope::Scope;
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use url::Url;

const HELP: &str = "\
Examples:
  keybound register new work --issuer https://id.example --scope 'openid read' --resource https://api.example
  keybound login --profile work

Where a server lets programs register themselves (RFC 7591), this gets a client identifier, keeps the registration in a \
file that nobody else can read, and makes a profile of that name.";

const NEW_HELP: &str = "\
Examples:
  A program on this machine, as `keybound login` is one:
    keybound register new work --issuer https://id.example --scope 'openid read' --resource https://api.example
  A service that acts for itself, with a secret, which the server makes:
    keybound register new svc --issuer https://id.example --grant client_credentials --auth client_secret_basic
  With a key pair instead of a secret:
    keybound key new svc-auth
    keybound register new svc --issuer https://id.example --grant client_credentials --auth-key svc-auth
  Where the server asks for an initial access token:
    keybound register new work --issuer https://id.example --initial-token-file token.txt
  Anything else, as client metadata (RFC 7591 section 2):
    keybound register new work --issuer https://id.example --from client.json";

const SHOW_HELP: &str = "\
Examples:
  keybound register show work
  keybound register show work --json | jq -r .client_id

What the server has now, read with the registration access token (RFC 7592 section 2.1). Secrets are not shown.";

const UPDATE_HELP: &str = "\
Examples:
  keybound register update work --set client_name='Orders, nightly' --set 'redirect_uris=[\"http://127.0.0.1/cb\"]'
  keybound register update work --from client.json      # all of it: what is left out is deleted";

const DELETE_HELP: &str = "\
Examples:
  keybound register delete work

The server ends the client and all its tokens (RFC 7592 section 2.3). The profile goes too.";

/// Register this program at a server, by itself
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Register, and make a profile
    #[command(after_long_help = NEW_HELP)]
    New(Box<NewArgs>),
    /// Show what the server has
    #[command(after_long_help = SHOW_HELP)]
    Show {
        /// The name of the registration
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        network: NetworkArgs,
    },
    /// Change it
    #[command(after_long_help = UPDATE_HELP)]
    Update {
        /// The name of the registration
        name: String,
        /// Client metadata, in this file; `-` for stdin
        #[arg(long, value_name = "FILE", required_unless_present = "set")]
        from: Option<String>,
        /// One member, its value as JSON or as text; may be given more than once
        #[arg(long, value_name = "NAME=VALUE", conflicts_with = "from")]
        set: Vec<String>,
        #[command(flatten)]
        network: NetworkArgs,
    },
    /// End it
    #[command(after_long_help = DELETE_HELP)]
    Delete {
        /// The name of the registration
        name: String,
        #[command(flatten)]
        network: NetworkArgs,
    },
}

#[derive(Debug, clap::Args)]
struct NewArgs {
    /// The name of the registration, and of the profile
    name: String,
    /// The authorization server, by its exact name
    #[arg(long, env = "KEYBOUND_ISSUER", hide_env_values = true, value_name = "URL", value_parser = parse_issuer)]
    issuer: Issuer,
    /// What logins will ask for
    #[arg(long, value_name = "SCOPE", value_parser = parse_scope)]
    scope: Option<Scope>,
    /// The resource that tokens will be for; may be given more than once
    #[arg(long = "resource", value_name = "URI", value_parser = parse_resource)]
    resources: Vec<ResourceId>,
    /// What users are told that it is called
    #[arg(long = "client-name", value_name = "TEXT", default_value = "Keybound command line")]
    client_name: String,
    /// Where browsers come back to; left out, http://127.0.0.1/callback
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// How it gets tokens; left out, with a browser, and renewing them
    #[arg(long = "grant", value_enum, value_name = "GRANT")]
    grants: Vec<Grant>,
    /// How it authenticates; left out, not at all
    #[arg(long, value_enum, value_name = "METHOD")]
    auth: Option<AuthMethod>,
    /// Authenticate with this key (`keybound key`), whose public half is registered
    #[arg(long, value_name = "NAME", conflicts_with = "auth")]
    auth_key: Option<String>,
    /// Client metadata, in this file, instead of all that; `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["grants", "auth", "auth_key", "redirect_uris"])]
    from: Option<String>,
    /// The environment variable that holds the initial access token
    #[arg(long, value_name = "VARIABLE", group = "initial")]
    initial_token_env: Option<String>,
    /// The file that holds the initial access token; `-` for stdin
    #[arg(long, value_name = "FILE", group = "initial")]
    initial_token_file: Option<String>,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Grant types, by names that can be typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Grant {
    /// With a browser
    #[value(name = "authorization_code")]
    AuthorizationCode,
    /// Renewing
    #[value(name = "refresh_token")]
    RefreshToken,
    /// For itself
    #[value(name = "client_credentials")]
    ClientCredentials,
    /// With a code on another device
    #[value(name = "device_code")]
    DeviceCode,
    /// A token for another one
    #[value(name = "token_exchange")]
    TokenExchange,
}

impl Grant {
    const fn registered(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    match args.action {
        Action::New(args) => new(&args).await?,
        Action::Show { name, json, network } => show(&name, json, &network).await?,
        Action::Update { name, from, set, network } => update(&name, from.as_deref(), &set, &network).await?,
        Action::Delete { name, network } => delete(&name, &network).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn new(args: &NewArgs) -> Result<(), CommandError> {
    let files = places::registrations()?;
    if files.read(&args.name).is_ok() || Profiles::load()?.by_name.contains_key(&args.name) {
        return Err(CommandError::usage(format!(
            "there is a profile or a registration `{}` already",
            args.name
        ))
        .advise("choose another name, or end that one with `keybound register delete`"));
    }
    let access =
        match (&args.initial_token_env, &args.initial_token_file) {
            (Some(name), _) => InitialAccess::Bearer(std::env::var(name).map(Secret::new).map_err(|_| {
                CommandError::usage(format!("the environment variable `{name}` holds no text"))
            })?),
            (None, Some(file)) => InitialAccess::Bearer(input::secret(file, "an initial access token")?),
            (None, None) => InitialAccess::Open,
        };
    let request = RegistrationRequest { metadata: metadata(args)?, software_statement: None };
    let transport = Server { name: args.name.clone(), profile: Profile::default() };
    let transport = transport.with_network(&args.network).transport()?;
    let server = transport.discover(&args.issuer).await?;
    let registration = transport.register(&server, &request, &access).await?;
    files.create(&args.name, registration.to_json().reveal().as_bytes()).map_err(CommandError::failed)?;
    let has_secret = registration.information().client_secret.is_some();
    let method =
        registration.information().metadata.get("token_endpoint_auth_method").and_then(Value::as_str);
    let (redirect_path, redirect_port) = listener(&registration.information().metadata);
    let ca_file = args.network.ca_file.as_deref().map(std::path::absolute).transpose()?;
    let profile = Profile {
        issuer: Some(args.issuer.clone()),
        client_id: Some(registration.client_id().clone()),
        scope: args.scope.clone(),
        resources: args.resources.clone(),
        auth_method: method.and_then(|name| AuthMethod::from_str(name, false).ok()),
        registration: has_secret.then(|| args.name.clone()),
        auth_key: args.auth_key.clone(),
        redirect_path,
        redirect_port,
        ca_file,
        timeout: args.network.timeout_secs,
        ..Profile::default()
    };
    Profiles::put(&args.name, &profile, Profiles::load()?.by_name.is_empty())?;
    output::line(&format!("{}  client {}", args.name, plain(registration.client_id().as_str())))?;
    output::note(&format!("next: keybound login --profile {}\n", args.name))
}

/// Where a login is to listen: path and port of the first redirect URI on this machine, where they are not the usual ones.
fn listener(metadata: &Map<String, Value>) -> (Option<String>, Option<u16>) {
    let uris = metadata.get("redirect_uris").and_then(Value::as_array).into_iter().flatten();
    let mut urls = uris.filter_map(|uri| Url::parse(uri.as_str()?).ok());
    let Some(url) = urls.find(|url| url.scheme() == "http" && url.host_str() == Some("127.0.0.1")) else {
        return (None, None);
    };
    (Some(url.path().to_owned()).filter(|path| path != "/callback"), url.port())
}

/// Client metadata (RFC 7591 §2). Tokens are to be bound (RFC 9449 §5.2).
fn metadata(args: &NewArgs) -> Result<Map<String, Value>, CommandError> {
    if let Some(file) = &args.from {
        return object(input::json(file)?);
    }
    let default = [Grant::AuthorizationCode, Grant::RefreshToken];
    let grants = if args.grants.is_empty() { &default[..] } else { &args.grants };
    let uses_browser = grants.contains(&Grant::AuthorizationCode);
    let auth = match (&args.auth_key, args.auth) {
        (Some(_), _) => "private_key_jwt".to_owned(),
        (None, Some(method)) => {
            method.to_possible_value().map(|word| word.get_name().to_owned()).unwrap_or_default()
        }
        (None, None) => "none".to_owned(),
    };
    let mut metadata = object(json!({
        "client_name": args.client_name,
        "grant_types": grants.iter().map(|grant| grant.registered()).collect::<Vec<_>>(),
        "token_endpoint_auth_method": auth,
        "dpop_bound_access_tokens": true,
    }))?;
    let response_types: &[&str] = if uses_browser { &["code"] } else { &[] };
    metadata.insert("response_types".to_owned(), response_types.into());
    if uses_browser {
        let default = ["http://127.0.0.1/callback".to_owned()];
        let uris = if args.redirect_uris.is_empty() { &default[..] } else { &args.redirect_uris };
        metadata.insert("redirect_uris".to_owned(), uris.into());
        metadata.insert("application_type".to_owned(), "native".into());
    }
    if let Some(scope) = &args.scope {
        metadata.insert("scope".to_owned(), scope.as_str().into());
    }
    if let Some(name) = &args.auth_key {
        let info = places::keys()?.info(name)?;
        let jwk: Value = serde_json::from_str(&info.public.to_json()).map_err(CommandError::failed)?;
        metadata.insert("jwks".to_owned(), json!({ "keys": [jwk] }));
    }
    Ok(metadata)
}

fn object(value: Value) -> Result<Map<String, Value>, CommandError> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(CommandError::usage("client metadata is a JSON object")),
    }
}

async fn show(name: &str, json: bool, network: &NetworkArgs) -> Result<(), CommandError> {
    let (kept, server) = kept(name, network)?;
    let read = server.transport()?.read_registration(&kept).await?;
    keep(name, &read)?;
    let mut shown = read.information().metadata.clone();
    shown.insert("client_id".to_owned(), read.client_id().as_str().into());
    if json {
        return output::json(&Value::Object(shown));
    }
    for (name, value) in &shown {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        output::line(&plain(&format!("{name:<28}  {value}")))?;
    }
    Ok(())
}

async fn update(
    name: &str,
    from: Option<&str>,
    set: &[String],
    network: &NetworkArgs,
) -> Result<(), CommandError> {
    let (kept, server) = kept(name, network)?;
    let transport = server.transport()?;
    let metadata = match from {
        Some(file) => object(input::json(file)?)?,
        None => {
            let mut metadata = transport.read_registration(&kept).await?.information().metadata.clone();
            for pair in set {
                let (name, value) = pair
                    .split_once('=')
                    .ok_or_else(|| CommandError::usage(format!("`{pair}` is not NAME=VALUE")))?;
                let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
                metadata.insert(name.to_owned(), value);
            }
            metadata
        }
    };
    let request = RegistrationRequest { metadata, software_statement: None };
    let updated = transport.update_registration(&kept, &request).await?;
    keep(name, &updated)?;
    output::line(&format!("updated {name}"))
}

async fn delete(name: &str, network: &NetworkArgs) -> Result<(), CommandError> {
    let (kept, server) = kept(name, network)?;
    server.transport()?.delete_registration(&kept).await?;
    places::registrations()?.remove(name).map_err(CommandError::failed)?;
    if Profiles::load()?.by_name.contains_key(name) {
        Profiles::delete(name)?;
    }
    output::line(&format!("deleted {name}"))
}

/// The registration of that name, and how its server is reached.
fn kept(name: &str, network: &NetworkArgs) -> Result<(Registration, Server), CommandError> {
    let bytes = places::registrations()?.read(name).map_err(|error| {
        CommandError::failed(error).advise("`keybound register new NAME --issuer URL` makes a registration")
    })?;
    let registration = Registration::parse(&bytes).map_err(CommandError::failed)?;
    let profile = Profiles::load()?.by_name.remove(name).unwrap_or_default();
    Ok((registration, Server { name: name.to_owned(), profile }.with_network(network)))
}

/// What the server has now, with a new secret or token where it gave one.
fn keep(name: &str, registration: &Registration) -> Result<(), CommandError> {
    let json = registration.to_json();
    places::registrations()?.replace(name, json.reveal().as_bytes()).map_err(CommandError::failed)
}
