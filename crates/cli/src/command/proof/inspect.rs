//! `keybound proof inspect`

use super::{ProofArg, TokenArgs, parse_target, report};
use crate::error::CommandError;
use crate::output::{self, Style};
use keybound_dpop::header::ProofHeader;
use keybound_dpop::proof::check::Policy;
use keybound_dpop::proof::inspect::{Against, inspect};
use keybound_dpop::target::Target;
use keybound_dpop::time::{Clock, SystemClock, UnixTime};
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound proof inspect < proof.txt
  keybound proof inspect eyJ0eXAi… --method POST --url https://as.example/token --now
  pbpaste | keybound proof inspect --json | jq '.findings[] | select(.verdict == \"fails\")'

Every rule of RFC 9449 section 4.3 that a proof alone can keep or break, in the order in which a server looks. A rule for \
which nothing was given to hold the proof against is not asked. Exits with 0 only if no rule failed.";

/// Show what a proof says, and every rule with its verdict
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    proof: ProofArg,
    /// The method of the request that it came with
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// The URL of that request, as the server knows it
    #[arg(long, value_name = "URL", value_parser = parse_target)]
    url: Option<Target>,
    #[command(flatten)]
    token: TokenArgs,
    /// Judge `iat` as of then, in seconds since 1970
    #[arg(long, value_name = "SECONDS")]
    time: Option<u64>,
    /// Judge `iat` as of now
    #[arg(long, conflicts_with = "time")]
    now: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let proof = args.proof.read()?;
    let against = Against {
        method: args.method.as_deref(),
        target: args.url.as_ref(),
        token: args.token.hash()?,
        jkt: args.token.jkt,
        nonce: None,
        time: match args.time {
            None => args.now.then(|| SystemClock::start().now().unix),
            time => time.map(UnixTime::from_secs),
        },
    };
    let inspection = inspect(ProofHeader::One(proof.as_bytes()), &against, &Policy::default());
    if args.json {
        output::json(&report::json(&inspection))?;
    } else {
        output::data(report::text(&inspection, Style::of_stdout()).as_bytes())?;
    }
    Ok(report::exit_code(&inspection))
}
