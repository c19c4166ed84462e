//! The program as it is quickest: built once with counters in it, loaded as the benchmark loads it, and built again by
//! what was counted (profile-guided optimization).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::repo::Repo;
use crate::run::{self, Stopwatch};

/// The oldest LLVM whose tools read what the compiler's own LLVM counts.
const OLDEST_LLVM: u32 = 19;
/// What is built both times: the limits of the benchmark are optimized as the program is.
const PROGRAMS: [&str; 2] = ["keybound", "keybound-bench"];

/// `cargo xtask optimize`: records anew, and builds by it.
pub(crate) fn run(repo: &Repo, options: &[&str]) -> Result<bool, String> {
    if !options.is_empty() {
        return Err("usage: cargo xtask optimize".into());
    }
    let place = Place::of(repo)?;
    place.record(repo)?;
    let folder = place.build(repo)?;
    println!("optimize: {} is the program", folder.join(PROGRAMS[0]).display());
    Ok(true)
}

/// The folder of the optimized programs, of what is now in the repository; recorded first where that was never done.
pub(crate) fn built(repo: &Repo) -> Result<PathBuf, String> {
    let place = Place::of(repo)?;
    if !place.profile().exists() {
        place.record(repo)?;
    }
    place.build(repo)
}

/// Where all of it is, below `target/optimized`; and for which machine.
struct Place {
    folder: PathBuf,
    host: String,
}

impl Place {
    fn of(repo: &Repo) -> Result<Self, String> {
        let about = run::output(Command::new("rustc").arg("-vV").current_dir(&repo.root))?;
        let host = about.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
        Ok(Self { folder: repo.root.join("target").join("optimized"), host: host.to_owned() })
    }

    fn profile(&self) -> PathBuf {
        self.folder.join("keybound.profdata")
    }

    /// Counts what the programs do under load.
    fn record(&self, repo: &Repo) -> Result<(), String> {
        let merge = merging_tool(repo, &self.host)?;
        let counts = self.folder.join("counts");
        if counts.exists() {
            fs::remove_dir_all(&counts).map_err(|error| format!("{}: {error}", counts.display()))?;
        }
        let counting = self.cargo(repo, "counting", &format!("-Cprofile-generate={}", counts.display()))?;
        let watch = Stopwatch::start();
        println!("optimize: counting what they do under load …");
        run::succeed(Command::new(counting.join(PROGRAMS[1])).arg("--train"))?;
        println!("optimize: counted, {}", watch.elapsed());
        let (profile, unfinished) = (self.profile(), self.folder.join("unfinished"));
        run::succeed(Command::new(merge).arg("merge").arg("-o").arg(&unfinished).arg(&counts))?;
        fs::rename(&unfinished, &profile).map_err(|error| format!("{}: {error}", profile.display()))
    }

    /// Builds by what was counted, and puts the programs where the benchmark finds what it needs beside them.
    fn build(&self, repo: &Repo) -> Result<PathBuf, String> {
        let built = self.cargo(repo, "guided", &format!("-Cprofile-use={}", self.profile().display()))?;
        for program in PROGRAMS {
            let (from, to) = (built.join(program), self.folder.join(program));
            fs::copy(&from, &to).map_err(|error| format!("{}: {error}", to.display()))?;
        }
        Ok(self.folder.clone())
    }

    /// Builds with that flag for the compiler, and says where. A target that is named keeps the flag from build scripts.
    fn cargo(&self, repo: &Repo, folder: &str, flag: &str) -> Result<PathBuf, String> {
        let (folder, watch) = (self.folder.join(folder), Stopwatch::start());
        println!("optimize: building with {} …", flag.split('=').next().unwrap_or(flag));
        let arguments = ["build", "--release", "--quiet", "--locked", "--target", &self.host];
        let mut cargo = run::cargo(&repo.root, &arguments);
        for program in PROGRAMS {
            cargo.args(["--package", program, "--bin", program]);
        }
        run::succeed(cargo.env("CARGO_ENCODED_RUSTFLAGS", flag).arg("--target-dir").arg(&folder))?;
        println!("optimize: built, {}", watch.elapsed());
        Ok(folder.join(&self.host).join("release"))
    }
}

/// What makes one profile of all counts: of the compiler's own tools, or of an LLVM that the system has.
fn merging_tool(repo: &Repo, host: &str) -> Result<PathBuf, String> {
    let sysroot = run::output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(&repo.root))?;
    let own = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/llvm-profdata");
    if own.exists() {
        return Ok(own);
    }
    let names = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let names: Vec<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    newest(&names)
        .map(|name| Path::new("/usr/lib").join(name).join("bin/llvm-profdata"))
        .filter(|tool| tool.exists())
        .ok_or_else(|| {
            format!(
                "`llvm-profdata` is missing, of LLVM {OLDEST_LLVM} or later: \
                 `rustup component add llvm-tools`, or on Debian `apt-get install llvm-{OLDEST_LLVM}`"
            )
        })
}

/// The newest LLVM among folders, of those that will do.
fn newest(names: &[String]) -> Option<&String> {
    let version = |name: &String| name.strip_prefix("llvm-").and_then(|version| version.parse::<u32>().ok());
    names
        .iter()
        .filter(|name| version(name).is_some_and(|version| version >= OLDEST_LLVM))
        .max_by_key(|name| version(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_llvm_that_will_do_is_taken() {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(newest(&names(&["llvm-14", "llvm-19", "llvm-9", "llvm-21", "llvm"])).unwrap(), "llvm-21");
        assert_eq!(newest(&names(&["llvm-14", "llvm-18", "gcc-19"])), None);
    }
}
