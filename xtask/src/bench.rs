//! The benchmarks, which live in a crate of their own.

use std::process::{Command, Stdio};

use crate::optimize;
use crate::repo::Repo;
use crate::run;

/// `cargo xtask bench [--optimized] [GROUP…]`: measures the groups of these names, or all; with the option, the programs
/// that `cargo xtask optimize` builds.
pub(crate) fn run(repo: &Repo, options: &[&str]) -> Result<bool, String> {
    let (is_optimized, groups) = match options {
        ["--optimized", groups @ ..] => (true, groups),
        groups => (false, groups),
    };
    if groups.iter().any(|group| group.starts_with('-')) {
        return Err("usage: cargo xtask bench [--optimized] [GROUP…]".into());
    }
    let mut bench = if is_optimized { optimized(repo)? } else { plain(repo)? };
    run::succeed(bench.args(groups))?;
    Ok(true)
}

fn optimized(repo: &Repo) -> Result<Command, String> {
    let mut bench = Command::new(optimize::built(repo)?.join("keybound-bench"));
    bench.current_dir(&repo.root).stdin(Stdio::null());
    Ok(bench)
}

fn plain(repo: &Repo) -> Result<Command, String> {
    // The program that is measured as a process.
    let program = ["build", "--release", "--quiet", "--locked", "--package", "keybound", "--bin", "keybound"];
    run::succeed(&mut run::cargo(&repo.root, &program))?;
    let arguments = [
        "run",
        "--release",
        "--quiet",
        "--locked",
        "--package",
        "keybound-bench",
        "--bin",
        "keybound-bench",
        "--",
    ];
    Ok(run::cargo(&repo.root, &arguments))
}
