//! Long bodies, one at a time: down from the API, and up to it.

use super::caller::{Caller, PATH};
use crate::process::answering::{LONG, LONG_LEN};
use crate::process::load::{Connection, Request};
use crate::process::prover::Place;
use crate::process::server::Server;
use keybound_bench::{Failure, measure};
use std::time::Duration;

/// The way of a body.
#[derive(Clone, Copy)]
pub(super) enum Way {
    Down,
    Up,
}

/// What one long body cost whoever passed it on.
#[derive(Clone, Copy)]
pub(super) struct Passage {
    cpu: Duration,
    /// By how many octets its memory was larger at some time than before.
    pub(super) growth: f64,
}

impl Passage {
    /// Octets for each second of CPU time.
    pub(super) fn per_cpu_sec(self) -> f64 {
        measure::octets(LONG_LEN) / self.cpu.as_secs_f64()
    }
}

impl Way {
    /// The head of the request that has the body, or asks for it.
    pub(super) fn head(self, caller: &mut Caller, place: &Place) -> Result<Request, Failure> {
        match self {
            Self::Down => caller.head(place, "GET", LONG, ""),
            Self::Up => caller.head(place, "POST", PATH, &format!("Content-Length: {LONG_LEN}\r\n")),
        }
    }

    /// Has a server pass the body on.
    pub(super) fn pass(self, head: &Request, server: &Server) -> Result<Passage, Failure> {
        let mut connection = Connection::open(server.address)?;
        let before = server.resident_octets()?;
        server.forget_peak()?;
        let cpu = server.cpu_time()?;
        connection.send(head)?;
        match self {
            Self::Down => connection.skip_answer(LONG_LEN)?,
            Self::Up => {
                connection.send_long(LONG_LEN)?;
                connection.receive()?.expect(200)?;
            }
        }
        let cpu = server.cpu_time()?.saturating_sub(cpu);
        Ok(Passage { cpu, growth: measure::octets(server.peak_octets()?) - measure::octets(before) })
    }
}
