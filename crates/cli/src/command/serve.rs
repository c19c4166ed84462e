//! `keybound serve`

use super::ConfigArg;
use crate::adapter::Routes;
use crate::error::CommandError;
use crate::handed::Handed;
use crate::shell::{self, Place};
use keybound_dpop::time::{Clock, SystemClock};
use keybound_provider::config::ConfigFile;
use keybound_provider::provider::Provider;
use keybound_provider::registry::{sync_clients, sync_users};
use keybound_provider::service::{maintain, service};
use keybound_provider::store::Store;
use keybound_serve::Readiness;
use prometheus_client::registry::Registry;
use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

const HELP: &str = "\
Examples:
  keybound serve --config keybound.toml

  A configuration to begin with; all keys but `issuer` may be left out:
    issuer = \"http://127.0.0.1:8080\"
    listen = \"127.0.0.1:8080\"
    admin  = \"127.0.0.1:9090\"     # /livez, /readyz, /metrics
    store  = \"keybound.sqlite\"
    [[resource]]
    identifier = \"https://api.example\"
    scopes = [\"read\"]

  Then, while it runs:
    keybound user add alice
    keybound client add --native --redirect-uri http://127.0.0.1/callback

Once requests are accepted, one line on stdout says so: `ready`, the issuer, the discovery URL, and where it listens. \
SIGTERM and SIGINT stop it after open requests are answered; SIGHUP reads the TLS files again.";

/// Run the provider: sign-in, tokens bound to keys, OpenID Connect
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Listen here, whatever the file says
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

pub(crate) async fn run(args: Args, handed: Handed) -> Result<ExitCode, CommandError> {
    let mut file = args.config.load()?;
    // Before anything is checked: what is safe depends on where it listens.
    file.listen = args.listen.unwrap_or(file.listen);
    let _seat = take_seat(&file.store)?;
    let provider = open(&file).await?;
    let tls = file.tls.as_ref().map(|tls| shell::tls(&tls.certificate, &tls.key)).transpose()?;
    let issuer = &provider.config.issuer;
    let mut registry = Registry::default();
    provider.metrics.register(&mut registry);
    let place = Place {
        name: "provider",
        handed,
        listen: file.listen,
        admin: file.admin,
        tls,
        registry,
        readiness: readiness(&provider),
        pages: Vec::new(),
        ready: format!("issuer={} discovery={}", issuer.as_str(), issuer.openid_metadata_url()),
    };
    let routes = Routes(service(&provider));
    tokio::spawn(maintain(provider));
    shell::run(place, routes).await?;
    Ok(ExitCode::SUCCESS)
}

/// One provider at a time over a store: what was used is remembered in its process, so that a second one would take a
/// copy (OPS-REP-05). Given up when the file is closed, however the process ends.
fn take_seat(store: &Path) -> Result<File, CommandError> {
    let mut name = store.to_owned().into_os_string();
    name.push(".serving");
    let place = Path::new(&name);
    let failed = |error: &dyn std::fmt::Display| {
        CommandError::failed(format!("{} cannot be locked: {error}", place.display()))
            .advise("the folder of the store must be writable; see `store` in the configuration")
    };
    let seat = File::create(place).map_err(|error| failed(&error))?;
    match seat.try_lock() {
        Ok(()) => Ok(seat),
        Err(TryLockError::WouldBlock) => {
            let what = format!("another provider runs over {} (OPS-REP-05)", store.display());
            let advice = "proofs that were used are remembered by one process: stop the other one, or give this one a \
                          `store` of its own";
            Err(CommandError::failed(what).advise(advice))
        }
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}

/// The provider over its store, after the clients and users of the files were taken over.
async fn open(file: &ConfigFile) -> Result<Arc<Provider>, CommandError> {
    let config = file.check()?;
    let store = Store::open(&file.store)?;
    let clock = SystemClock::start();
    let now = clock.unix();
    if let Some(path) = &file.clients {
        let count = sync_clients(&store, config.profile, path, now).await?;
        tracing::info!(count, file = %path.display(), "clients read");
    }
    if let Some(path) = &file.users {
        let count = sync_users(&store, path, now).await?;
        tracing::info!(count, file = %path.display(), "users read");
    }
    Ok(Provider::open(config, store, Arc::new(clock)).await?)
}

fn readiness(provider: &Arc<Provider>) -> Readiness {
    let store = provider.store.clone();
    let store_answers = move || {
        let store = store.clone();
        async move { store.version().await.map(|_| ()).map_err(|fault| fault.reason().to_owned()) }
    };
    let provider = Arc::clone(provider);
    let proofs_are_taken = move || {
        let settled = provider.is_settled();
        async move { settled.then_some(()).ok_or_else(|| "just started, and nonces are off".to_owned()) }
    };
    Readiness::builder().check("store", store_answers).check("proofs", proofs_are_taken).build()
}
