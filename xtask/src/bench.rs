//! The benchmarks, which live in a crate of their own.

use crate::repo::Repo;
use crate::run;

/// `cargo xtask bench`
pub(crate) fn run(repo: &Repo, options: &[&str]) -> Result<bool, String> {
    if !options.is_empty() {
        return Err("usage: cargo xtask bench".into());
    }
    if !repo.root.join("bench/Cargo.toml").is_file() {
        return Err("there is no bench/ in this workspace, so there is nothing to measure".into());
    }
    run::succeed(&mut run::cargo(&repo.root, &["bench", "--locked", "--package", "keybound-bench"]))?;
    Ok(true)
}
