//! Listening sockets that whoever started us has opened (`LISTEN_FDS`, as systemd does it): connections wait in them
//! while one process ends and the next begins, so that a restart loses none.

use crate::error::CommandError;
use keybound_serve::bind;
use listenfd::ListenFd;
use std::net::{self, SocketAddr};
use tokio::net::TcpListener;

/// The name of the administrators' socket (`FileDescriptorName=` of systemd).
const ADMIN: &str = "admin";

/// What we were handed; mostly nothing.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    main: Option<net::TcpListener>,
    admin: Option<net::TcpListener>,
}

impl Handed {
    /// Takes them from the environment, which then names them no more. To be called before there are threads.
    pub(crate) fn take() -> Result<Self, CommandError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut sockets = ListenFd::from_env();
        let mut handed = Self::default();
        for place in 0..sockets.len() {
            let socket = sockets.take_tcp_listener(place).map_err(|error| {
                CommandError::failed(format!("a socket of LISTEN_FDS cannot be used: {error}"))
                    .advise("hand over TCP sockets that listen: `ListenStream=` in a systemd socket unit")
            })?;
            let is_admin = names.get(place).is_some_and(|name| *name == ADMIN);
            let seat = if is_admin { &mut handed.admin } else { &mut handed.main };
            if seat.is_some() {
                return Err(CommandError::failed("LISTEN_FDS holds two sockets for one purpose")
                    .advise("hand over one to serve, and one with the name `admin` at the most"));
            }
            *seat = socket;
        }
        Ok(handed)
    }

    /// The socket to serve on: that which was handed over, else one at `address`.
    pub(crate) async fn main(&mut self, address: SocketAddr) -> Result<TcpListener, CommandError> {
        listener(self.main.take(), address).await
    }

    /// The administrators' socket, if there is to be one.
    pub(crate) async fn admin(
        &mut self,
        address: Option<SocketAddr>,
    ) -> Result<Option<TcpListener>, CommandError> {
        match (self.admin.take(), address) {
            (None, None) => Ok(None),
            (None, Some(address)) => Ok(Some(bind(address).await?)),
            (Some(socket), _) => Ok(Some(adopt(socket)?)),
        }
    }
}

async fn listener(
    handed: Option<net::TcpListener>,
    address: SocketAddr,
) -> Result<TcpListener, CommandError> {
    match handed {
        Some(socket) => adopt(socket),
        None => Ok(bind(address).await?),
    }
}

fn adopt(socket: net::TcpListener) -> Result<TcpListener, CommandError> {
    let adopted = socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket));
    adopted.map_err(|error| CommandError::failed(format!("a socket of LISTEN_FDS cannot be used: {error}")))
}
