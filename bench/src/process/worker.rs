//! Clients under test, as processes: told how many requests to send, and measured while they do.

use super::load::{Load, load_of};
use super::server::{LOAD_CORE, SERVER_CORE, cpu_time_of};
use keybound_bench::{Failure, measure};
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A client that runs, on the core of what is measured, and ends with this.
pub(crate) struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    said: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts it and waits until it says `ready`: then it has sent a first request.
    pub(crate) fn start(mut command: Command) -> Result<Self, Failure> {
        measure::pin(SERVER_CORE)?;
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        measure::pin(LOAD_CORE)?;
        let mut child = child.map_err(|error| format!("{command:?}: {error}"))?;
        let (orders, said) = child.stdin.take().zip(child.stdout.take()).ok_or("no stdin and stdout")?;
        let mut worker = Self { child, orders: Some(orders), said: BufReader::new(said).lines() };
        worker.wait_for("ready")?;
        Ok(worker)
    }

    /// Has it send that many requests, so many at once.
    pub(crate) fn send(&mut self, count: usize, at_once: usize) -> Result<Load, Failure> {
        let id = self.child.id();
        load_of(
            || cpu_time_of(id),
            count,
            || {
                let orders = self.orders.as_mut().ok_or("no stdin")?;
                writeln!(orders, "{count} {at_once}")?;
                self.wait_for("done")
            },
        )
    }

    fn wait_for(&mut self, word: &str) -> Result<(), Failure> {
        match self.said.next().transpose()? {
            Some(line) if line == word => Ok(()),
            other => Err(format!("a client said {other:?}, not `{word}`").into()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It ends with its input, unless it hangs.
        self.orders = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
