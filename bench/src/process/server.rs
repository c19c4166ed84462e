//! The processes under test: on one core, on a free port, and how much CPU time and memory they take.

use keybound_bench::{Failure, measure};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The core of what is measured.
pub(crate) const SERVER_CORE: usize = 0;
/// The core of whoever loads it.
pub(crate) const LOAD_CORE: usize = 1;

/// A server that runs, and ends with this.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// Does something itself where the servers are.
pub(crate) fn on_server_core<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    measure::pin(SERVER_CORE)?;
    let done = work();
    measure::pin(LOAD_CORE)?;
    done
}

/// An address that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The CPU time, of programs and of the system for them, that a process has had: utime and stime of proc(5).
pub(crate) fn cpu_time_of(id: u32) -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, after_name) = stat.rsplit_once(')').ok_or("no name in stat")?;
    let ticks: Vec<u64> =
        after_name.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    let millis = ticks.iter().sum::<u64>() * 1000 / clock_ticks_per_second();
    Ok(Duration::from_millis(millis))
}

impl Server {
    /// Starts it on the core of the servers, which all of its threads keep, and waits until it says `ready`. A runtime
    /// that has a thread for each core then has one.
    pub(crate) fn start(command: Command, address: SocketAddr) -> Result<Self, Failure> {
        Self::start_on(SERVER_CORE, command, address)
    }

    /// The same for one that is not measured itself, on another core.
    pub(crate) fn start_on(core: usize, mut command: Command, address: SocketAddr) -> Result<Self, Failure> {
        measure::pin(core)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        measure::pin(LOAD_CORE)?;
        let mut server = Self { child: child.map_err(|error| format!("{command:?}: {error}"))?, address };
        let stdout = server.child.stdout.take().ok_or("no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        loop {
            let line = lines.next().ok_or_else(|| format!("{command:?} ended before it was ready"))??;
            if line.starts_with("ready") {
                return Ok(server);
            }
        }
    }

    /// The CPU time that it has had.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Failure> {
        cpu_time_of(self.child.id())
    }

    /// The memory that it has in RAM.
    pub(crate) fn resident_octets(&self) -> Result<u64, Failure> {
        measure::resident_octets(&self.child.id().to_string())
    }

    /// What it had of it at the most since [`Self::forget_peak`].
    pub(crate) fn peak_octets(&self) -> Result<u64, Failure> {
        measure::peak_octets(&self.child.id().to_string())
    }

    pub(crate) fn forget_peak(&self) -> Result<(), Failure> {
        measure::forget_peak(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(id, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
