//! How long answers take where requests come evenly, at half of what the server can do.

use super::load::{CONNECTIONS, Connection, Request};
use keybound_bench::{Failure, measure};
use std::net::SocketAddr;
use std::time::Duration;

/// The time in which 99 of 100 requests were answered, counted from when they were due: one that had to wait for the one
/// before it on its connection has waited.
pub(super) fn p99_secs(address: SocketAddr, requests: &[Request], per_sec: f64) -> Result<f64, Failure> {
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
    let p99 = times.get(times.len() * 99 / 100).ok_or("no answers")?;
    Ok(p99.as_secs_f64())
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
