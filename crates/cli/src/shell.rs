//! What `serve` and `gateway` have in common: listeners, health, metrics, readiness, an orderly end.

use crate::error::CommandError;
use crate::handed::Handed;
use crate::output;
use keybound_serve::{
    AdminPage, Handler, Metrics, Options, Readiness, ResponseBody, Server, Tls, TlsFiles, admin_service,
    stop_signal,
};
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Where and how a service runs.
pub(crate) struct Place {
    /// What its log lines call it.
    pub(crate) name: &'static str,
    /// Sockets that were opened for it.
    pub(crate) handed: Handed,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Where health and metrics are, if anywhere.
    pub(crate) admin: Option<SocketAddr>,
    /// TLS, unless something in front of it does that.
    pub(crate) tls: Option<Tls>,
    /// The registry of its own metrics, to which the listener's are added.
    pub(crate) registry: Registry,
    /// What must hold for it to be ready.
    pub(crate) readiness: Readiness,
    /// What administrators can see of it besides.
    pub(crate) pages: Vec<AdminPage>,
    /// What the line says that tells that it accepts.
    pub(crate) ready: String,
}

/// TLS from files that are read again at SIGHUP.
pub(crate) fn tls(certificate: &Path, key: &Path) -> Result<Tls, CommandError> {
    let files = TlsFiles { certificate: certificate.to_owned(), key: key.to_owned() };
    let tls = Tls::load(files)?;
    tokio::spawn(tls.reload_on_hangup().map_err(signals)?);
    Ok(tls)
}

/// Does that at each SIGHUP, beside everything else. The handler is in place when this returns.
pub(crate) fn on_hangup(work: impl Fn() + Send + Sync + 'static) -> Result<(), CommandError> {
    let mut hangups = signal(SignalKind::hangup()).map_err(signals)?;
    let work = Arc::new(work);
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let work = Arc::clone(&work);
            if tokio::task::spawn_blocking(move || work()).await.is_err() {
                tracing::error!("what SIGHUP asked for has failed");
            }
        }
    });
    Ok(())
}

/// Runs the service until SIGTERM or SIGINT. Says so in one line on stdout once requests are accepted.
pub(crate) async fn run<S, B>(place: Place, service: S) -> Result<(), CommandError>
where
    S: Handler<B>,
    B: ResponseBody,
{
    let stop = stop_signal().map_err(signals)?;
    let Place { name, mut handed, listen, admin, tls, mut registry, readiness, pages, ready } = place;
    let metrics = Metrics::register(&mut registry);
    let options = Options { tls, metrics, ..Options::new(name) };
    let server = Server::new(handed.main(listen).await?, service, options).map_err(CommandError::failed)?;
    let (stop_admin, admin_stopped) = oneshot::channel::<()>();
    let mut ready = format!("ready {ready} listen={}", server.local_addr());
    let admin = match handed.admin(admin).await? {
        Some(listener) => {
            let service = admin_service(Arc::new(registry), readiness.clone()).with_pages(pages);
            let server =
                Server::new(listener, service, Options::new("admin")).map_err(CommandError::failed)?;
            ready.push_str(&format!(" admin={}", server.local_addr()));
            let stopped = async {
                // Either way the other side is gone.
                let _ = admin_stopped.await;
            };
            Some(tokio::spawn(async move { server.run(stopped).await }))
        }
        None => None,
    };
    output::line(&ready)?;
    let leave = async {
        let signal = stop.await;
        tracing::info!(signal, "stopping");
        readiness.leave();
    };
    server.run(leave).await;
    drop(stop_admin);
    if let Some(admin) = admin {
        admin.await.map_err(CommandError::failed)?;
    }
    Ok(())
}

fn signals(error: std::io::Error) -> CommandError {
    CommandError::failed(format!("signals cannot be received: {error}"))
}
