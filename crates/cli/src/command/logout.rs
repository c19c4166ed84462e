//! `keybound logout`

use super::login::open_browser;
use crate::bound_key;
use crate::error::CommandError;
use crate::output::{self, plain};
use crate::server::{NameArgs, NetworkArgs, SecretArgs, Server};
use crate::{facts, places, wallet};
use keybound_client::client::Client;
use keybound_client::flow::logout::LogoutAsk;
use keybound_client::session::Session;
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound logout
  keybound logout --session work
  keybound logout --browser            # sign out of the provider too, with all that is signed in there
  keybound logout --all

The server is asked to revoke the tokens (RFC 7009); then the login is deleted here, with the key that it made, whether \
the server could be reached or not. A key that was named at login stays: `keybound key delete`.";

/// End a login: revoke its tokens, delete it and its key
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// Sign the user out of the provider too, in the browser (OpenID Connect RP-Initiated Logout)
    #[arg(long)]
    browser: bool,
    /// Print the URL for the browser, and do not open it
    #[arg(long, requires = "browser")]
    no_open: bool,
    /// Delete the login here, and do not ask the server
    #[arg(long, conflicts_with = "browser")]
    offline: bool,
    /// All logins of this machine, whatever is named beside it
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    if !args.all {
        let server = args.name.server(true)?;
        let name = args.name.session(&server);
        return Ok(code(end(&args, &name, server).await?));
    }
    let mut is_ended = true;
    for name in places::sessions()?.names().map_err(CommandError::failed)? {
        let server = NameArgs { profile: Some(name.clone()), session: None }.server(true)?;
        // What is wrong with one login does not keep the others.
        is_ended &= match end(&args, &name, server).await {
            Ok(is_revoked) => is_revoked,
            Err(error) => {
                output::note(&format!("{name} is still there: {}\n", plain(&error.to_string())))?;
                false
            }
        };
    }
    Ok(code(is_ended))
}

const fn code(is_revoked: bool) -> ExitCode {
    if is_revoked { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Ends one login. Gives whether the server has done its part.
async fn end(args: &Args, name: &str, server: Server) -> Result<bool, CommandError> {
    facts::load(name)?;
    // Whoever renews it meanwhile would write it again after it was deleted; and it is the newest tokens that are revoked.
    let sessions = places::sessions()?;
    let _turn = sessions.lock(name).map_err(CommandError::failed)?;
    let session = facts::load(name)?;
    let server = server.of_session(&session)?.with_secret(&args.secret).with_network(&args.network);
    let revoked = if args.offline { Ok(true) } else { revoke(args, &server, &session).await };
    sessions.delete(name).map_err(CommandError::failed)?;
    let is_key_gone = bound_key::delete_own(&session, &sessions)?;
    let key = if is_key_gone { " and its key" } else { "" };
    output::line(&format!("deleted {name}{key}"))?;
    match revoked {
        Ok(true) => Ok(true),
        Ok(false) => {
            output::note(
                "The server revokes no tokens: they end by themselves, and are no use without the key.\n",
            )?;
            Ok(true)
        }
        Err(error) => {
            output::note(&format!("The tokens were not revoked: {}\n", plain(&error.to_string())))?;
            Ok(false)
        }
    }
}

/// Has the server end the tokens, if it can.
async fn revoke(args: &Args, server: &Server, session: &Session) -> Result<bool, CommandError> {
    let prover = wallet::prover(wallet::signing_key(&session.key)?);
    let client_id = session.client_id.clone();
    let client = server.client(server.transport()?, &session.issuer, client_id, prover).await?;
    if args.browser {
        sign_out(args, server, &client)?;
    }
    if client.server().endpoints.revocation_endpoint.is_none() {
        return Ok(false);
    }
    client.revoke_all(&session.tokens).await?;
    Ok(true)
}

fn sign_out(args: &Args, server: &Server, client: &Client) -> Result<(), CommandError> {
    let url = client.logout_url(&LogoutAsk::default())?;
    output::note(&format!("To sign out of {}, open\n  {url}\n", client.server().issuer))?;
    if !args.no_open {
        open_browser(&url, server.profile.secret_env.as_deref());
    }
    Ok(())
}
