//! Everything that shows the project to be in order, and one line that says whether it is.

mod tally;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::repo::{self, Repo};
use crate::run::{self, Stopwatch};
use crate::{setup, tidy};
use tally::Tally;

/// `cargo xtask test`: setup, tidy, and every test. The last line is `N passed, N failed`.
pub(crate) fn run(options: &[&str]) -> Result<bool, String> {
    if !options.is_empty() {
        return Err("usage: cargo xtask test (for some tests, `cargo test -p CRATE NAME` is quicker)".into());
    }
    let watch = Stopwatch::start();
    let mut tally = Tally::default();
    match setup::run(&[]) {
        Ok(true) => {}
        Ok(false) => tally.fail("setup: what the tests need is not all there"),
        Err(error) => tally.fail(&format!("setup: {error}")),
    }
    match Repo::open() {
        Ok(repo) => {
            let verdict = tidy::check(&repo, &[]);
            tally.passed += verdict.held;
            for rule in verdict.broken {
                tally.fail(&format!("tidy: the rule `{rule}` is broken"));
            }
        }
        Err(error) => tally.fail(&format!("tidy: {error}")),
    }
    match repo::root().and_then(|root| cargo_test(&root)) {
        Ok(tests) => tally.add(tests),
        Err(error) => tally.fail(&format!("cargo test: {error}")),
    }
    println!();
    for failure in &tally.failures {
        println!("FAILED {failure}");
    }
    println!("took {}", watch.elapsed());
    println!("{} passed, {} failed", tally.passed, tally.failures.len());
    Ok(tally.failures.is_empty())
}

/// Runs the tests of the workspace, shows their output as it comes, and reads their results from it.
fn cargo_test(root: &Path) -> Result<Tally, String> {
    let arguments = ["test", "--workspace", "--all-features", "--locked", "--no-fail-fast"];
    let mut command = run::cargo(root, &arguments);
    println!("{} …", run::line(&command));
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| format!("does not start: {error}"))?;
    let mut reader = tally::Reader::default();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(|output| output.split(b'\n')) {
        let line = line.map_err(|error| format!("its output breaks off: {error}"))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        reader.read(&line);
    }
    let status = child.wait().map_err(|error| format!("is lost: {error}"))?;
    Ok(reader.finish(status.success()))
}
