//! Rules that cargo keeps for us.

use super::Finding;
use crate::repo::{self, Repo};
use crate::run;

/// `cargo fmt --check` over all packages.
pub(super) fn format(repo: &Repo) -> Vec<Finding> {
    failed(repo, &["fmt", "--all", "--check"], "run `cargo fmt --all`")
}

/// Clippy over all targets, with every warning an error.
pub(super) fn lints(repo: &Repo) -> Vec<Finding> {
    let arguments = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    failed(
        repo,
        &arguments,
        "mend what clippy names above; `#[expect(lint, reason = \"…\")]` is the last resort",
    )
}

/// The lock file is part of the program: builds are made with `--locked`.
pub(super) fn lock(repo: &Repo) -> Vec<Finding> {
    let advice = "run `git add Cargo.lock` and commit it";
    if !repo.root.join(".git").exists() {
        return Vec::new();
    }
    match run::output(&mut repo::git(&repo.root, &["ls-files", "Cargo.lock"])) {
        Ok(listing) if listing.trim() == "Cargo.lock" => Vec::new(),
        Ok(_) => vec![Finding::about("Cargo.lock", format!("not tracked: {advice}"))],
        Err(error) => vec![Finding::about("Cargo.lock", format!("{error}: {advice}"))],
    }
}

fn failed(repo: &Repo, arguments: &[&str], advice: &str) -> Vec<Finding> {
    match run::succeed(&mut run::cargo(&repo.root, arguments)) {
        Ok(()) => Vec::new(),
        Err(error) => vec![Finding::about(&error, advice)],
    }
}
