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

/// Crates whose private operations leak through their timing, and what to use instead (OPS-KEY-06).
const LEAKY: &[(&str, &str)] =
    &[("rsa", "RUSTSEC-2023-0071: RSA is aws-lc-rs's, through `keybound_dpop::jose`")];

/// No lock file names a crate that leaks keys, not even for a test. Peers are other people's programs, and keep theirs.
pub(super) fn leaky(repo: &Repo) -> Vec<Finding> {
    let is_ours = |path: &str| path.ends_with("Cargo.lock") && !path.starts_with("e2e/peers/");
    let locks = repo.files.iter().filter(|file| is_ours(&file.path));
    locks.flat_map(|file| leaky_in(&file.path, &file.text)).collect()
}

fn leaky_in(path: &str, lock: &str) -> Vec<Finding> {
    let named = |name: &str| lock.lines().any(|line| line == format!("name = \"{name}\""));
    LEAKY.iter().filter(|(name, _)| named(name)).map(|(_, advice)| Finding::about(path, *advice)).collect()
}

fn failed(repo: &Repo, arguments: &[&str], advice: &str) -> Vec<Finding> {
    match run::succeed(&mut run::cargo(&repo.root, arguments)) {
        Ok(()) => Vec::new(),
        Err(error) => vec![Finding::about(&error, advice)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_key_06_a_crate_that_leaks_keys_is_found_in_a_lock_file() {
        let lock = |name: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"0.9.8\"\n");
        assert_eq!(leaky_in("Cargo.lock", &lock("rsa")).len(), 1);
        assert_eq!(leaky_in("Cargo.lock", &lock("rsa-export")), []);
    }

    #[test]
    fn ops_key_06_atk_145_our_lock_file_names_none() {
        let ours = include_str!("../../../Cargo.lock");
        assert!(ours.contains("name = \"aws-lc-rs\""), "this is the lock file");
        assert_eq!(leaky_in("Cargo.lock", ours), []);
    }
}
