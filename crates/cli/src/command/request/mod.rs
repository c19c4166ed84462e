//! `keybound request`

mod answer;
mod body;
mod call;
mod trace;

use crate::error::{CommandError, Kind};
use crate::server::{NameArgs, NetworkArgs, SecretArgs, Server};
use crate::{facts, input, places, wallet};
use body::{BodyArgs, Payload};
use bytes::Bytes;
use call::{Caller, Renewer};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use keybound_client::destination::Destination;
use keybound_client::session::Session;
use keybound_client::shared_session::{Place, SharedSession};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use trace::Trace;

const HELP: &str = "\
Examples:
  keybound request https://api.example/orders
  keybound request -X POST https://api.example/orders -H 'Content-Type: application/json' -d @order.json
  keybound request https://api.example/orders --json-body '{\"item\": 7}'
  keybound request -T backup.tar https://api.example/files/backup.tar
  keybound request -o report.pdf https://api.example/report
  keybound request -v https://api.example/orders      # shows each proof, decoded

Each request gets a proof of its own; a nonce that the server asks for is put in, and a token that is no longer good is \
renewed. The body goes to stdout as it comes, the status to stderr. Without --profile and --session the login is taken \
that may go there. Tokens go to the origins that were named at login, and to nobody else.

A status of 400 or more ends with 22, also without --fail; `keybound --help` has all exit codes. A header that holds a \
secret does not belong on a command line, which every user of the machine can read: -H @FILE, or -H @- for stdin.";

/// Call an API with the tokens of a login, as curl would
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// Where to
    url: String,
    /// The method; left out, GET, POST where there is data, PUT for a file
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<Method>,
    /// A header line, or `@FILE` with such lines; may be given more than once
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE|@FILE")]
    headers: Vec<String>,
    #[command(flatten)]
    body: BodyArgs,
    /// Write the body of the answer there
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
    /// Print status and headers of the answer before its body
    #[arg(short, long)]
    include: bool,
    /// Ask for status and headers alone: HEAD
    #[arg(short = 'I', long, conflicts_with_all = ["body", "method"])]
    head: bool,
    /// Show on stderr what is sent and what comes: proofs decoded, secrets as hashes
    #[arg(short, long)]
    verbose: bool,
    /// Do not print the body of an answer with a status of 400 or more
    #[arg(short, long)]
    fail: bool,
    /// Do not print the status
    #[arg(short, long)]
    silent: bool,
    /// Follow redirects on the same origin, each with a new proof
    #[arg(short = 'L', long)]
    location: bool,
    /// Take that long at the most, for everything
    #[arg(short = 'm', long, value_name = "SECONDS")]
    max_time: Option<u64>,
    #[command(flatten)]
    name: NameArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let Some(secs) = args.max_time else { return call(&args).await };
    match tokio::time::timeout(Duration::from_secs(secs), call(&args)).await {
        Ok(ended) => ended,
        Err(_) => Err(CommandError::of(Kind::Timeout, format!("not done within {secs} s"))
            .advise("give more with --max-time")),
    }
}

async fn call(args: &Args) -> Result<ExitCode, CommandError> {
    let (request, payload) = request(args)?;
    let (name, session, server) = session(args, request.uri())?;
    let server = server.of_session(&session)?.with_secret(&args.secret).with_network(&args.network);
    let (transport, trace) = (server.transport()?, Trace::new(args.verbose));
    let fetcher = transport.fetcher().clone();
    let prover = wallet::prover(wallet::signing_key(&session.key)?);
    let (issuer, client_id) = (session.issuer.clone(), session.client_id.clone());
    let renewer = Renewer { server, transport, issuer, client_id, prover: prover.clone(), trace };
    let place = Place { store: places::sessions()?, name };
    let session = SharedSession::seeking(prover, session, Arc::new(renewer), Some(place));
    let session = session.map_err(CommandError::failed)?;
    let came = Caller { session, fetcher, trace }.call(request, payload, args.location).await?;
    answer::print(args, came).await
}

fn request(args: &Args) -> Result<(Request<Bytes>, Payload), CommandError> {
    let mut headers = HeaderMap::new();
    for line in &args.headers {
        add_headers(&mut headers, line)?;
    }
    let payload = args.body.payload(&mut headers)?;
    let mut request = Request::new(match &payload {
        Payload::Whole(data) => data.clone(),
        _ => Bytes::new(),
    });
    *request.method_mut() = match &args.method {
        Some(method) => method.clone(),
        None if args.head => Method::HEAD,
        None => args.body.method(),
    };
    *request.uri_mut() = args.url.parse().map_err(|error| {
        CommandError::usage(format!("`{}` is no URL: {error}", args.url)).advise("write https://host/path")
    })?;
    *request.headers_mut() = headers;
    Ok((request, payload))
}

/// The login to use: the one that is named, else the one that may go there.
fn session(args: &Args, uri: &http::Uri) -> Result<(String, Session, Server), CommandError> {
    let server = args.name.server(true)?;
    let name = args.name.session(&server);
    let is_named = args.name.profile.is_some() || args.name.session.is_some();
    let found = facts::load(&name);
    let to = Destination::parse(&uri.to_string()).map_err(CommandError::usage)?;
    if is_named || found.as_ref().is_ok_and(|session| session.origins.allow(&to)) {
        return Ok((name, found?, server));
    }
    let sessions = places::sessions()?;
    let mut fit = Vec::new();
    for other in sessions.names().map_err(CommandError::failed)? {
        match sessions.load(&other) {
            Ok(session) if session.origins.allow(&to) => fit.push((other, session)),
            _ => {}
        }
    }
    if fit.len() > 1 {
        let names: Vec<&str> = fit.iter().map(|(name, _)| name.as_str()).collect();
        let what = format!("several logins may go to {}: {}", to.origin(), names.join(", "));
        return Err(CommandError::usage(what).advise("name one with --session"));
    }
    match fit.pop() {
        Some((name, session)) => Ok((name, session, server)),
        None => Ok((name, found?, server)),
    }
}

fn add_headers(headers: &mut HeaderMap, line: &str) -> Result<(), CommandError> {
    let Some(file) = line.strip_prefix('@') else { return add_header(headers, line, false) };
    let text = input::text(file)?;
    text.reveal()
        .lines()
        .filter(|line| !line.trim().is_empty())
        .try_for_each(|line| add_header(headers, line, true))
}

fn add_header(headers: &mut HeaderMap, line: &str, is_secret: bool) -> Result<(), CommandError> {
    let (name, value) =
        line.split_once(':').ok_or_else(|| CommandError::usage("a header line is `Name: value`"))?;
    let name: HeaderName =
        name.trim().parse().map_err(|_| CommandError::usage("a header name is a token"))?;
    if name == http::header::AUTHORIZATION || name == keybound_dpop::header::DPOP {
        return Err(CommandError::usage(format!("{name} is what this command is for: it sets it itself")));
    }
    let mut value: HeaderValue = value
        .trim()
        .parse()
        .map_err(|_| CommandError::usage("a header value is visible text on one line"))?;
    value.set_sensitive(is_secret);
    headers.append(name, value);
    Ok(())
}
