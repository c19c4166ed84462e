//! Where the agent listens: a loopback address, or a Unix socket that nobody else can open.

use crate::error::CommandError;
use crate::output;
use keybound_client::agent::Agent;
use keybound_client::private_dir::PrivateDir;
use keybound_serve::{Limits, Listen, Options, Server, bind, stop_signal};
use std::fs::Permissions;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// How long callers have to finish when the agent stops.
const DRAIN: Duration = Duration::from_secs(5);
/// A program on this machine may take its time.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct PlaceArgs {
    /// Listen on this loopback address
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8011")]
    listen: SocketAddr,
    /// Listen on a Unix socket, in a folder that is nobody else's
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
}

/// What it listens on.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl PlaceArgs {
    pub(super) async fn listen(&self) -> Result<Listener, CommandError> {
        if let Some(path) = &self.socket {
            return Ok(Listener::Unix(unix(path).await?, path.clone()));
        }
        if !self.listen.ip().is_loopback() {
            return Err(CommandError::usage(format!("{} is no loopback address", self.listen))
                .advise("listen on 127.0.0.1 or [::1]: whoever reaches the agent acts with your tokens"));
        }
        Ok(Listener::Tcp(bind(self.listen).await?))
    }
}

/// A socket with mode 0600 in a folder with mode 0700, so that nobody else can open it even before its own mode is set.
async fn unix(path: &Path) -> Result<UnixListener, CommandError> {
    let failed = |error: std::io::Error| CommandError::failed(format!("{}: {error}", path.display()));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = PrivateDir::open(folder.unwrap_or(Path::new(".")), ".sock").map_err(CommandError::failed)?;
    // Of two that find a dead socket, the second must not remove that of the first.
    let _turn = folder.lock("agent-sockets").map_err(CommandError::failed)?;
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if !is_dead(path).await {
                let what =
                    format!("{} is there already, and is no socket that was left behind", path.display());
                return Err(
                    CommandError::failed(what).advise("stop the agent that uses it, or choose another file")
                );
            }
            std::fs::remove_file(path).map_err(failed)?;
            UnixListener::bind(path).map_err(failed)?
        }
        bound => bound.map_err(failed)?,
    };
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Whether a file is the socket of a process that did not end in order. One that is merely busy does not refuse.
async fn is_dead(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let refused = |error: std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).await.is_err_and(refused)
}

impl Listener {
    /// Runs the agent until SIGTERM or SIGINT. Says so in one line on stdout once requests are accepted, and then what
    /// else is to be told.
    pub(super) async fn run(self, agent: Agent, told: &str) -> Result<(), CommandError> {
        match self {
            Self::Tcp(listener) => run(listener, agent, told, || {}).await,
            Self::Unix(listener, path) => {
                // Whoever comes next makes a socket of its own, while what is open here still ends.
                let close = move || drop(std::fs::remove_file(path));
                run(listener, agent, told, close).await
            }
        }
    }
}

/// `close` is done when it is told to stop, while it is still the one that listens.
async fn run<L: Listen>(
    listener: L,
    agent: Agent,
    told: &str,
    close: impl FnOnce(),
) -> Result<(), CommandError> {
    let stop = stop_signal()
        .map_err(|error| CommandError::failed(format!("signals cannot be received: {error}")))?;
    let place = listener.place().map_err(CommandError::failed)?;
    let limits = Limits { body_pause: PATIENCE, write_pause: PATIENCE, drain: DRAIN, ..Limits::default() };
    let options = Options { limits, ..Options::new("agent") };
    let server = Server::new(listener, agent, options).map_err(CommandError::failed)?;
    output::line(&format!("ready listen={place}\n{told}"))?;
    let leave = async {
        let signal = stop.await;
        close();
        tracing::info!(signal, "stopping");
    };
    server.run(leave).await;
    Ok(())
}
