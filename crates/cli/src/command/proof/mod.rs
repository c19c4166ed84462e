//! `keybound proof`

mod create;
mod inspect;
mod report;
mod rules;
mod verify;

use crate::error::CommandError;
use crate::input;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::secret::Secret;
use keybound_dpop::target::Target;
use keybound_dpop::token_hash::TokenHash;
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound proof create --method POST --url https://as.example/token | keybound proof inspect
  keybound proof verify --method GET --url https://api.example/orders < proof.txt

Nothing here talks to a server: a proof is judged by its text alone.";

/// Make proofs, and see why one is refused
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Create(create::Args),
    Verify(verify::Args),
    Inspect(inspect::Args),
    Rules(rules::Args),
}

pub(crate) fn run(args: Args) -> Result<ExitCode, CommandError> {
    match args.action {
        Action::Create(args) => create::run(&args),
        Action::Verify(args) => verify::run(&args),
        Action::Inspect(args) => inspect::run(&args),
        Action::Rules(_) => rules::run(),
    }
}

/// The proof in question.
#[derive(Debug, clap::Args)]
struct ProofArg {
    /// The proof, or the whole `DPoP` header line; `-` or nothing: read from stdin
    proof: Option<String>,
}

impl ProofArg {
    /// Its text: white space around it and the name of the header do not count.
    fn read(&self) -> Result<String, CommandError> {
        let text = match self.proof.as_deref() {
            None | Some("-") => input::text("-")?,
            Some(proof) => Secret::new(proof),
        };
        let text = text.reveal().trim();
        let value = match text.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("dpop") => value.trim(),
            _ => text,
        };
        Ok(value.to_owned())
    }
}

/// The access token beside the proof.
#[derive(Debug, clap::Args)]
struct TokenArgs {
    /// The file that holds the access token sent with the proof; `-` for stdin
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
    /// The thumbprint that the token is bound to (`cnf.jkt`)
    #[arg(long, value_name = "THUMBPRINT", value_parser = parse_jkt)]
    jkt: Option<Thumbprint>,
}

impl TokenArgs {
    fn hash(&self) -> Result<Option<TokenHash>, CommandError> {
        let token =
            self.token_file.as_ref().map(|file| input::secret(file, "an access token")).transpose()?;
        Ok(token.map(|token| TokenHash::of(token.reveal())))
    }
}

fn parse_target(url: &str) -> Result<Target, String> {
    Target::parse(url).map_err(|error| error.to_string())
}

fn parse_jkt(text: &str) -> Result<Thumbprint, String> {
    Thumbprint::parse(text).ok_or_else(|| "a thumbprint is 43 characters of base64url".to_owned())
}
