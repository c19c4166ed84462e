//! The commands, one a file.

mod agent;
mod agent_logins;
mod agent_place;
mod client;
mod completions;
mod consent;
mod gateway;
mod gateway_report;
mod key;
mod login;
mod logout;
mod man;
mod nonce;
mod profile;
mod proof;
mod register;
mod request;
mod serve;
mod session;
mod sessions;
mod signing_key;
mod token;
mod user;
mod whoami;

pub(crate) use key::KeyAlgorithm;

use crate::demo;
use crate::error::CommandError;
use crate::handed::Handed;
use crate::logging::{self, Lines};
use crate::telemetry::Telemetry;
use clap::Subcommand;
use keybound_provider::config::ConfigFile;
use keybound_provider::store::Store;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

/// What `keybound` can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::Args),
    Serve(serve::Args),
    Gateway(Box<gateway::Args>),
    Client(client::Args),
    User(user::Args),
    Consent(consent::Args),
    Session(session::Args),
    SigningKey(signing_key::Args),
    Nonce(nonce::Args),
    Login(Box<login::Args>),
    Request(Box<request::Args>),
    Agent(Box<agent::Args>),
    Token(token::Args),
    Whoami(whoami::Args),
    Logout(Box<logout::Args>),
    Sessions(sessions::Args),
    Profile(profile::Args),
    Register(register::Args),
    Key(key::Args),
    Proof(proof::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Services log from here on unless told otherwise.
const SERVICE_LOG: &str = "info";
/// The agent has lines of its own for requests.
const AGENT_LOG: &str = "info,http=off";

/// Does it. `log` is the filter of the command line.
pub(crate) fn run(command: Command, log: Option<&str>) -> Result<ExitCode, CommandError> {
    let is_service = match &command {
        Command::Serve(_) => true,
        Command::Gateway(args) => args.is_service(),
        _ => false,
    };
    let handed = if is_service { Handed::take()? } else { Handed::default() };
    let telemetry = match &command {
        Command::Serve(_) => Telemetry::from_env("keybound-provider")?,
        Command::Gateway(_) if is_service => Telemetry::from_env("keybound-gateway")?,
        _ => None,
    };
    let default = match &command {
        Command::Agent(args) => args.is_service().then_some(AGENT_LOG),
        _ => is_service.then_some(SERVICE_LOG),
    };
    let lines = log.or(default).map(|filter| logging::start(filter, telemetry.as_ref()));
    let lines = lines.transpose()?;
    match command {
        Command::Demo(args) => on_all_processors(lines, demo::run(args)),
        Command::Serve(args) => on_all_processors(lines, serve::run(args, handed)),
        Command::Gateway(args) => on_all_processors(lines, gateway::run(*args, handed)),
        Command::Client(args) => on_this_thread(client::run(args)),
        Command::User(args) => on_this_thread(user::run(args)),
        Command::Consent(args) => on_this_thread(consent::run(args)),
        Command::Session(args) => on_this_thread(session::run(args)),
        Command::SigningKey(args) => on_this_thread(signing_key::run(args)),
        Command::Nonce(args) => on_this_thread(nonce::run(args)),
        Command::Login(args) => on_this_thread(login::run(*args)),
        Command::Request(args) => on_this_thread(request::run(*args)),
        Command::Agent(args) => on_all_processors(lines, agent::run(*args)),
        Command::Token(args) => on_this_thread(token::run(args)),
        Command::Whoami(args) => on_this_thread(whoami::run(args)),
        Command::Logout(args) => on_this_thread(logout::run(*args)),
        Command::Sessions(args) => sessions::run(args),
        Command::Profile(args) => profile::run(args),
        Command::Register(args) => on_this_thread(register::run(args)),
        Command::Key(args) => key::run(args),
        Command::Proof(args) => proof::run(args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

fn on_all_processors<T>(
    lines: Option<Lines>,
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let _last = lines.map(|lines| lines.follow(&mut builder));
    let runtime = builder.enable_all().build().map_err(CommandError::failed)?;
    runtime.block_on(work)
}

fn on_this_thread<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(CommandError::failed)?.block_on(work)
}

/// Which configuration.
#[derive(Debug, clap::Args)]
struct ConfigArg {
    /// The configuration file, in TOML
    #[arg(long = "config", env = "KEYBOUND_CONFIG", value_name = "FILE", default_value = "keybound.toml")]
    file: PathBuf,
}

impl ConfigArg {
    fn load(&self) -> Result<ConfigFile, CommandError> {
        Ok(ConfigFile::load(&self.file)?)
    }

    /// The provider's store, whether or not the provider runs.
    fn store(&self) -> Result<Store, CommandError> {
        Ok(Store::open(&self.load()?.store)?)
    }
}
