//! `keybound token`

use super::login::{Begun, KeyArgs, ToldArgs, or_interrupted};
use crate::error::CommandError;
use crate::server::{AskArgs, NameArgs, NetworkArgs, PartyArgs, SecretArgs};
use crate::{facts, input, output, places, wallet};
use keybound_client::api::{Api, ApiSettings, Place};
use keybound_client::flow::ask::TokenAsk;
use keybound_client::flow::token_exchange::ExchangeAsk;
use keybound_client::session::Session;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Clock, SystemClock};
use keybound_oauth::token_exchange::TypedToken;
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound token client-credentials --profile nightly
  keybound token exchange --audience https://orders.example --session orders
  keybound token refresh
  keybound token show --json

Tokens are kept, not printed, unless --show-token is there: then the access token is alone on stdout. Whoever has it can \
use it only with the key that it is bound to.";

const SERVICE_HELP: &str = "\
Examples:
  keybound token client-credentials --profile nightly
  keybound token client-credentials --issuer https://as.example --client-id svc --secret-env CLIENT_SECRET \\
    --scope read --resource https://api.example --session svc";

const EXCHANGE_HELP: &str = "\
Examples:
  The token of a login of yours, for another service:
    keybound token exchange --session work --as orders --resource https://orders.example
  A token that somebody has handed to a service, in a file:
    keybound token exchange --profile svc --as orders --subject-token-file token.txt --audience https://orders.example

The new token is bound to the key of the login that is exchanged; for a token from a file, or at another server, to a new \
one.";

const REFRESH_HELP: &str = "\
Examples:
  keybound token refresh
  keybound token refresh --session work --json

`keybound request` does that by itself when it has to.";

const SHOW_HELP: &str = "\
Examples:
  keybound token show
  keybound token show --session work --show-token | keybound proof inspect -";

/// Get tokens without a user, exchange and renew them
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Get a token for the client itself (RFC 6749 section 4.4)
    #[command(after_long_help = SERVICE_HELP)]
    ClientCredentials(Box<ServiceArgs>),
    /// Exchange a token for another one (RFC 8693)
    #[command(after_long_help = EXCHANGE_HELP)]
    Exchange(Box<ExchangeArgs>),
    /// Renew the token of a login now (RFC 6749 section 6)
    #[command(after_long_help = REFRESH_HELP)]
    Refresh(Box<RefreshArgs>),
    /// Show what is known of a token
    #[command(after_long_help = SHOW_HELP)]
    Show {
        #[command(flatten)]
        name: NameArgs,
        #[command(flatten)]
        told: ToldArgs,
    },
}

#[derive(Debug, clap::Args)]
struct ServiceArgs {
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    party: PartyArgs,
    #[command(flatten)]
    ask: AskArgs,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    told: ToldArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

#[derive(Debug, clap::Args)]
struct ExchangeArgs {
    /// The name to keep the new token under
    #[arg(long = "as", value_name = "NAME")]
    as_name: String,
    /// Exchange the token in this file, or on stdin for `-`, instead of that of the login
    #[arg(long, value_name = "FILE")]
    subject_token_file: Option<String>,
    /// The token of who acts, in this file
    #[arg(long, value_name = "FILE")]
    actor_token_file: Option<String>,
    /// Who the new token is for, by the server's name of it; may be given more than once
    #[arg(long = "audience", value_name = "NAME")]
    audiences: Vec<String>,
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    party: PartyArgs,
    #[command(flatten)]
    ask: AskArgs,
    #[command(flatten)]
    told: ToldArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

#[derive(Debug, clap::Args)]
struct RefreshArgs {
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    told: ToldArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    match args.action {
        Action::ClientCredentials(args) => service(&args).await?,
        Action::Exchange(args) => exchange(&args).await?,
        Action::Refresh(args) => refresh(&args).await?,
        Action::Show { name, told } => {
            let name = name.session(&name.server(true)?);
            show(&name, &facts::load(&name)?, &told)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn service(args: &ServiceArgs) -> Result<(), CommandError> {
    let server = args.name.server(args.party.issuer.is_some())?;
    let name = args.name.session(&server);
    let server = server.with_party(&args.party).with_ask(&args.ask);
    let server = server.with_secret(&args.secret).with_network(&args.network);
    let begun = Begun::new(server, &name, &args.key).await?;
    let profile = &begun.server.profile;
    let (scope, resources) = (profile.scope.clone(), profile.resources.clone());
    let tokens =
        or_interrupted(async { Ok(begun.client.client_credentials(scope, resources).await?) }).await?;
    facts::tell(&name, &begun.keep(tokens)?, args.told.json, args.told.show_token)
}

async fn exchange(args: &ExchangeArgs) -> Result<(), CommandError> {
    let server = args.name.server(true)?;
    let name = args.name.session(&server);
    let own = match &args.subject_token_file {
        Some(_) => None,
        None => Some(facts::load(&name)?),
    };
    let server = match &own {
        Some(own) => server.of_session(own)?,
        None => server,
    };
    let mut server = server.with_party(&args.party);
    if let Some(own) = &own {
        server.profile.issuer.get_or_insert_with(|| own.issuer.clone());
        server.profile.client_id.get_or_insert_with(|| own.client_id.clone());
        // The new token is for what is named here, not for what the login was for.
        (server.profile.scope, server.profile.resources) = (None, Vec::new());
    }
    let server = server.with_ask(&args.ask).with_secret(&args.secret).with_network(&args.network);
    let begun = match &own {
        // A key is for one server (CL-KEY-04).
        Some(own) if server.profile.issuer.as_ref() == Some(&own.issuer) => {
            Begun::with_key_of(server, &args.as_name, own).await?
        }
        _ => Begun::new(server, &args.as_name, &KeyArgs::default()).await?,
    };
    let profile = &begun.server.profile;
    let subject = match (&args.subject_token_file, own) {
        (Some(file), _) => input::secret(file, "a token")?,
        (None, own) => own.map(|own| own.tokens.access_token).unwrap_or_else(|| Secret::new("")),
    };
    let actor = args.actor_token_file.as_deref().map(|file| input::secret(file, "a token")).transpose()?;
    let ask = TokenAsk {
        scope: profile.scope.clone(),
        resources: profile.resources.clone(),
        ..TokenAsk::default()
    };
    let mut asked = ExchangeAsk::access_token(subject);
    (asked.audiences, asked.ask) = (args.audiences.clone(), ask);
    if let Some(actor) = actor {
        asked = asked.by(TypedToken::access_token(actor));
    }
    let exchanged = or_interrupted(async { Ok(begun.client.exchange_token(asked).await?) }).await?;
    let tokens = exchanged.access().map_err(CommandError::failed)?;
    facts::tell(&args.as_name, &begun.keep(tokens)?, args.told.json, args.told.show_token)
}

async fn refresh(args: &RefreshArgs) -> Result<(), CommandError> {
    let server = args.name.server(true)?;
    let name = args.name.session(&server);
    let session = facts::load(&name)?;
    let server = server.of_session(&session)?.with_secret(&args.secret).with_network(&args.network);
    let prover = wallet::prover(wallet::signing_key(&session.key)?);
    let (transport, client_id) = (server.transport()?, session.client_id.clone());
    let client = server.client(transport.clone(), &session.issuer, client_id, prover.clone()).await?;
    let place = Place { store: places::sessions()?, name: name.clone() };
    let settings = ApiSettings { renewal: Some(client), place: Some(place), ..ApiSettings::default() };
    let api = Api::new(transport, prover, session.clone(), settings).map_err(CommandError::failed)?;
    let renewed = api.renew(&session).await.map_err(CommandError::from_renewal)?;
    show(&name, &renewed, &args.told)
}

/// Facts, or the token alone.
fn show(name: &str, session: &Session, told: &ToldArgs) -> Result<(), CommandError> {
    match (told.json, told.show_token) {
        (false, false) => output::line(&facts::text(name, session, SystemClock::start().now().unix)),
        (false, true) => output::line(session.tokens.access_token.reveal()),
        (true, show_token) => facts::tell(name, session, true, show_token),
    }
}
