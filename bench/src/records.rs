//! The record of used proofs: how many in a second, on one thread and on two, and how much memory each takes.

use crate::table::{Figure, Goal, Row};
use keybound_bench::Failure;
use keybound_bench::measure::{median, per_sec, pin, resident_octets, thread_time};
use keybound_dpop::replay::{MemoryLog, Recorded, ReplayEntry, ReplayKey};
use keybound_dpop::time::{Now, UnixTime};
use std::process::Command;
use std::time::Duration;

/// Told this word alone, the program fills a log and prints how much memory that took.
pub(crate) const HOLD: &str = "--hold-records";

const RECORDS: u64 = 2_000_000;
const ROUNDS: usize = 9;
/// How far apart the ends of the records' lives are: as nonces of four steps of a minute have them.
const ENDS_SECS: [u64; 4] = [60, 120, 180, 240];
const NOW: Now = Now { unix: UnixTime::from_secs(1_800_000_000), monotonic: Duration::from_secs(5) };

pub(crate) fn rows() -> Result<Vec<Row>, Failure> {
    let one: Vec<f64> = (0..ROUNDS).map(|_| on_threads(1)).collect::<Result<_, _>>()?;
    let two: Vec<f64> = (0..ROUNDS).map(|_| on_threads(2)).collect::<Result<_, _>>()?;
    let row = |what, ours, goal| Row { what, limit: None, ours, ratio: None, goal };
    Ok(vec![
        row("recorded in a second, one thread", Figure::PerSec(median(one)), Goal::PerSec(3e6)),
        row("recorded in a second, two threads, one log", Figure::PerSec(median(two)), Goal::None),
        row("memory of a record, of 2 million", Figure::Bytes(memory_of_one()?), Goal::Bytes(64.0)),
    ])
}

/// Fills a new log from so many threads, each on its own core where there is one, and returns the records in a second
/// of the slowest one's CPU time.
fn on_threads(count: u64) -> Result<f64, Failure> {
    let log = MemoryLog::new(usize::try_from(RECORDS)?, NOW);
    let share = RECORDS / count;
    let log = &log;
    let spent = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|nth| {
                scope.spawn(move || {
                    pin(usize::try_from(nth).unwrap_or(0)).map_err(|error| error.to_string())?;
                    let start = thread_time();
                    fill(log, nth * share..(nth + 1) * share)?;
                    Ok::<_, String>(thread_time().saturating_sub(start))
                })
            })
            .collect();
        let mut slowest = Duration::ZERO;
        for thread in threads {
            slowest = slowest.max(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, String>(slowest)
    })?;
    Ok(per_sec(usize::try_from(RECORDS)?, spent))
}

fn fill(log: &MemoryLog, numbers: std::ops::Range<u64>) -> Result<(), String> {
    for number in numbers {
        let recorded = log.record(entry(number), NOW);
        if recorded != Recorded::Fresh {
            return Err(format!("record {number}: {recorded:?}"));
        }
    }
    Ok(())
}

/// An entry like those that a MAC makes: uniform bits, no two alike.
fn entry(number: u64) -> ReplayEntry {
    let key = u128::from(mixed(number)) << 64 | u128::from(mixed(number | 1 << 63));
    let nth = usize::try_from(number % 4).unwrap_or(0);
    let until = NOW.unix.plus_secs(ENDS_SECS.get(nth).copied().unwrap_or(60));
    ReplayEntry { key: ReplayKey(key), from: None, until }
}

/// The finalizer of splitmix64: one to one, and every bit of the result depends on every bit of the number.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// In a process of its own, whose memory nothing else has used before.
fn memory_of_one() -> Result<f64, Failure> {
    let told = Command::new(std::env::current_exe()?).arg(HOLD).output()?;
    if !told.status.success() {
        return Err(format!("the process that holds records: {}", told.status).into());
    }
    let octets: u32 = String::from_utf8(told.stdout)?.trim().parse()?;
    Ok(f64::from(octets) / f64::from(u32::try_from(RECORDS)?))
}

/// Fills a log and prints by how many octets that made the process larger.
#[expect(clippy::print_stdout, reason = "the answer to the process that asked")]
pub(crate) fn hold() -> Result<(), Failure> {
    let before = resident_octets("self")?;
    let log = MemoryLog::new(usize::try_from(RECORDS)?, NOW);
    fill(&log, 0..RECORDS)?;
    println!("{}", resident_octets("self")?.saturating_sub(before));
    drop(log);
    Ok(())
}
