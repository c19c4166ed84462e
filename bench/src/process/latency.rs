//! How long answers take where requests come evenly, at half of what the server can do.

use super::load::{CONNECTIONS, Connection, Request};
use keybound_bench::{Failure, measure};
use std::net::SocketAddr;
use std::time::Duration;

/// How long requests come evenly for.
const SECS: f64 = 3.0;

/// How many requests that takes.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count that is bounded")]
pub(crate) fn count(per_sec: f64) -> usize {
    (per_sec * SECS).clamp(100.0, 200_000.0) as usize
}

/// The times, in seconds, in which half of the requests and 99 of 100 were answered.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// How long requests take that come evenly, counted from when they were due: one that had to wait for the one before it
/// on its connection has waited.
pub(crate) fn times(address: SocketAddr, requests: &[Request], per_sec: f64) -> Result<Times, Failure> {
    let share = requests.len().div_ceil(CONNECTIONS).max(1);
    let between = Duration::from_secs_f64(f64::from(u32::try_from(CONNECTIONS)?) / per_sec);
    let begin = measure::wall_time() + Duration::from_millis(50);
    let mut times = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (nth, chunk) in requests.chunks(share).enumerate() {
            let first = begin + between * u32::try_from(nth)? / u32::try_from(CONNECTIONS)?;
            threads
                .push(scope.spawn(move || {
                    evenly(address, chunk, first, between).map_err(|error| error.to_string())
                }));
        }
        let mut times = Vec::new();
        for thread in threads {
            times.extend(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, Failure>(times)
    })?;
    times.sort_unstable();
    let of_100 = |nth: usize| times.get(times.len() * nth / 100).map(Duration::as_secs_f64);
    let (p50, p99) = of_100(50).zip(of_100(99)).ok_or("no answers")?;
    Ok(Times { p50, p99 })
}

/// Sends one request after the other, each at its time, and gives how long each took.
fn evenly(
    address: SocketAddr,
    requests: &[Request],
    first: Duration,
    between: Duration,
) -> Result<Vec<Duration>, Failure> {
    let mut connection = Connection::open(address)?;
    let mut due = first;
    let mut times = Vec::with_capacity(requests.len());
    for request in requests {
        measure::wait_until(due)?;
        connection.ask(request)?.expect(200)?;
        times.push(measure::wall_time().saturating_sub(due));
        due += between;
    }
    Ok(times)
}
