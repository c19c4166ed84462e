//! Counts the instructions of the proof's four works under valgrind and compares them with `bench/counts.txt`. Unlike
//! a time, a count is the same on a busy machine. The crypto library is left out: what it runs depends on the
//! processor, and its speed is not ours.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod callgrind;

use callgrind::Profile;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The functions of `src/bin/counts.rs`, what each does, and how often.
const WORKS: [(&str, &str, u64); 4] = [
    ("check", "a proof checked, from the header's bytes to the record of its jti", 50),
    ("refusal", "a proof refused for its htu", 50),
    ("make", "a proof made", 50),
    ("record", "a used proof recorded", 20_000),
];
/// A count may be off by so many hundredths.
const TOLERANCE_PERCENT: u64 = 5;
/// The command that takes the counts as they are now for the expected ones.
const REWRITE: &str = "KEYBOUND_COUNTS=write cargo test --package keybound-bench --test counts";

#[test]
fn instructions_of_the_four_works_are_as_expected() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.txt");
    let counted: Vec<(&str, u64)> =
        WORKS.iter().map(|(name, _, times)| (*name, profile_of(name).of_ours() / times)).collect();
    if std::env::var_os("KEYBOUND_COUNTS").is_some_and(|wish| wish == "write") {
        std::fs::write(&file, written(&counted)).expect("counts.txt is written");
        return;
    }
    let expected = std::fs::read_to_string(&file).expect("counts.txt is read");
    let differences: Vec<String> =
        counted.iter().filter_map(|(name, count)| difference(name, *count, &expected)).collect();
    assert!(
        differences.is_empty(),
        "{}\nWhere the change is meant, `{REWRITE}` takes it over. {}",
        differences.join("\n"),
        compilers(&expected),
    );
}

#[test]
fn dpop_sig_07_a_junk_proof_is_refused_without_any_cryptography() {
    assert_eq!(profile_of("refusal").calls_of_crypto(), 0);
    assert!(profile_of("check").calls_of_crypto() >= 50, "the count sees such calls");
}

/// `None` where the count is near enough to the expected one.
fn difference(name: &str, count: u64, expected: &str) -> Option<String> {
    let line = expected.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let Some(wanted) = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()) else {
        return Some(format!(
            "{name}: {count} instructions counted, and counts.txt does not say how many to expect"
        ));
    };
    let is_near = count.abs_diff(wanted) * 100 <= wanted * TOLERANCE_PERCENT;
    (!is_near).then(|| {
        format!("{name}: {count} instructions counted, {wanted} expected (within {TOLERANCE_PERCENT} %)")
    })
}

fn written(counted: &[(&str, u64)]) -> String {
    let mut text = format!(
        "# Instructions for one of each, without those of the crypto library. Rewritten by:\n# {REWRITE}\n# {}\n",
        compiler()
    );
    for ((name, count), (_, what, _)) in counted.iter().zip(WORKS) {
        text.push_str(&format!("{name:<8} {count:>6}  {what}\n"));
    }
    text
}

/// Another compiler makes other instructions: worth a word where a count is off.
fn compilers(expected: &str) -> String {
    let now = compiler();
    let then = expected.lines().find_map(|line| line.strip_prefix("# rustc ")).unwrap_or("an unknown one");
    if now == format!("rustc {then}") {
        format!("The compiler is the same, {now}.")
    } else {
        format!("The compiler is {now}; the expected counts are of {then}.")
    }
}

fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = Command::new(rustc).arg("--version").output().expect("rustc runs");
    String::from_utf8_lossy(&told.stdout).trim().to_owned()
}

/// What is counted while this work is done. All are counted once, side by side.
fn profile_of(name: &str) -> &'static Profile {
    static PROFILES: OnceLock<[Profile; WORKS.len()]> = OnceLock::new();
    let profiles = PROFILES.get_or_init(|| {
        let program = build();
        let program = &program;
        std::thread::scope(|scope| {
            let runs = WORKS.map(|(work, _, _)| scope.spawn(move || run(program, work)));
            runs.map(|run| run.join().expect("counted"))
        })
    });
    let mut named = WORKS.iter().zip(profiles);
    named.find_map(|((work, _, _), profile)| (*work == name).then_some(profile)).expect("one of the works")
}

fn run(program: &Path, work: &str) -> Profile {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let out = folder.path().join("profile");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--toggle-collect=counts::counted_*"]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display())).arg(program).arg(work);
    let status = valgrind.status().expect("valgrind starts; `cargo xtask setup` gets it");
    assert!(status.success(), "the program under valgrind: {status}");
    Profile::parse(&std::fs::read_to_string(out).expect("a dump")).expect("a dump in callgrind's format")
}

/// Builds the program as it is released, only with the names of its functions, which the profile needs.
fn build() -> PathBuf {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Build scripts that watch what cargo tells of this package would otherwise run anew.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    let arguments = ["rustc", "--release", "--locked", "--package", "keybound-bench", "--bin", "counts"];
    let status = cargo.args(arguments).args(["--", "-C", "strip=none"]).status().expect("cargo runs");
    assert!(status.success(), "the program to count does not build");
    let in_this_profile = Path::new(env!("CARGO_BIN_EXE_counts"));
    let target = in_this_profile.ancestors().nth(2).expect("a target folder");
    target.join("release/counts")
}

#[test]
fn a_count_that_is_off_is_told_with_both_numbers() {
    let expected = "# words\ncheck 1000  a proof checked\n";
    assert_eq!(difference("check", 1050, expected), None);
    let told = difference("check", 1051, expected).expect("a difference");
    assert_eq!(told, "check: 1051 instructions counted, 1000 expected (within 5 %)");
    assert!(difference("make", 1, expected).is_some());
}
