//! The benchmarks, which live in a crate of their own.

use crate::repo::Repo;
use crate::run;

/// `cargo xtask bench [GROUP…]`: measures the groups of these names, or all.
pub(crate) fn run(repo: &Repo, options: &[&str]) -> Result<bool, String> {
    if options.iter().any(|option| option.starts_with('-')) {
        return Err("usage: cargo xtask bench [GROUP…]".into());
    }
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
    run::succeed(run::cargo(&repo.root, &arguments).args(options))?;
    Ok(true)
}
