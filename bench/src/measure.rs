//! The stopwatch: CPU time of one thread on one core, ours and the limit in turn, the median of the rounds.

use crate::Failure;
use rustix::thread::{CpuSet, clock_nanosleep_absolute, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::sync::OnceLock;
use std::time::Duration;

/// Rounds; the median counts.
const ROUNDS: usize = 9;
/// What each side gets of CPU time in a round, at the least.
const ROUND: Duration = Duration::from_millis(200);
/// Steps between two looks at the clock, after which it is the other side's turn.
pub const BATCH: usize = 32;

/// Some steps, and how long they took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    steps: usize,
    spent: Duration,
}

/// One side of a race. Each call does a batch of steps and times it; what it sets up before is not timed.
pub type Side<'a> = dyn FnMut() -> Result<Done, Failure> + 'a;

/// Two speeds, measured in turn so that both saw the same machine.
#[derive(Clone, Copy, Debug)]
pub struct Race {
    /// What the limit does in a second.
    pub limit_per_sec: f64,
    /// What we do in a second.
    pub ours_per_sec: f64,
    /// Ours over the limit: the median of the rounds' ratios.
    pub ratio: f64,
}

/// Times so many steps.
///
/// # Errors
/// Where they fail.
pub fn timed(steps: usize, work: impl FnOnce() -> Result<(), Failure>) -> Result<Done, Failure> {
    let start = thread_time();
    work()?;
    Ok(Done { steps, spent: thread_time().saturating_sub(start) })
}

/// Lets the limit and ours run in turn, batch by batch.
///
/// # Errors
/// Where a step fails.
pub fn race(limit: &mut Side<'_>, ours: &mut Side<'_>) -> Result<Race, Failure> {
    let (mut limits, mut speeds, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    round(limit, ours)?;
    for _ in 0..ROUNDS {
        let (of_limit, of_ours) = round(limit, ours)?;
        limits.push(of_limit.per_sec());
        speeds.push(of_ours.per_sec());
        ratios.push(of_ours.per_sec() / of_limit.per_sec());
    }
    Ok(Race { limit_per_sec: median(limits), ours_per_sec: median(speeds), ratio: median(ratios) })
}

/// One round: the side that has had less time is next, so that a change of the machine's speed meets both.
fn round(limit: &mut Side<'_>, ours: &mut Side<'_>) -> Result<(Done, Done), Failure> {
    let (mut of_limit, mut of_ours) = (Done::default(), Done::default());
    while of_limit.spent < ROUND || of_ours.spent < ROUND {
        if of_limit.spent <= of_ours.spent {
            of_limit.add(limit()?);
        } else {
            of_ours.add(ours()?);
        }
    }
    Ok((of_limit, of_ours))
}

impl Done {
    fn add(&mut self, more: Self) {
        self.steps += more.steps;
        self.spent += more.spent;
    }

    /// How many steps a second.
    #[must_use]
    pub fn per_sec(self) -> f64 {
        per_sec(self.steps, self.spent)
    }
}

/// How many steps of one kind a second of CPU time has, without a rival.
///
/// # Errors
/// Where a step fails.
pub fn speed(side: &mut Side<'_>) -> Result<f64, Failure> {
    let mut done = Done::default();
    while done.spent < ROUND {
        done.add(side()?);
    }
    Ok(done.per_sec())
}

/// The middle one of some numbers.
#[must_use]
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How many of something that is a second.
#[must_use]
pub fn per_sec(count: usize, spent: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / spent.as_secs_f64()
}

/// The CPU time that this thread has had. Time in which another one had the core does not count.
#[must_use]
pub fn thread_time() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// The CPU time that all threads of this process have had.
#[must_use]
pub fn process_time() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// The time on the wall, from some point in the past.
#[must_use]
pub fn wall_time() -> Duration {
    read(ClockId::Monotonic)
}

/// Waits until the wall shows that time.
///
/// # Errors
/// Where the system refuses.
pub fn wait_until(time: Duration) -> Result<(), Failure> {
    let until = Timespec { tv_sec: i64::try_from(time.as_secs())?, tv_nsec: time.subsec_nanos().into() };
    Ok(clock_nanosleep_absolute(ClockId::Monotonic, &until)?)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// How much memory a process has in RAM; `self` is this one.
///
/// # Errors
/// Where there is no such process.
pub fn resident_octets(id: &str) -> Result<u64, Failure> {
    status_octets(id, "VmRSS:")
}

/// How much it had at the most since [`forget_peak`].
///
/// # Errors
/// Where there is no such process.
pub fn peak_octets(id: &str) -> Result<u64, Failure> {
    status_octets(id, "VmHWM:")
}

/// Begins anew to watch how much memory a process has at the most (proc(5), `clear_refs`).
///
/// # Errors
/// Where there is no such process, or it is not ours.
pub fn forget_peak(id: &str) -> Result<(), Failure> {
    Ok(std::fs::write(format!("/proc/{id}/clear_refs"), "5")?)
}

/// Octets as a number to reckon with, to the KiB.
#[must_use]
pub fn octets(number: u64) -> f64 {
    u32::try_from(number / 1024).map_or(f64::NAN, f64::from) * 1024.0
}

fn status_octets(id: &str, name: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("not in the status")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

/// Keeps this thread, and those that it starts, on one core: the `nth` of those that the process began with, counted
/// round.
///
/// # Errors
/// Where the system does not say or refuses.
pub fn pin(nth: usize) -> Result<(), Failure> {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    let cores = match CORES.get() {
        Some(cores) => cores,
        None => {
            let allowed = sched_getaffinity(None)?;
            CORES.get_or_init(|| (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect())
        }
    };
    let core = cores.get(nth % cores.len().max(1)).ok_or("no core to run on")?;
    let mut one = CpuSet::new();
    one.set(*core);
    Ok(sched_setaffinity(None, &one)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_one_counts() {
        assert!((median(vec![9.0, 1.0, 5.0]) - 5.0).abs() < f64::EPSILON);
        assert!((per_sec(3, Duration::from_millis(1500)) - 2.0).abs() < f64::EPSILON);
    }
}
