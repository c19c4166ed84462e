//! The table that is printed.

use keybound_bench::measure::Race;
use std::fmt;

/// One line.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) limit: Option<Figure>,
    pub(crate) ours: Figure,
    pub(crate) ratio: Option<f64>,
    pub(crate) goal: Goal,
}

/// A number with its unit.
#[derive(Clone, Copy)]
pub(crate) enum Figure {
    PerSec(f64),
    Bytes(f64),
    BytesPerSec(f64),
    Secs(f64),
    Count(u64),
}

/// What we hold ourselves to.
pub(crate) enum Goal {
    /// Ours over the limit, at least.
    Ratio(f64),
    /// The time of one of ours over the time of one of the limit's, below this.
    Cost(f64),
    /// At least as many in a second.
    PerSec(f64),
    /// At most so large.
    Bytes(f64),
    /// Within this time.
    Secs(f64),
    /// At most so many.
    Count(u64),
    /// It is told, and not judged.
    None,
}

impl Row {
    /// A row that shows a race.
    pub(crate) fn of_race(what: &'static str, race: Race, goal: Goal) -> Self {
        let (limit, ours) = (Figure::PerSec(race.limit_per_sec), Figure::PerSec(race.ours_per_sec));
        Self { what, limit: Some(limit), ours, ratio: Some(race.ratio), goal }
    }

    /// Whether the goal was reached; nothing to reach counts as reached.
    pub(crate) fn is_reached(&self) -> bool {
        let ratio = self.ratio.unwrap_or(f64::NAN);
        match (&self.goal, self.ours) {
            (Goal::None, _) => true,
            (Goal::Ratio(goal), _) => ratio >= *goal,
            (Goal::Cost(goal), _) => 1.0 / ratio < *goal,
            (Goal::PerSec(goal), Figure::PerSec(ours)) => ours >= *goal,
            (Goal::Bytes(goal), Figure::Bytes(ours)) => ours <= *goal,
            (Goal::Secs(goal), Figure::Secs(ours)) => ours < *goal,
            (Goal::Count(goal), Figure::Count(ours)) => ours <= *goal,
            (Goal::PerSec(_) | Goal::Bytes(_) | Goal::Secs(_) | Goal::Count(_), _) => false,
        }
    }

    #[expect(clippy::print_stdout, reason = "the table is what this program is for")]
    pub(crate) fn print(&self, group: &str) {
        let limit = self.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
        let ratio = self.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"));
        let verdict = match (&self.goal, self.is_reached()) {
            (Goal::None, _) => "",
            (_, true) => "reached",
            (_, false) => "MISSED",
        };
        let (goal, ours) = (self.goal.to_string(), self.ours.to_string());
        println!("{group:<8} {:<58} {limit:>12} {ours:>12} {ratio:>8} {goal:>20} {verdict}", self.what);
    }
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
pub(crate) fn head() {
    println!("{:<8} {:<58} {:>12} {:>12} {:>8} {:>20}", "group", "what", "limit", "ours", "ratio", "goal");
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSec(number) if *number >= 1e6 => write!(f, "{:.2} M/s", number / 1e6),
            Self::PerSec(number) => write!(f, "{:.2} k/s", number / 1e3),
            Self::Bytes(number) if number.abs() >= 1e4 => write!(f, "{:.0} KiB", number / 1024.0),
            Self::Bytes(number) => write!(f, "{number:.1} B"),
            Self::BytesPerSec(number) => write!(f, "{:.0} MiB/s", number / f64::from(1 << 20)),
            Self::Secs(number) if *number < 1e-3 => write!(f, "{:.1} µs", number * 1e6),
            Self::Secs(number) => write!(f, "{:.2} ms", number * 1e3),
            Self::Count(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(goal) => write!(f, "ratio >= {goal}"),
            Self::Cost(goal) => write!(f, "cost < {goal} of one"),
            Self::PerSec(goal) => write!(f, ">= {}", Figure::PerSec(*goal)),
            Self::Bytes(goal) => write!(f, "<= {}", Figure::Bytes(*goal)),
            Self::Secs(goal) => write!(f, "< {}", Figure::Secs(*goal)),
            Self::Count(goal) => write!(f, "<= {goal}"),
            Self::None => f.write_str("-"),
        }
    }
}
