//! Peers that run on Node, with the packages and the Node that `cargo xtask setup` has installed.

use super::server::{Server, free_address};
use keybound_bench::Failure;
use std::ffi::OsStr;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A script of ours that serves with a package of theirs, or calls with it. It is told where the package is; one that
/// serves, its port.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    /// The file of the package, below `node_modules`.
    pub(crate) package: &'static str,
}

impl Script {
    /// Starts it; `beside` is where this program is, and `more` what else it is told.
    pub(crate) fn start(&self, beside: &Path, folder: &Path, more: &[&OsStr]) -> Result<Server, Failure> {
        let (mut command, address): (_, SocketAddr) = (self.command(beside, folder)?, free_address()?);
        command.arg(address.port().to_string()).args(more);
        command.stderr(File::create(folder.join(format!("{}.log", self.name)))?);
        Server::start(command, address)
    }

    /// How to start it; it is told where the package is, and what is added.
    pub(crate) fn command(&self, beside: &Path, folder: &Path) -> Result<Command, Failure> {
        let packages = beside.parent().ok_or("no folder")?.join("peers/npm/node_modules");
        let entry = packages.join(self.package);
        let node = ["x64", "arm64"].map(|arch| packages.join(format!("node-linux-{arch}/bin/node")));
        let node = node.into_iter().find(|node| node.exists()).unwrap_or_else(|| PathBuf::from("node"));
        if !entry.exists() {
            return Err(format!("{} is not there: `cargo xtask setup` installs it", entry.display()).into());
        }
        let script = folder.join(self.name);
        std::fs::write(&script, self.text)?;
        let mut command = Command::new(node);
        command.arg(script).arg(entry).env("NODE_ENV", "production");
        Ok(command)
    }
}
