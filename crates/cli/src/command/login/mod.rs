//! `keybound login`

mod browser;
mod device;
mod find;

use super::KeyAlgorithm;
use crate::bound_key::{self, BoundKey};
use crate::error::{CommandError, Kind};
use crate::output::{self, Style, plain};
use crate::profile::SignIn;
use crate::server::{AskArgs, NameArgs, NetworkArgs, PartyArgs, SecretArgs, Server, parse_resource};
use crate::{facts, places, wallet};
pub(crate) use browser::open as open_browser;
use keybound_client::client::Client;
use keybound_client::session::{Origins, Session};
use keybound_client::tokens::Tokens;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::Signer as _;
use keybound_oauth::identifier::ResourceId;
use keybound_oauth::provider_metadata::ProviderMetadata;
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound login --issuer https://as.example --client-id cli --scope 'openid read' \\
    --resource https://api.example
  keybound request https://api.example/orders

  With what a profile says (see `keybound profile`):
    keybound login --profile work
  Where there is no browser, for a user who has one elsewhere:
    keybound login --profile work --device
  At the server that an API names, which you are asked about:
    keybound login --api https://api.example --client-id cli
  For a service, which nobody signs in for:
    keybound login --issuer https://as.example --client-id svc --client-credentials \\
      --secret-env CLIENT_SECRET --resource https://api.example

The tokens are kept in a file that nobody else can read and are bound to a key of this login, which stays on this \
machine. They are sent to the resources named here, to the UserInfo endpoint and to each --origin, nowhere else. For a \
login with the browser the server must know the redirect URI http://127.0.0.1/callback, with any port (RFC 8252), or \
with the one that --redirect-port names. Over \
SSH, or without a display, the user is given a code instead, if the server has that (RFC 8628).

Everything may be given in the environment too: KEYBOUND_PROFILE, KEYBOUND_ISSUER, KEYBOUND_CLIENT_ID, KEYBOUND_SCOPE. \
Secrets are never arguments, which every user of the machine can read.";

/// Get tokens that are bound to a key of this machine
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    party: PartyArgs,
    /// Find the authorization server from this API, which the tokens are for, by its own name (RFC 9728)
    #[arg(long, value_name = "URL", value_parser = parse_resource)]
    api: Option<ResourceId>,
    #[command(flatten)]
    ask: AskArgs,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    way: WayArgs,
    #[command(flatten)]
    told: ToldArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// The key to bind tokens to.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct KeyArgs {
    /// The key to bind the tokens to, which is made if it is not there; left out, a new key for this login alone
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    /// What a new key signs with; left out, what the server takes
    #[arg(long, value_enum, value_name = "ALGORITHM")]
    pub(crate) alg: Option<KeyAlgorithm>,
}

/// What is printed in the end.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ToldArgs {
    /// Print the access token on stdout
    #[arg(long)]
    pub(crate) show_token: bool,
    /// Print JSON: what is known of the login, without its tokens
    #[arg(long)]
    pub(crate) json: bool,
}

/// How somebody signs in.
#[derive(Debug, Default, clap::Args)]
struct WayArgs {
    /// Sign in on another device, with a code (RFC 8628)
    #[arg(long, group = "way")]
    device: bool,
    /// Print the URL for the browser, and do not open it
    #[arg(long, group = "way")]
    no_browser: bool,
    /// Get tokens for the client itself, without a user (RFC 6749 section 4.4)
    #[arg(long, group = "way")]
    client_credentials: bool,
    /// The path of the redirect URI; left out, `/callback`
    #[arg(long, value_name = "PATH")]
    redirect_path: Option<String>,
    /// The port of the redirect URI, for servers that want the whole of it registered; left out, one that is free
    #[arg(long, value_name = "PORT")]
    redirect_port: Option<u16>,
    /// Who will probably sign in, for the server's page
    #[arg(long, value_name = "TEXT")]
    login_hint: Option<String>,
    /// Have the user sign in again where that was longer ago
    #[arg(long = "max-age", value_name = "SECONDS")]
    max_age_secs: Option<u64>,
    /// What the server shall ask: `login`, `consent`, `select_account`
    #[arg(long, value_name = "PROMPT", value_parser = browser::parse_prompt)]
    prompt: Vec<keybound_oauth::authorization::Prompt>,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let server = args.name.server(args.party.issuer.is_some())?;
    let session = args.name.session(&server);
    let server = server.with_party(&args.party).with_ask(&args.ask);
    let server = server.with_secret(&args.secret).with_network(&args.network);
    let server = match &args.api {
        Some(api) => find::at(server, api).await?,
        None => server,
    };
    let login = Begun::new(server, &session, &args.key).await?;
    let way = args.way.choose(&login);
    login.announce(way)?;
    let tokens = or_interrupted(login.tokens(&args.way, way)).await?;
    let kept = login.keep(tokens)?;
    facts::tell(&session, &kept, args.told.json, args.told.show_token)?;
    Ok(ExitCode::SUCCESS)
}

/// A login, before there are tokens.
pub(crate) struct Begun {
    pub(crate) server: Server,
    pub(crate) client: Client,
    session: String,
    origins: Origins,
    key: BoundKey,
}

/// How tokens are got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Browser,
    /// A URL for a browser that is opened by hand.
    Url,
    Device,
    /// As [`Way::Device`], but the user did not ask for it.
    DeviceIfAllowed,
    Service,
}

impl WayArgs {
    fn choose(&self, login: &Begun) -> Way {
        let has_device = login.client.server().endpoints.device_authorization_endpoint.is_some();
        match login.server.profile.sign_in {
            _ if self.client_credentials => Way::Service,
            _ if self.device => Way::Device,
            _ if self.no_browser => Way::Url,
            Some(SignIn::Device) => Way::Device,
            Some(SignIn::Browser) => Way::Browser,
            None if browser::is_there() => Way::Browser,
            None if has_device => Way::DeviceIfAllowed,
            None => Way::Url,
        }
    }
}

impl Begun {
    /// Finds the server, and makes the key.
    pub(crate) async fn new(server: Server, session: &str, key: &KeyArgs) -> Result<Self, CommandError> {
        let name = key.key.clone().or_else(|| server.profile.key.clone());
        let alg = key.alg.or(server.profile.alg).map(Algorithm::from);
        Self::with(server, session, |server| BoundKey::obtain(name.as_deref(), session, server, alg)).await
    }

    /// As [`Begun::new`], with the key of another session.
    pub(crate) async fn with_key_of(
        server: Server,
        session: &str,
        other: &Session,
    ) -> Result<Self, CommandError> {
        Self::with(server, session, |_| BoundKey::of(other)).await
    }

    async fn with(
        server: Server,
        session: &str,
        key: impl FnOnce(&ProviderMetadata) -> Result<BoundKey, CommandError>,
    ) -> Result<Self, CommandError> {
        let (issuer, client_id) = (server.issuer()?, server.client_id()?);
        // A name that cannot be kept is told before anybody signs in.
        facts::check_name(session)?;
        let transport = server.transport()?;
        let metadata = transport.discover(&issuer).await?;
        let identity = server.identity(client_id, &metadata)?;
        let origins = origins(&server, &metadata)?;
        let key = key(&metadata)?;
        let prover = wallet::prover(key.signer());
        let client = Client::new(transport, metadata, identity, prover.clone());
        let client = if key.is_new() { client.with_new_key(prover) } else { client };
        let client = server.held_to_profile(client)?;
        Ok(Self { server, client, session: session.to_owned(), origins, key })
    }

    /// Says who is asked for what, before anybody is (FAPI 2.0 Security Profile §5.3.3.1).
    fn announce(&self, way: Way) -> Result<(), CommandError> {
        if way == Way::Service {
            return Ok(());
        }
        let style = Style::of_stderr();
        let profile = &self.server.profile;
        let issuer = self.client.server().issuer.as_str();
        let client = self.client.identity().client_id.as_str();
        let mut text = format!("Signing in at {} as client {}\n", style.strong(issuer), plain(client));
        match &profile.scope {
            Some(scope) => text.push_str(&format!("  to ask for    {scope}\n")),
            None => text.push_str("  to ask for    what the server gives without a scope\n"),
        }
        for resource in &profile.resources {
            text.push_str(&format!("  at            {}\n", resource.as_str()));
        }
        let (alg, jkt) = (self.key.signer().algorithm(), self.client.prover().jkt());
        text.push_str(&format!("  bound to key  {} ({alg}, jkt {jkt})\n", self.key.name()));
        output::note(&text)
    }

    async fn tokens(&self, args: &WayArgs, way: Way) -> Result<Tokens, CommandError> {
        let profile = &self.server.profile;
        match way {
            Way::Service => {
                Ok(self.client.client_credentials(profile.scope.clone(), profile.resources.clone()).await?)
            }
            Way::Browser | Way::Url => browser::sign_in(self, args, way == Way::Browser).await,
            Way::Device => Ok(device::sign_in(self).await?),
            Way::DeviceIfAllowed => match device::sign_in(self).await {
                Err(error) if device::is_not_allowed(&error) => {
                    output::note(
                        "There is no display here, and the server gives this client no code for another device:\n\
                         the browser must be on this machine, or reach its port.\n",
                    )?;
                    browser::sign_in(self, args, false).await
                }
                tokens => Ok(tokens?),
            },
        }
    }

    /// Keeps what came of it, in place of what was kept under that name.
    pub(crate) fn keep(self, tokens: Tokens) -> Result<Session, CommandError> {
        let sessions = places::sessions()?;
        let before = sessions.load(&self.session).ok();
        let session = self.client.session(self.key.name(), tokens, self.origins);
        sessions.save(&self.session, &session).map_err(CommandError::failed)?;
        self.key.keep();
        if let Some(before) = before {
            bound_key::delete_own(&before, &sessions)?;
        }
        Ok(session)
    }
}

/// Where the tokens may be sent.
fn origins(server: &Server, metadata: &ProviderMetadata) -> Result<Origins, CommandError> {
    let userinfo = metadata.endpoints.userinfo_endpoint.as_ref().map(|endpoint| endpoint.as_str());
    let profile = &server.profile;
    let resources = profile.resources.iter().map(ResourceId::as_str);
    let resources = resources.filter(|resource| resource.starts_with("http"));
    Origins::of(resources.chain(userinfo).chain(profile.origins.iter().map(String::as_str)))
        .map_err(CommandError::usage)
}

/// The work, or that the user has ended it: then what it began is undone.
pub(crate) async fn or_interrupted<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Err(CommandError::of(Kind::Interrupted, "ended before there were tokens")),
    }
}
