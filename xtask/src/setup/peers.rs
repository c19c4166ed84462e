//! The programs of other people that the tests run against ours: installed below `target/peers` and nowhere else, at the
//! versions that the lock files in `e2e/peers` name, from the registries that this machine's tools are set to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;

/// Peers of one language.
#[derive(Debug)]
struct Peers {
    /// The folder in `e2e/peers`, and in `target/peers`.
    name: &'static str,
    /// What decides which versions these are: with all of it unchanged there is nothing to do.
    locks: &'static [&'static str],
    /// What runs them, whose version decides too.
    runner: Option<&'static str>,
    install: fn(&Places) -> Result<(), String>,
}

const PEERS: &[Peers] = &[
    Peers {
        name: "npm",
        locks: &["package.json", "package-lock.json", ".npmrc"],
        runner: None,
        install: npm,
    },
    Peers { name: "python", locks: &["requirements.txt"], runner: Some("python3"), install: python },
];

/// Where things are.
struct Places {
    /// What is in the repository.
    source: PathBuf,
    /// What is made of it.
    target: PathBuf,
    /// What was downloaded.
    cache: PathBuf,
}

/// The file that is written last: what was installed.
const STAMP: &str = "installed";

/// Installs what is not there as it should be. Says what it could not install, and whether all is there.
pub(super) fn install(root: &Path) -> bool {
    let mut is_whole = true;
    for peers in PEERS {
        if let Err(error) = install_one(root, peers) {
            println!("setup: the peers in e2e/peers/{} are not installed: {error}", peers.name);
            is_whole = false;
        }
    }
    if let Err(error) = run::succeed(&mut rust(root)) {
        println!("setup: the peers in e2e/peers/rust are not built: {error}");
        is_whole = false;
    }
    is_whole
}

fn install_one(root: &Path, peers: &Peers) -> Result<(), String> {
    let peers_target = root.join("target/peers");
    let places = Places {
        source: root.join("e2e/peers").join(peers.name),
        target: peers_target.join(peers.name),
        cache: peers_target.join("cache"),
    };
    let stamp = places.target.join(STAMP);
    let wanted = wanted(&places.source, peers)?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("setup: installing the peers in e2e/peers/{} …", peers.name);
    if stamp.exists() {
        fs::remove_file(&stamp).map_err(|error| format!("{}: {error}", stamp.display()))?;
    }
    fs::create_dir_all(&places.target).map_err(|error| format!("{}: {error}", places.target.display()))?;
    (peers.install)(&places)?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// What the stamp says once the peers are installed.
fn wanted(source: &Path, peers: &Peers) -> Result<String, String> {
    let mut wanted = String::new();
    if let Some(runner) = peers.runner {
        wanted.push_str(&run::output(Command::new(runner).arg("--version"))?);
    }
    for lock in peers.locks {
        let text = fs::read_to_string(source.join(lock)).map_err(|error| format!("{lock}: {error}"))?;
        wanted.push_str(&text);
    }
    Ok(wanted)
}

/// The packages of the lock file, each with the hash that it names, and no script of theirs is run.
///
/// The scripts of ours are where they find the packages: beside them, by a link, since an `import` knows no search path.
fn npm(places: &Places) -> Result<(), String> {
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        fs::copy(places.source.join(name), places.target.join(name))
            .map_err(|error| format!("{name}: {error}"))?;
    }
    let scripts = places.target.join("scripts");
    if fs::symlink_metadata(&scripts).is_err() {
        std::os::unix::fs::symlink("../../../e2e/peers/npm", &scripts)
            .map_err(|error| format!("{}: {error}", scripts.display()))?;
    }
    let mut command = Command::new("npm");
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    command.env("npm_config_cache", places.cache.join("npm")).env("npm_config_update_notifier", "false");
    run::succeed(command.current_dir(&places.target))
}

/// An environment of its own with the packages of the requirements, each with the hash that they name, and none that
/// would have to be built.
fn python(places: &Places) -> Result<(), String> {
    run::succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&places.target))?;
    let mut command = Command::new(places.target.join("bin/python"));
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    command.args(["--require-hashes", "--only-binary", ":all:", "--requirement"]);
    command.arg(places.source.join("requirements.txt"));
    run::succeed(command.env("PIP_CACHE_DIR", places.cache.join("pip")))
}

/// Cargo knows itself when there is nothing to do.
fn rust(root: &Path) -> Command {
    let manifest = "e2e/peers/rust/Cargo.toml";
    let target = "target/peers/rust";
    let arguments = ["build", "--quiet", "--locked", "--manifest-path", manifest, "--target-dir", target];
    run::cargo(root, &arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(places: &Places) -> Result<(), String> {
        let counter = places.target.join("counter");
        let former = fs::read_to_string(&counter).unwrap_or_default();
        fs::write(counter, former + "x").map_err(|error| error.to_string())
    }

    fn fail(_: &Places) -> Result<(), String> {
        Err("no network".into())
    }

    #[test]
    fn peers_are_installed_again_when_a_lock_changes_and_only_then() {
        let root = std::env::temp_dir().join(format!("xtask-peers-{}", std::process::id()));
        let source = root.join("e2e/peers/some");
        fs::create_dir_all(&source).unwrap();
        let peers = Peers { name: "some", locks: &["lock"], runner: Some("cargo"), install: count };
        let counted = || fs::read_to_string(root.join("target/peers/some/counter")).unwrap().len();
        assert!(install_one(&root, &peers).unwrap_err().starts_with("lock:"));
        fs::write(source.join("lock"), "1").unwrap();
        install_one(&root, &peers).unwrap();
        install_one(&root, &peers).unwrap();
        assert_eq!(counted(), 1);
        fs::write(source.join("lock"), "2").unwrap();
        install_one(&root, &peers).unwrap();
        assert_eq!(counted(), 2);
        // What failed counts as not installed, whatever was there before.
        fs::write(source.join("lock"), "3").unwrap();
        assert!(install_one(&root, &Peers { install: fail, ..peers }).is_err());
        fs::write(source.join("lock"), "2").unwrap();
        let again = Peers { name: "some", locks: &["lock"], runner: Some("cargo"), install: count };
        install_one(&root, &again).unwrap();
        assert_eq!(counted(), 3);
        fs::remove_dir_all(root).unwrap();
    }
}
