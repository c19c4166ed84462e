//! `keybound proof verify`

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
  keybound proof verify --method POST --url https://as.example/token < proof.txt
  keybound proof verify --method GET --url https://api.example/orders --token-file token.txt < proof.txt

Prints the thumbprint of the key, or each rule that fails and what to do about it. Exits with 0 only if no rule failed. \
Whether the nonce is good and whether the proof was used before, only the server can tell.";

/// Say whether a proof is good for a request
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    proof: ProofArg,
    /// The method of the request that it came with
    #[arg(long, value_name = "METHOD")]
    method: String,
    /// The URL of that request, as the server knows it
    #[arg(long, value_name = "URL", value_parser = parse_target)]
    url: Target,
    #[command(flatten)]
    token: TokenArgs,
    /// Judge `iat` as of then, in seconds since 1970; left out, as of now
    #[arg(long, value_name = "SECONDS")]
    time: Option<u64>,
    /// Print JSON, as `keybound proof inspect --json` does
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let proof = args.proof.read()?;
    let against = Against {
        method: Some(&args.method),
        target: Some(&args.url),
        token: args.token.hash()?,
        jkt: args.token.jkt,
        nonce: None,
        time: Some(args.time.map_or_else(|| SystemClock::start().now().unix, UnixTime::from_secs)),
    };
    let inspection = inspect(ProofHeader::One(proof.as_bytes()), &against, &Policy::default());
    if args.json {
        output::json(&report::json(&inspection))?;
    } else {
        output::data(report::verdict(&inspection, Style::of_stdout()).as_bytes())?;
    }
    Ok(report::exit_code(&inspection))
}
