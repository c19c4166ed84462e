//! `keybound gateway`

use super::gateway_report;
use crate::error::CommandError;
use crate::handed::Handed;
use crate::output;
use crate::shell::{self, Place};
use clap::Subcommand;
use keybound_dpop::time::SystemClock;
use keybound_gateway::config::{Decision, Flags};
use keybound_gateway::{Config, DecisionService, GatewayService, Propagation, service, service_in_trace};
use keybound_serve::{AdminPage, Options, Readiness, Server, bind, propagate};
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The configuration where nobody names another.
const DEFAULT_FILE: &str = "gateway.toml";

const HELP: &str = "\
Examples:
  Without a file; the API listens on port 3000 of this machine:
    keybound gateway --public-url https://api.example --upstream http://127.0.0.1:3000 \\
      --issuer https://as.example

  With one:
    keybound gateway check --config gateway.toml
    keybound gateway --config gateway.toml

  A configuration to begin with:
    public_url = \"https://api.example\"      # as callers know the API
    upstream   = \"http://127.0.0.1:3000\"    # where it really is
    issuer     = \"https://as.example\"       # whose tokens are taken
    listen     = \"127.0.0.1:8443\"
    admin      = \"127.0.0.1:9090\"           # /livez, /readyz, /metrics
    [[route]]
    path   = \"/orders\"
    scopes = [\"orders\"]

With nginx, Caddy, Traefik, HAProxy or Envoy in front of the API already, leave `upstream` out and let them ask: \
`[decision]`, docs/decision-point.md.

Works with the tokens of any authorization server. The API behind it needs to know nothing of tokens and must not be \
reachable in any other way. Once requests are accepted, one line on stdout says so: `ready`, the public URL, and where \
it listens. SIGTERM and SIGINT stop it after open requests are answered; SIGHUP reads the configuration and the TLS \
files again without losing a request.";

const CHECK_HELP: &str = "\
Examples:
  keybound gateway check --config gateway.toml
  keybound gateway check --public-url https://api.example --upstream http://127.0.0.1:3000 \\
    --issuer https://as.example

Ends with 0 where a gateway would start, and with 1 where not. Nobody is asked for anything: whether issuers and \
upstreams can be reached is seen when it runs.";

/// Run the guard in front of an HTTP API, in whatever language that is
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    setup: Setup,
}

#[derive(Debug, Subcommand)]
enum Action {
    Check(Check),
    Report(gateway_report::Args),
}

/// Read a configuration and say what a gateway would do with it
#[derive(Debug, clap::Args)]
#[command(after_long_help = CHECK_HELP)]
struct Check {
    #[command(flatten)]
    setup: Setup,
}

/// Where the configuration comes from.
#[derive(Clone, Debug, clap::Args)]
struct Setup {
    /// The configuration file, in TOML; `gateway.toml` where the other options do not say enough
    #[arg(long, env = "KEYBOUND_GATEWAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The URL under which callers know the API; proofs must name it
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Where the API really is, such as http://127.0.0.1:3000
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// An issuer whose access tokens are taken; may be repeated
    #[arg(long = "issuer", value_name = "URL")]
    issuers: Vec<String>,
    /// What `aud` of a token must hold, if not the public URL; may be repeated
    #[arg(long, value_name = "NAME")]
    audience: Vec<String>,
    /// A scope that every request needs; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Listen here, whatever the file says
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Have health and metrics here, whatever the file says
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,
}

impl Args {
    /// Whether it stays and logs.
    pub(crate) fn is_service(&self) -> bool {
        self.action.is_none()
    }
}

pub(crate) async fn run(args: Args, handed: Handed) -> Result<ExitCode, CommandError> {
    match args.action {
        None => serve(args.setup, handed).await,
        Some(Action::Check(check)) => tell(&check.setup),
        Some(Action::Report(args)) => gateway_report::run(args).await,
    }
}

async fn serve(setup: Setup, handed: Handed) -> Result<ExitCode, CommandError> {
    let config = setup.read()?;
    warn(&config);
    let clock = Arc::new(SystemClock::start());
    let service = service_in_trace(&config, clock, Propagation(Some(propagate)))?;
    let mut registry = Registry::default();
    let (metrics, guard) = service.metrics();
    metrics.register(&mut registry);
    guard.register(&mut registry);
    let (again, listen) = (service.clone(), setup.listen);
    shell::on_hangup(move || reload(&setup, &again))?;
    let mut place = Place {
        name: "gateway",
        handed,
        listen: config.listen,
        admin: config.admin,
        tls: config.tls.as_ref().map(|tls| shell::tls(&tls.certificate, &tls.key)).transpose()?,
        registry,
        readiness: readiness(&service),
        pages: vec![observed(&service)],
        ready: format!("url={}{}", config.public_url.origin(), config.public_url.prefix()),
    };
    match &config.decision {
        Some(decision) if !config.forwards() => {
            (place.name, place.listen, place.tls) = ("decision", listen.unwrap_or(decision.listen), None);
            shell::run(place, DecisionService::new(&service, decision)).await?;
        }
        Some(decision) => {
            let beside = Beside::start(&service, decision).await?;
            place.ready.push_str(&format!(" decision={}", beside.address));
            shell::run(place, service).await?;
            beside.stop().await?;
        }
        None => shell::run(place, service).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever reads the log learns what is open.
fn warn(config: &Config) {
    for warning in config.warnings() {
        tracing::warn!(warning, "configuration");
    }
}

/// Reads the configuration again. What cannot be used leaves everything as it is.
fn reload(setup: &Setup, service: &GatewayService) {
    let refused = |error: &dyn std::fmt::Display| {
        tracing::error!(target: "audit", event = "reload_refused", %error, "the old configuration stays in use");
    };
    let config = match setup.read() {
        Ok(config) => config,
        Err(error) => return refused(&error),
    };
    match service.reload(&config) {
        Ok(without_effect) => {
            warn(&config);
            for key in without_effect {
                tracing::warn!(key, "this has changed, and needs a restart to have an effect");
            }
            tracing::info!(target: "audit", event = "reloaded", "another configuration is in use");
        }
        Err(error) => refused(&error),
    }
}

fn readiness(service: &GatewayService) -> Readiness {
    let (issuers, proofs, log) = (service.clone(), service.clone(), service.clone());
    let log_answers = move || {
        let service = log.clone();
        async move { service.replay_log_is_reachable().await }
    };
    Readiness::builder()
        .check("issuers", move || std::future::ready(issuers.keys_are_known()))
        .check("proofs", move || std::future::ready(proofs.proofs_are_taken()))
        .check("replay", log_answers)
        .build()
}

fn observed(service: &GatewayService) -> AdminPage {
    let observations = service.observations();
    AdminPage { path: "/observed", json: Arc::new(move || observations.to_json()) }
}

fn tell(setup: &Setup) -> Result<ExitCode, CommandError> {
    let config = setup.read()?;
    // What a start would find out besides.
    service(&config, Arc::new(SystemClock::start()))?;
    let mut text = config.told().to_string();
    let warnings = config.warnings();
    if !warnings.is_empty() {
        text.push_str("\nDid you mean it?\n");
        text.extend(warnings.iter().map(|warning| format!("  {warning}\n")));
    }
    output::data(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

impl Setup {
    fn read(&self) -> Result<Config, CommandError> {
        let flags = self.flags();
        match &self.config {
            Some(file) => Ok(flags.over(file)?),
            None if flags.stand_alone() => alone(&flags),
            None if Path::new(DEFAULT_FILE).exists() => Ok(flags.over(Path::new(DEFAULT_FILE))?),
            None => Err(CommandError::failed(format!("there is no {DEFAULT_FILE} here, and nothing says what to guard"))
                .advise(
                    "name a file with --config, or do without one: keybound gateway --public-url https://api.example \
                     --upstream http://127.0.0.1:3000 --issuer https://as.example",
                )),
        }
    }

    fn flags(&self) -> Flags {
        Flags {
            public_url: self.public_url.clone(),
            upstream: self.upstream.clone(),
            issuers: self.issuers.clone(),
            audience: self.audience.clone(),
            scopes: self.scopes.clone(),
            listen: self.listen,
            admin: self.admin,
        }
    }
}

fn alone(flags: &Flags) -> Result<Config, CommandError> {
    let missing = flags.missing();
    if missing.is_empty() {
        return Ok(flags.alone()?);
    }
    let lines: Vec<String> = missing.iter().map(|(flag, what)| format!("  {flag} URL   {what}")).collect();
    let what = format!("without a configuration file, this is missing:\n{}", lines.join("\n"));
    Err(CommandError::usage(what).advise("add it, or name a file with --config"))
}

/// The decision point of a gateway that forwards as well.
struct Beside {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Beside {
    async fn start(gateway: &GatewayService, decision: &Decision) -> Result<Self, CommandError> {
        let listener = bind(decision.listen).await?;
        let service = DecisionService::new(gateway, decision);
        let server =
            Server::new(listener, service, Options::new("decision")).map_err(CommandError::failed)?;
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            // Either way the other side is gone.
            let _ = stopped.await;
        };
        let address = server.local_addr();
        let server = tokio::spawn(async move {
            server.run(stopped).await;
        });
        Ok(Self { address, stop, server })
    }

    async fn stop(self) -> Result<(), CommandError> {
        drop(self.stop);
        self.server.await.map_err(CommandError::failed)
    }
}
