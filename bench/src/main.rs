//! `cargo xtask bench [GROUP…]`: one table, each of our speeds beside the limit that was measured in the same run.
#![expect(clippy::print_stderr, reason = "a program says on its terminal what went wrong")]

mod checking;
mod client;
mod making;
mod process;
mod provider;
mod records;
mod resource;
mod table;

use client::calling;
use keybound_bench::{Failure, measure};
use process::answering;
use resource::{guarded, proxy};
use std::process::ExitCode;
use table::Row;

/// Fills some rows of the table.
type Group = fn() -> Result<Vec<Row>, Failure>;

const GROUPS: [(&str, Group); 10] = [
    ("check", checking::accepted),
    ("junk", checking::refused),
    ("make", making::rows),
    ("records", records::rows),
    ("provider", provider::rows),
    ("pages", provider::page_rows),
    ("guard", resource::guard_rows),
    ("gateway", resource::gateway_rows),
    ("client", client::rows),
    ("agent", client::agent_rows),
];

/// Told this word, the program loads the servers as it does when it measures, and measures nothing: a recording of what they
/// do often is made of it.
const TRAIN: &str = "--train";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [records::HOLD] => records::hold().map(|()| true),
        [answering::ANSWER, address, file] => answering::run(address, file).map(|()| true),
        [answering::ANSWER, address, file, answering::AWAKE] => {
            answering::run_awake(address, file).map(|()| true)
        }
        [guarded::GUARDED, address, folder] => guarded::run(address, folder).map(|()| true),
        [guarded::COUNTING, address, folder] => guarded::run_counting(address, folder).map(|()| true),
        [calling::CALL, kind, url, home] => calling::run(kind, url, home).map(|()| true),
        [proxy::PROXY, address, upstream, fields] => proxy::run(address, upstream, fields).map(|()| true),
        [TRAIN] => train().map(|()| true),
        ref names => measure(names),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("bench: a goal was missed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn train() -> Result<(), Failure> {
    measure::pin(0)?;
    provider::train()?;
    resource::train()?;
    client::train()
}

/// Measures the groups of these names, or all. `Ok(false)`: a goal was missed.
fn measure(names: &[&str]) -> Result<bool, Failure> {
    if let Some(unknown) = names.iter().find(|name| GROUPS.iter().all(|(known, _)| known != *name)) {
        let known: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no group is called `{unknown}`; there are {}", known.join(", ")).into());
    }
    measure::pin(0)?;
    table::head();
    let mut all_reached = true;
    for (name, group) in GROUPS {
        if names.is_empty() || names.contains(&name) {
            for row in group()? {
                row.print(name);
                all_reached &= row.is_reached();
            }
        }
    }
    Ok(all_reached)
}
