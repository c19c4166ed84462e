//! `keybound whoami`

use crate::error::CommandError;
use crate::output::{self, plain};
use crate::server::{NameArgs, NetworkArgs, SecretArgs};
use crate::{facts, wallet};
use keybound_client::session::Session;
use keybound_dpop::jose::jws::UnverifiedJwt;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound whoami
  keybound whoami --session work --json | jq -r .sub
  keybound whoami --userinfo

What is known comes from the ID token, which was checked at the login: it says who the user was then. --userinfo asks \
the server who it is now; its answer must be about the same user.";

/// Show who is logged in
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// Ask the server too (OpenID Connect Core section 5.3)
    #[arg(long)]
    userinfo: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Claims that say nothing about the user.
const TECHNICAL: [&str; 10] =
    ["iss", "aud", "azp", "exp", "iat", "nonce", "at_hash", "c_hash", "jti", "rt_hash"];

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let server = args.name.server(true)?;
    let name = args.name.session(&server);
    let session = facts::load(&name)?;
    let mut known = claims(&session);
    if args.userinfo {
        let server = server.of_session(&session)?.with_secret(&args.secret).with_network(&args.network);
        let prover = wallet::prover(wallet::signing_key(&session.key)?);
        let client = server.client(server.transport()?, &session.issuer, session.client_id.clone(), prover);
        known.extend(client.await?.userinfo(&session.tokens).await?);
    }
    if args.json {
        // What is ours to say comes last: no claim takes its place.
        let ours = json!({ "session": name, "issuer": session.issuer.as_str(),
                           "client_id": session.client_id.as_str(), "sub": session.tokens.subject });
        known.extend(ours.as_object().cloned().unwrap_or_default());
        output::json(&Value::Object(known))?;
        return Ok(ExitCode::SUCCESS);
    }
    let who = match &session.tokens.subject {
        Some(subject) => plain(subject),
        None => format!("the client {} itself, or a user whom it does not know", session.client_id),
    };
    output::line(&format!("{who} at {}", session.issuer))?;
    for (name, value) in known.iter().filter(|(name, _)| *name != "sub") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        output::line(&plain(&format!("{name:<16}  {value}")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the ID token says of the user. It was checked when it came, and has been kept in a private file since.
fn claims(session: &Session) -> Map<String, Value> {
    let Some(id_token) = session.tokens.id_token.as_ref().filter(|_| session.tokens.subject.is_some()) else {
        return Map::new();
    };
    let payload = id_token.reveal().split('.').nth(1).and_then(keybound_dpop::jose::base64url::decode);
    let is_jwt = UnverifiedJwt::parse(id_token.reveal()).is_ok();
    let claims = payload.filter(|_| is_jwt).and_then(|payload| serde_json::from_slice(&payload).ok());
    let claims: Map<String, Value> = claims.unwrap_or_default();
    claims.into_iter().filter(|(name, _)| !TECHNICAL.contains(&name.as_str())).collect()
}
