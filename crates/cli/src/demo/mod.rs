//! `keybound demo`: the eight steps of the DPoP flow between three real parties over real HTTP, and then the thief.

mod browser;
mod parties;
mod play;
mod story;
mod tell;
mod wire;

use crate::error::CommandError;
use crate::output::{self, Style};
use parties::{CLIENT_ID, Parties, USERNAME};
use std::process::ExitCode;
use story::Story;

/// See the eight steps of DPoP happen, between three real parties over HTTP
///
/// Starts an OpenID Provider, a gateway and a small API on free ports of this machine, with everything in a temporary
/// folder; signs a user in; and tells each step as it was seen on the wire: who sent what to whom, with proofs and
/// tokens decoded. Then it plays the thief, who has the token and cannot use it.
///
/// Exit code 0 means that every step was observed and every theft refused.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  keybound demo                the eight steps, for people
  keybound demo --json         the same, for programs
  keybound demo --serve        keep the servers running, and try it by hand with another terminal")]
pub(crate) struct Args {
    /// Print one JSON document: steps, messages, facts, thefts
    #[arg(long, conflicts_with = "serve")]
    json: bool,
    /// Keep everything running and print how to log in and call the API by hand
    #[arg(long)]
    serve: bool,
}

/// Plays it.
pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let folder = tempfile::tempdir().map_err(|error| {
        CommandError::failed(format!("no temporary folder can be made: {error}"))
            .advise("set TMPDIR to a folder that can be written to")
    })?;
    let parties = Parties::start(folder.path()).await?;
    if args.serve {
        return serve(&parties).await;
    }
    let style = Style::of_stdout();
    if !args.json {
        output::line(&opening(&parties, style))?;
    }
    let story = Story::of(&play::play(&parties).await?);
    if args.json {
        output::json(&tell::to_program(&story))?;
    } else {
        output::data(tell::to_person(&story, style).as_bytes())?;
    }
    Ok(if story.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn opening(parties: &Parties, style: Style) -> String {
    let place = |name: &str, url: &str| format!("  {} {url}\n", style.strong(&format!("{name:<21}")));
    format!(
        "{}\n\n{}{}{}\n  The user {USERNAME} has just signed in at the authorization server and allowed the client; it\n  holds an authorization code now.\n",
        style.strong("DPoP in eight steps (RFC 9449)"),
        place("authorization server", &parties.issuer),
        place("resource server", &format!("{} (a gateway in front of an API)", parties.api)),
        place("client", &format!("{CLIENT_ID}, a public client")),
    )
}

/// Says how to go on by hand, and waits.
async fn serve(parties: &Parties) -> Result<ExitCode, CommandError> {
    let stop = keybound_serve::stop_signal().map_err(CommandError::failed)?;
    let (issuer, api, resource) = (&parties.issuer, &parties.api, parties.resource());
    let text = format!(
        "The authorization server, the gateway and the API are running.

  issuer      {issuer}
  API         {api}/accounts  and  {api}/payments
  user        {USERNAME}
  password    {password}

In another terminal:

  keybound login --issuer {issuer} --client-id {CLIENT_ID} --scope \"openid read\" --resource {resource}
  keybound request {api}/accounts
  keybound request -v {api}/payments

For comparison, without a proof:

  curl -i {api}/accounts

In a browser:

  {issuer}/
  {issuer}/.well-known/openid-configuration

Ctrl-C ends it; nothing is kept.",
        password = parties.password.reveal(),
    );
    output::line(&text)?;
    stop.await;
    Ok(ExitCode::SUCCESS)
}
