//! `keybound agent`

use super::agent_logins;
use super::agent_place::{Listener, PlaceArgs};
use crate::error::CommandError;
use crate::output;
use crate::profile::Profiles;
use crate::server::{NetworkArgs, SecretArgs};
use crate::{places, shell};
use clap::{Subcommand, ValueEnum};
use keybound_client::agent::{Agent, Authority, Entrance, Others, Settings, hosts_of, token};
use keybound_client::session::Session;
use keybound_dpop::jose::crypto::sha256;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Clock, SystemClock};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long a server may take to begin its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);

const HELP: &str = "\
Examples:
  keybound login --issuer https://as.example --client-id cli --resource https://api.example
  keybound agent
    export http_proxy=http://keybound:TOKEN@127.0.0.1:8011    (it prints such lines)
    curl http://api.example/orders        # the agent calls it as https, with token and proof

  In the place of one API, for programs that take a base URL and an API key:
    keybound agent --upstream https://api.example/v1
    echo \"Authorization: Bearer $KEYBOUND_AGENT_TOKEN\" | curl -H @- http://127.0.0.1:8011/orders

  For https:// URLs, once a program trusts the agent's certificate authority:
    keybound agent ca > agent-ca.pem
    curl --cacert agent-ca.pem https://api.example/orders

Requests to the origins of the login get its token and a proof; other requests are refused. Whoever uses the agent over \
TCP shows the token that it prints; on a Unix socket (--socket) the file's permissions do that. Another login, or a \
logout, is noticed by itself, and at once at SIGHUP; SIGTERM and SIGINT stop it. docs/agent.md has recipes.";

const CA_HELP: &str = "\
Examples:
  keybound agent ca > agent-ca.pem
  SSL_CERT_FILE=agent-ca.pem python3 script.py

The certificate says that this authority can vouch for the hosts of the login's origins and their subdomains, and for \
nobody else. Its key is in a file that nobody else can read. Where the origins change, another one is made.";

/// Run a local proxy that puts token and proof into the requests of other programs
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
    Ca(Ca),
}

/// Print the certificate of the agent's own authority, which programs have to trust for https:// URLs
#[derive(Debug, clap::Args)]
#[command(after_long_help = CA_HELP)]
struct Ca {
    #[command(flatten)]
    profiles: ProfileArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ProfileArgs {
    /// The login to use, by the name of its profile; may be given more than once
    #[arg(long = "profile", env = "KEYBOUND_PROFILE", hide_env_values = true, value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Setup {
    #[command(flatten)]
    pub(super) profiles: ProfileArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Stand for this API: requests for paths of the agent go below this URL
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// What to do with requests for origins of no login
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OthersArg::Refuse)]
    others: OthersArg,
    /// Let pages of this origin call the agent like an API, with its token; may be given more than once
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    pages: Vec<String>,
    /// Keep the agent's token in a private file, so that it is the same after a restart
    #[arg(long)]
    keep_token: bool,
    /// Do not print the agent's token
    #[arg(long, requires = "keep_token")]
    quiet: bool,
    #[command(flatten)]
    pub(super) secret: SecretArgs,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OthersArg {
    /// Answer with 403
    Refuse,
    /// Pass them on with nothing added
    Pass,
}

impl Args {
    /// Whether it stays and logs.
    pub(crate) fn is_service(&self) -> bool {
        self.action.is_none()
    }
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    match args.action {
        Some(Action::Ca(ca)) => print_ca(&ca.profiles),
        None => serve(args.setup).await,
    }
}

fn print_ca(profiles: &ProfileArgs) -> Result<ExitCode, CommandError> {
    let sessions = profiles.sessions()?;
    let origins = sessions.iter().flat_map(|(_, session)| session.origins.iter());
    let now = SystemClock::start().now().unix;
    let (folder, name) = (folder()?, profiles.file_name()?);
    let (authority, is_new) =
        Authority::open(&folder, &name, &hosts_of(origins), now).map_err(CommandError::failed)?;
    if is_new {
        output::note("a new certificate authority was made; a running agent takes it up at SIGHUP\n")?;
    }
    output::data(authority.certificate_pem().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(setup: Setup) -> Result<ExitCode, CommandError> {
    let hangup = Arc::new(Notify::new());
    let hung_up = Arc::clone(&hangup);
    shell::on_hangup(move || hung_up.notify_one())?;
    let logins = setup.logins().await?;
    let listener = setup.place.listen().await?;
    let entrance = match &listener {
        Listener::Tcp(listener) => {
            Entrance::Tcp(listener.local_addr().map_err(CommandError::failed)?, setup.token()?)
        }
        Listener::Unix(..) => Entrance::Unix,
    };
    let settings = Settings {
        entrance: entrance.clone(),
        upstream: setup.upstream.clone(),
        others: if setup.others == OthersArg::Pass { Others::Pass } else { Others::Refuse },
        pages: setup.pages.clone(),
        ca_file: setup.network.ca_file.clone(),
        authority: Some((folder()?, setup.profiles.file_name()?)),
        answer_timeout: ANSWER_TIMEOUT,
    };
    let clock = Arc::new(SystemClock::start());
    let agent = Agent::new(settings, &logins.profiles, clock).map_err(CommandError::failed)?;
    let told = told(&entrance, setup.quiet);
    tokio::spawn(agent_logins::follow(setup, agent.clone(), logins, hangup));
    listener.run(agent, &told).await?;
    Ok(ExitCode::SUCCESS)
}

/// What is told at the start: lines for a shell. The one place that shows the token.
fn told(entrance: &Entrance, quiet: bool) -> String {
    let Entrance::Tcp(address, token) = entrance else { return String::new() };
    let mut lines = format!("export KEYBOUND_AGENT_URL=http://{address}\n");
    if quiet {
        return lines;
    }
    let token = token.reveal();
    lines.push_str(&format!("export KEYBOUND_AGENT_TOKEN={token}\n"));
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
        lines.push_str(&format!("export {name}=http://keybound:{token}@{address}\n"));
    }
    lines
}

/// Where the agent keeps what is its own.
fn folder() -> Result<PathBuf, CommandError> {
    Ok(places::home()?.join("agent"))
}

impl Setup {
    fn token(&self) -> Result<Secret, CommandError> {
        let token = match self.keep_token {
            true => token::kept(folder()?, &self.profiles.file_name()?),
            false => token::generate(),
        };
        token.map_err(CommandError::failed)
    }
}

impl ProfileArgs {
    /// The names, or that of the default.
    pub(super) fn names(&self) -> Result<Vec<String>, CommandError> {
        match self.names.as_slice() {
            [] => Ok(vec![Profiles::load()?.name(None)]),
            names => Ok(names.to_vec()),
        }
    }

    pub(super) fn sessions(&self) -> Result<Vec<(String, Session)>, CommandError> {
        let store = places::sessions()?;
        let load = |name: String| {
            let session = store.load(&name).map_err(|error| {
                CommandError::failed(error).advise("log in with `keybound login --issuer URL --client-id ID`")
            });
            Ok((name, session?))
        };
        self.names()?.into_iter().map(load).collect()
    }

    /// What files for these profiles are called.
    fn file_name(&self) -> Result<String, CommandError> {
        let mut names = self.names()?;
        names.sort();
        Ok(match names.as_slice() {
            [only] => only.clone(),
            several => {
                let [a, b, c, d, ..] = sha256(several.join("\n").as_bytes());
                format!("together-{:08x}", u32::from_be_bytes([a, b, c, d]))
            }
        })
    }
}
