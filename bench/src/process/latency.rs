//! How long answers take where requests come evenly, at half of what a server can do. What is seen is cut into many short
//! slices, and their median counts: a host that takes a core away for some milliseconds, as those of virtual machines do
//! every second or so, then spoils some slices and not the figure. What all requests saw is beside it.

use super::load::{CONNECTIONS, Connection, Request};
use super::server::Server;
use super::{ROUNDS, alone, median_of};
use crate::table::{Figure, Goal, Row};
use keybound_bench::{Failure, measure};
use std::time::Duration;

/// How long a slice is.
const SLICE: Duration = Duration::from_millis(200);
/// How many there are of a server in a round.
const SLICES: u32 = 15;
/// How long requests come before, until everybody is awake who was not.
const LEAD: Duration = SLICE;

/// How long the requests of a slice took, the quickest first.
pub(crate) struct Times(Vec<Duration>);

/// A request that was answered: when it was due, from the end of the lead, and how long it took.
struct Done {
    due: Duration,
    took: Duration,
}

/// Connections to one server, which stay open: to open them is in no slice.
struct Callers(Vec<Connection>);

/// Sends requests at that pace to each of these servers in turn, the same ones, and gives how long each server took, slice
/// by slice. `requests` makes so many that were not sent before.
pub(crate) fn slices<const N: usize>(
    servers: [&Server; N],
    per_sec: f64,
    mut requests: impl FnMut(usize) -> Result<Vec<Request>, Failure>,
) -> Result<Vec<[Times; N]>, Failure> {
    let mut all = Vec::with_capacity(N);
    for server in servers {
        all.push(Callers::open(server)?);
    }
    let mut slices = Vec::new();
    for _ in 0..ROUNDS {
        let requests = requests(count(per_sec))?;
        let done: Vec<Vec<Done>> =
            all.iter_mut().map(|callers| callers.run(&requests, per_sec)).collect::<Result<_, _>>()?;
        for nth in 0..SLICES {
            let slice: Vec<Times> = done.iter().map(|done| Times::of_slice(done, nth)).collect();
            slices.push(slice.try_into().map_err(|_| "a server was left out")?);
        }
    }
    Ok(slices)
}

/// What a server adds to what a bare one takes, which is the first of the two.
pub(crate) fn added(slices: &[[Times; 2]], p50: Goal, p99: Goal) -> [Row; 3] {
    let row = |what, nth: usize, goal| {
        let limit = Figure::Secs(median_of(slices, |[bare, _]| bare.of_100(nth)));
        let ours = Figure::Secs(median_of(slices, |[bare, ours]| ours.of_100(nth) - bare.of_100(nth)));
        Row { limit: Some(limit), ..alone(what, ours, goal) }
    };
    let [bare, ours] = [0, 1].map(|side| Times::of_all(slices, side).of_100(99));
    [
        row("p50 at half of the saturation load, over the bare proxy", 50, p50),
        row("p99 at half of the saturation load, over the bare proxy", 99, p99),
        Row {
            limit: Some(Figure::Secs(bare)),
            ..alone("  the same, of all requests in one", Figure::Secs(ours - bare), Goal::None)
        },
    ]
}

impl Times {
    /// The time, in seconds, in which so many of 100 were answered.
    pub(crate) fn of_100(&self, nth: usize) -> f64 {
        self.0.get(self.0.len() * nth / 100).map_or(f64::NAN, Duration::as_secs_f64)
    }

    /// Those of one side in all slices.
    fn of_all<const N: usize>(slices: &[[Self; N]], side: usize) -> Self {
        let of_side = slices.iter().filter_map(|slice| slice.get(side));
        Self::of(of_side.flat_map(|times| &times.0).copied().collect())
    }

    /// Those that were due in that slice.
    fn of_slice(done: &[Done], nth: u32) -> Self {
        let span = SLICE * nth..SLICE * (nth + 1);
        Self::of(done.iter().filter(|done| span.contains(&done.due)).map(|done| done.took).collect())
    }

    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }
}

impl Callers {
    fn open(server: &Server) -> Result<Self, Failure> {
        Ok(Self((0..CONNECTIONS).map(|_| Connection::open(server.address)).collect::<Result<_, _>>()?))
    }

    /// How long requests take that come evenly, counted from when they were due: one that had to wait for the one before
    /// it on its connection has waited. Those of the lead are left out.
    fn run(&mut self, requests: &[Request], per_sec: f64) -> Result<Vec<Done>, Failure> {
        let share = requests.len().div_ceil(CONNECTIONS).max(1);
        let between = Duration::from_secs_f64(f64::from(u32::try_from(CONNECTIONS)?) / per_sec);
        let mut due = measure::wall_time() + Duration::from_millis(50);
        let counted = due + LEAD;
        let mut all = std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for (connection, requests) in self.0.iter_mut().zip(requests.chunks(share)) {
                let first = due;
                due += between / u32::try_from(CONNECTIONS)?;
                let mut work = move || evenly(connection, requests, first, between);
                threads.push(scope.spawn(move || work().map_err(|error| error.to_string())));
            }
            let mut all = Vec::with_capacity(requests.len());
            for thread in threads {
                all.extend(thread.join().map_err(|_| "a thread panicked")??);
            }
            Ok::<_, Failure>(all)
        })?;
        all.retain(|done| done.due >= counted);
        all.iter_mut().for_each(|done| done.due -= counted);
        Ok(all)
    }
}

/// How many requests a server gets in a round.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count that is bounded")]
fn count(per_sec: f64) -> usize {
    (per_sec * (LEAD + SLICE * SLICES).as_secs_f64()).clamp(1_000.0, 200_000.0) as usize
}

/// Sends one request after the other, each at its time.
fn evenly(
    connection: &mut Connection,
    requests: &[Request],
    mut due: Duration,
    between: Duration,
) -> Result<Vec<Done>, Failure> {
    let mut all = Vec::with_capacity(requests.len());
    for request in requests {
        measure::wait_until(due)?;
        connection.ask(request)?.expect(200)?;
        all.push(Done { due, took: measure::wall_time().saturating_sub(due) });
        due += between;
    }
    Ok(all)
}
