//! Processes under test and who loads them: every server has one core to itself, whoever loads it another one, and a
//! server's figure is requests for each second of its CPU time, programs and system. Who loads it does not have
//! to be woken for each request, nor the API behind a gateway that is loaded: on other machines they would not be, and what
//! a wake-up costs depends on who is slow. Where times are taken, and behind the agent, the API sleeps.

pub(crate) mod answering;
pub(crate) mod latency;
pub(crate) mod load;
pub(crate) mod node;
pub(crate) mod prover;
pub(crate) mod server;
pub(crate) mod serving;
pub(crate) mod worker;

use crate::table::{Figure, Goal, Row};
use keybound_bench::measure::median;

/// Rounds in which all take turns; the median counts.
pub(crate) const ROUNDS: usize = 5;

/// The row of a speed beside another one: medians of both, and the median of their ratios.
pub(crate) fn beside<R>(
    what: &'static str,
    rounds: &[R],
    limit: impl Fn(&R) -> f64,
    ours: impl Fn(&R) -> f64,
    goal: Goal,
) -> Row {
    Row {
        what,
        limit: Some(Figure::PerSec(median_of(rounds, &limit))),
        ours: Figure::PerSec(median_of(rounds, &ours)),
        ratio: Some(median_of(rounds, |round| ours(round) / limit(round))),
        goal,
    }
}

/// The row of a figure that nothing is beside.
pub(crate) fn alone(what: &'static str, ours: Figure, goal: Goal) -> Row {
    Row { what, limit: None, ours, ratio: None, goal }
}

pub(crate) fn median_of<R>(rounds: &[R], figure: impl Fn(&R) -> f64) -> f64 {
    median(rounds.iter().map(figure).collect())
}
