//! `keybound gateway`

use crate::error::CommandError;
use crate::shell::{self, Place};
use keybound_dpop::time::SystemClock;
use keybound_gateway::config::Decision;
use keybound_gateway::{Config, DecisionService, GatewayService, service};
use keybound_serve::{Options, Readiness, Server, bind};
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const HELP: &str = "\
Examples:
  keybound gateway --config gateway.toml

  A configuration to begin with:
    public_url = \"https://api.example\"      # as callers know the API
    upstream   = \"http://127.0.0.1:3000\"    # where it really is
    issuer     = \"https://as.example\"       # whose tokens are taken
    listen     = \"127.0.0.1:8443\"
    [[route]]
    path   = \"/orders\"
    scopes = [\"orders\"]

With nginx, Caddy, Traefik, HAProxy or Envoy in front of the API already, leave `upstream` out and let them ask: \
`[decision]`, docs/decision-point.md.

Works with the tokens of any authorization server. The API behind it needs to know nothing of tokens and must not be \
reachable in any other way. Once requests are accepted, one line on stdout says so: `ready`, the public URL, and where \
it listens. SIGTERM and SIGINT stop it after open requests are answered; SIGHUP reads the TLS files again.";

/// Run the guard in front of an HTTP API, in whatever language that is
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// The configuration file, in TOML
    #[arg(long, env = "KEYBOUND_GATEWAY_CONFIG", value_name = "FILE", default_value = "gateway.toml")]
    config: PathBuf,
    /// Listen here, whatever the file says
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let config = Config::read(&args.config)?;
    let service = service(&config, Arc::new(SystemClock::start()))?;
    let mut place = Place {
        name: "gateway",
        listen: args.listen.unwrap_or(config.listen),
        admin: config.admin,
        tls: config.tls.as_ref().map(|tls| shell::tls(&tls.certificate, &tls.key)).transpose()?,
        registry: Registry::default(),
        readiness: Readiness::builder().build(),
        ready: format!("url={}{}", config.public_url.origin(), config.public_url.prefix()),
    };
    match &config.decision {
        Some(decision) if !config.forwards() => {
            (place.name, place.listen, place.tls) =
                ("decision", args.listen.unwrap_or(decision.listen), None);
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
