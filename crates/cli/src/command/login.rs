//! `keybound login`

use super::key::KeyAlgorithm;
use crate::error::CommandError;
use crate::output::{self, plain};
use crate::wallet::{self, NetworkArgs, SecretArgs};
use crate::{input, places};
use keybound_client::client::Client;
use keybound_client::discover::choose_algorithm;
use keybound_client::flow::authorization_code::LoginAsk;
use keybound_client::keystore::KeyStoreError;
use keybound_client::loopback::Loopback;
use keybound_client::private_dir::PrivateFileError;
use keybound_client::session::Origins;
use keybound_client::tokens::Tokens;
use keybound_client::transport::Transport;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_oauth::identifier::{ClientId, Issuer, ResourceId};
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::scope::Scope;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

const HELP: &str = "\
Examples:
  keybound login --issuer https://as.example --client-id cli --scope 'openid read' \\
    --resource https://api.example
  keybound request https://api.example/orders

  For a service, which nobody signs in for:
    keybound login --issuer https://as.example --client-id svc --client-credentials \\
      --secret-env CLIENT_SECRET --resource https://api.example

The tokens are kept in a file that nobody else can read and are bound to a key that stays on this machine. They are \
sent to the resources named here, to the UserInfo endpoint and to each --origin, nowhere else. For a login with the \
browser the server must know the redirect URI http://127.0.0.1/callback, with any port (RFC 8252).";

/// Get tokens that are bound to a key of this machine
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// The authorization server, by its exact name
    #[arg(long, value_name = "URL", value_parser = parse_issuer)]
    issuer: Issuer,
    /// The client identifier that it gave this client
    #[arg(long, value_name = "ID", value_parser = parse_client_id)]
    client_id: ClientId,
    /// What to ask for
    #[arg(long, value_name = "SCOPE", value_parser = parse_scope)]
    scope: Option<Scope>,
    /// The resource that the tokens are for (RFC 8707); may be given more than once
    #[arg(long = "resource", value_name = "URI", value_parser = parse_resource)]
    resources: Vec<ResourceId>,
    /// Another origin that the tokens may be sent to; may be given more than once
    #[arg(long = "origin", value_name = "URL")]
    origins: Vec<String>,
    /// The name to keep this login under
    #[arg(long, value_name = "NAME", default_value = "default")]
    profile: String,
    /// The key to bind the tokens to; left out, the one named like the profile, which is made if it is not there
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// What a new key signs with; left out, what the server takes
    #[arg(long, value_enum, value_name = "ALGORITHM")]
    alg: Option<KeyAlgorithm>,
    /// Do not open a browser
    #[arg(long)]
    no_browser: bool,
    /// The path of the redirect URI
    #[arg(long, value_name = "PATH", default_value = "/callback")]
    redirect_path: String,
    /// Get tokens for the client itself, without a user (RFC 6749 section 4.4)
    #[arg(long, conflicts_with_all = ["no_browser", "redirect_path"])]
    client_credentials: bool,
    /// Print the access token on stdout
    #[arg(long)]
    show_token: bool,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// How long the user may take in the browser.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let transport = args.network.transport()?;
    let sessions = places::sessions()?;
    let server = transport.discover(&args.issuer).await?;
    let origins = origins(&args, &server)?;
    let (key_name, key) = key(&args, &server)?;
    let client = client(&args, transport, server, key)?;
    let tokens = if args.client_credentials {
        client.client_credentials(args.scope.clone(), args.resources.clone()).await?
    } else {
        with_browser(&args, &client).await?
    };
    let session = client.session(&key_name, tokens, origins);
    sessions.save(&args.profile, &session).map_err(CommandError::failed)?;
    let tokens = &session.tokens;
    let who = tokens.subject.as_deref().unwrap_or(session.client_id.as_str());
    let what = tokens.scope.as_ref().map(|scope| format!(", scope `{scope}`")).unwrap_or_default();
    let told = format!("logged in as {who} at {}{what}; profile `{}`", session.issuer.as_str(), args.profile);
    output::note(&format!("{}, tokens bound to key {}\n", plain(&told), session.jkt))?;
    if args.show_token {
        output::line(tokens.access_token.reveal())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn client(
    args: &Args,
    transport: Transport,
    server: ProviderMetadata,
    key: SigningKey,
) -> Result<Client, CommandError> {
    let identity = args.secret.identity(args.client_id.clone())?;
    Ok(Client::new(transport, server, identity, wallet::prover(key)))
}

/// The key to bind the tokens to, with its name.
fn key(args: &Args, server: &ProviderMetadata) -> Result<(String, SigningKey), CommandError> {
    let configured = args.alg.map(Algorithm::from);
    let name = args.key.clone().unwrap_or_else(|| args.profile.clone());
    if input::is_path(&name) {
        return Err(CommandError::usage(format!("`{name}` is a file, not the name of a key"))
            .advise("make a key with `keybound key new NAME`"));
    }
    let keys = places::keys()?;
    let key = match keys.load(&name) {
        Ok(key) => {
            choose_algorithm(server, Some(key.algorithm())).map_err(CommandError::failed)?;
            key
        }
        Err(KeyStoreError::File(PrivateFileError::Missing(_))) => {
            keys.create(&name, choose_algorithm(server, configured).map_err(CommandError::failed)?)?
        }
        Err(error) => return Err(error.into()),
    };
    Ok((name, key))
}

/// Where the tokens may be sent.
fn origins(args: &Args, server: &ProviderMetadata) -> Result<Origins, CommandError> {
    let userinfo = server.endpoints.userinfo_endpoint.as_ref().map(|endpoint| endpoint.as_str());
    let resources =
        args.resources.iter().map(ResourceId::as_str).filter(|resource| resource.starts_with("http"));
    Origins::of(resources.chain(userinfo).chain(args.origins.iter().map(String::as_str)))
        .map_err(CommandError::usage)
}

/// The authorization code grant, with the answer to a listener on this machine.
async fn with_browser(args: &Args, client: &Client) -> Result<Tokens, CommandError> {
    let mut loopback = Loopback::listen(&args.redirect_path).await.map_err(CommandError::failed)?;
    let ask =
        LoginAsk { scope: args.scope.clone(), resources: args.resources.clone(), ..LoginAsk::default() };
    let login = client.begin_login(ask, loopback.redirect_uri()).await?;
    output::note(&format!("To sign in, open\n  {}\n", login.url()))?;
    if !args.no_browser {
        open_browser(login.url());
    }
    let query = loopback.response(PATIENCE).await.map_err(CommandError::failed)?;
    Ok(client.finish_login(login, &query).await?)
}

/// Where there is no browser, the URL that was printed will do.
fn open_browser(url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = std::process::Command::new(opener);
    let command = command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Err(error) = command.spawn() {
        tracing::debug!(%error, opener, "no browser was opened");
    }
}

fn parse_issuer(text: &str) -> Result<Issuer, String> {
    Issuer::parse(text).map_err(|error| error.to_string())
}

fn parse_client_id(text: &str) -> Result<ClientId, String> {
    ClientId::parse(text).map_err(|error| error.to_string())
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).map_err(|error| error.to_string())
}

fn parse_resource(text: &str) -> Result<ResourceId, String> {
    ResourceId::parse(text).map_err(|error| error.to_string())
}
