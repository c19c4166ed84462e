//! `keybound request`

mod body;
mod trace;

use crate::error::CommandError;
use crate::output::{self, Style, plain};
use crate::places;
use crate::wallet::{self, NetworkArgs, SecretArgs};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use keybound_client::api::{Api, ApiSettings, Place};
use keybound_client::nonce_rule::{Next, Round, dpop_challenges};
use keybound_client::prover::Prover;
use keybound_client::resource_exchange::{check_algorithms, is_token_refused, prepare};
use keybound_client::session::Session;
use keybound_client::transport::Transport;
use keybound_dpop::nonce_cache::Role;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use trace::Trace;

/// Bytes of an answer's body, at the most.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

const HELP: &str = "\
Examples:
  keybound request https://api.example/orders
  keybound request -X POST https://api.example/orders -H 'Content-Type: application/json' -d @order.json
  keybound request -v https://api.example/orders      # shows each proof, decoded

Each request gets a proof of its own; a nonce that the server asks for is put in, and a token that is no longer good is \
renewed. The body goes to stdout, the status to stderr. Exits with 0 for a status below 400, else with 1.";

/// Call an API with the tokens of a login, as curl would
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// Where to
    url: String,
    /// The method; left out, GET, or POST where there is data
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<Method>,
    /// A header line; may be given more than once
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The body: text, `@FILE`, or `@-` for stdin
    #[arg(short, long, value_name = "TEXT|@FILE")]
    data: Option<String>,
    /// Write the body of the answer there
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print status and headers of the answer before its body
    #[arg(short, long)]
    include: bool,
    /// Show on stderr what is sent and what comes: proofs decoded, secrets as hashes
    #[arg(short, long)]
    verbose: bool,
    /// Do not print the body of an answer with a status of 400 or more
    #[arg(short, long)]
    fail: bool,
    /// Do not print the status
    #[arg(short, long)]
    silent: bool,
    /// The login to use
    #[arg(long, value_name = "NAME", default_value = "default")]
    profile: String,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let request = request(&args)?;
    let store = places::sessions()?;
    let session = store.load(&args.profile).map_err(|error| {
        CommandError::failed(error).advise("log in with `keybound login --issuer URL --client-id ID`")
    })?;
    let caller = Caller {
        transport: args.network.transport()?,
        prover: wallet::prover(wallet::signing_key(&session.key)?),
        trace: Trace::new(args.verbose),
    };
    let session = Arc::new(session);
    let is_renewable = session.tokens.refresh_token.is_some();
    let renew = || caller.renew(&args, Place { store: store.clone(), name: args.profile.clone() }, &session);
    let response = if is_renewable && session.tokens.is_expired(caller.prover.now()) {
        caller.send(&*renew().await?, &request).await?
    } else {
        let response = caller.send(&session, &request).await?;
        match is_renewable && is_token_refused(&response) {
            true => caller.send(&*renew().await?, &request).await?,
            false => response,
        }
    };
    print(&args, &response)
}

fn request(args: &Args) -> Result<Request<Bytes>, CommandError> {
    let data = args.data.as_deref().map(body::read).transpose()?;
    let default = if data.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::new(data.unwrap_or_default());
    *request.method_mut() = args.method.clone().unwrap_or(default);
    *request.uri_mut() = args.url.parse().map_err(|error| {
        CommandError::usage(format!("`{}` is no URL: {error}", args.url)).advise("write https://host/path")
    })?;
    for (name, value) in &args.headers {
        request.headers_mut().append(name.clone(), value.clone());
    }
    body::describe(&mut request, args.data.is_some());
    Ok(request)
}

fn parse_header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = line.split_once(':').ok_or("a header line is `Name: value`")?;
    let name: HeaderName = name.trim().parse().map_err(|_| "a header name is a token")?;
    if name == http::header::AUTHORIZATION || name == keybound_dpop::header::DPOP {
        return Err(format!("{name} is what this command is for: it sets it itself"));
    }
    let value = value.trim().parse().map_err(|_| "a header value is visible text on one line")?;
    Ok((name, value))
}

/// Sends with a session, and shows what goes out and comes in.
struct Caller {
    transport: Transport,
    prover: Prover,
    trace: Trace,
}

impl Caller {
    /// One exchange: again, with a new proof, where the resource asks for a nonce (RFC 9449 §9).
    async fn send(
        &self,
        session: &Session,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, CommandError> {
        let mut round = Round::new(Role::ResourceServer);
        loop {
            let outgoing = prepare(session, &self.prover, request).map_err(CommandError::failed)?;
            self.trace.sent(&outgoing.request)?;
            let sent = self.transport.fetcher().send_capped(outgoing.request, MAX_BODY_BYTES).await;
            let response = sent.map_err(|error| CommandError::failed(&error).advise(error.advice()))?;
            self.trace.came(&response)?;
            let answered = round.answered(&self.prover, &outgoing.to, outgoing.proof.as_ref(), &response);
            if answered.map_err(CommandError::failed)? == Next::Done {
                if outgoing.proof.is_some() {
                    check_algorithms(self.prover.algorithm(), &response).map_err(CommandError::failed)?;
                }
                return Ok(response);
            }
        }
    }

    /// The session with a new access token, which is kept.
    async fn renew(&self, args: &Args, place: Place, stale: &Session) -> Result<Arc<Session>, CommandError> {
        self.trace.note("the access token is no longer good: renewing it")?;
        let identity = args.secret.identity(stale.client_id.clone())?;
        let server = self.transport.discover(&stale.issuer).await?;
        let (transport, prover) = (self.transport.clone(), self.prover.clone());
        let client =
            keybound_client::client::Client::new(transport.clone(), server, identity, prover.clone());
        let settings = ApiSettings { renewal: Some(client), place: Some(place), ..ApiSettings::default() };
        let api = Api::new(transport, prover, stale.clone(), settings).map_err(CommandError::failed)?;
        Ok(api.renew(stale).await?)
    }
}

fn print(args: &Args, response: &Response<Bytes>) -> Result<ExitCode, CommandError> {
    let status = response.status();
    let is_bad = status.is_client_error() || status.is_server_error();
    if args.include {
        output::data(trace::head(response).as_bytes())?;
    }
    if !(is_bad && args.fail) {
        match &args.output {
            Some(path) => std::fs::write(path, response.body())
                .map_err(|error| CommandError::failed(format!("{}: {error}", path.display())))?,
            None => output::data(response.body())?,
        }
    }
    if !args.silent {
        let style = Style::of_stderr();
        let line = status.to_string();
        let line = if is_bad { style.bad(&line) } else { style.good(&line) };
        let open_line = std::io::stdout().is_terminal() && !response.body().ends_with(b"\n");
        output::note(&format!("{}{line}\n", if open_line { "\n" } else { "" }))?;
        for challenge in dpop_challenges(response.headers()) {
            let said = |name| challenge.get(name).map(plain).unwrap_or_default();
            output::note(&format!("{} {}\n", said("error"), said("error_description")))?;
        }
    }
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
