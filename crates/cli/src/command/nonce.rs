//! `keybound nonce`

use super::ConfigArg;
use crate::error::CommandError;
use crate::output;
use keybound_provider::provider::revoke_nonces;
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound nonce revoke --config keybound.toml

Nonces need no storage: they are made of a secret in the provider's store and of the time. Revoking them replaces that \
secret. It works while the provider runs, which sees it within two seconds; each client then needs one more try, which \
clients make by themselves.";

const REVOKE_HELP: &str = "\
Examples:
  keybound nonce revoke --config keybound.toml

For an emergency: recorded proofs whose nonces are still good become useless at once.";

/// Revoke the nonces that the provider has issued
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make every nonce stale that was issued until now
    #[command(after_long_help = REVOKE_HELP)]
    Revoke {
        #[command(flatten)]
        config: ConfigArg,
    },
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let Action::Revoke { config } = args.action;
    revoke_nonces(&config.store()?).await?;
    output::note("Every nonce issued until now is stale.\n")?;
    Ok(ExitCode::SUCCESS)
}
