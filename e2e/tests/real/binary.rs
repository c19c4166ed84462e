//! The program under test: `keybound` beside the test's own executable, built if it is not there or not of today.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The folder that Cargo builds into.
pub(crate) fn target() -> PathBuf {
    profile().parent().expect("a target folder").to_owned()
}

/// Where the program is.
pub(crate) fn keybound() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let program = profile().join("keybound");
        if modified(&program).is_none_or(|built| newest_source() > built) {
            build();
        }
        assert!(program.exists(), "{} was not built", program.display());
        program
    })
}

/// The folder of this profile: the executable is in its `deps`.
fn profile() -> PathBuf {
    let executable = env::current_exe().expect("a path");
    executable.ancestors().nth(2).expect("a folder").to_owned()
}

fn build() {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--package", "keybound", "--locked", "--target-dir"]).arg(target());
    if profile().ends_with("release") {
        command.arg("--release");
    }
    let status = command.current_dir(root()).status().expect("cargo starts");
    assert!(status.success(), "`cargo build -p keybound --locked` failed: {status}");
}

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder")
}

/// When what the program is made of was changed last.
fn newest_source() -> SystemTime {
    let mut folders = vec![root().join("crates")];
    let mut newest = modified(&root().join("Cargo.lock")).expect("a lock file");
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if let Some(changed) = modified(&path) {
                newest = newest.max(changed);
            }
        }
    }
    newest
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
