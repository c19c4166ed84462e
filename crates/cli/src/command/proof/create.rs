//! `keybound proof create`

use crate::command::key::KeyAlgorithm;
use crate::error::CommandError;
use crate::{input, output, wallet};
use keybound_client::prover::SharedSigner;
use keybound_dpop::jose::crypto;
use keybound_dpop::jose::signer::{Signer as _, SigningKey};
use keybound_dpop::nonce::Nonce;
use keybound_dpop::proof::create::{NewProof, htu};
use keybound_dpop::time::{Clock, SystemClock, UnixTime};
use keybound_dpop::token_hash::TokenHash;
use serde_json::json;
use std::process::ExitCode;
use std::sync::Arc;

const HELP: &str = "\
Examples:
  keybound proof create --method POST --url https://as.example/token --key laptop
  keybound proof create --method GET --url https://api.example/orders --key ./key.jwk \\
    --token-file token.txt --nonce eyJ7S_zG.eyJH0-Z.HX4w-7v

A proof is good for one request, and for about a minute. Without --key it is signed with a key that nobody keeps.";

/// Make a proof for one request (RFC 9449 section 4.2)
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// The method of the request (`htm`)
    #[arg(long, value_name = "METHOD")]
    method: String,
    /// The URL of the request (`htu`); query and fragment are left out of the proof
    #[arg(long, value_name = "URL")]
    url: String,
    /// The key: a name (see `keybound key`), or a file with a private JWK, `./key.jwk`
    #[arg(long, value_name = "NAME|FILE")]
    key: Option<String>,
    /// Without --key: what the new key signs with
    #[arg(long, value_enum, value_name = "ALGORITHM", default_value = "ES256", conflicts_with = "key")]
    alg: KeyAlgorithm,
    /// The server's nonce, from its `DPoP-Nonce` header
    #[arg(long, value_name = "NONCE", value_parser = parse_nonce)]
    nonce: Option<Nonce>,
    /// The file that holds the access token that goes beside the proof; `-` for stdin
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
    /// Say that it was made then (`iat`), in seconds since 1970; left out, now
    #[arg(long, value_name = "SECONDS")]
    time: Option<u64>,
    /// Print JSON: the proof and the thumbprint of its key
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let key = key(args)?;
    let htu = htu(&args.url).map_err(|error| {
        CommandError::usage(format!("no proof can be made for this URL: {error}"))
            .advise("write the whole URL, such as https://api.example/orders")
    })?;
    let token = args.token_file.as_ref().map(|file| input::secret(file, "an access token")).transpose()?;
    let proof = NewProof {
        method: &args.method,
        htu: &htu,
        token: token.map(|token| TokenHash::of(token.reveal())),
        nonce: args.nonce.as_ref(),
        entropy: crypto::random().map_err(CommandError::failed)?,
        iat: args.time.map_or_else(|| SystemClock::start().now().unix, UnixTime::from_secs),
    };
    let proof = proof.sign(&key)?;
    if args.json {
        let jkt = key.public_jwk().thumbprint().to_string();
        output::json(&json!({ "proof": proof, "jkt": jkt }))?;
    } else {
        output::line(&proof)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn key(args: &Args) -> Result<SharedSigner, CommandError> {
    match args.key.as_deref() {
        None => Ok(Arc::new(SigningKey::generate(args.alg.into())?)),
        Some(name) => wallet::signing_key(name),
    }
}

fn parse_nonce(text: &str) -> Result<Nonce, String> {
    Nonce::parse(text).ok_or_else(|| "not what `DPoP-Nonce` can hold (RFC 9449 section 8.1)".to_owned())
}
