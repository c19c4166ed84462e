//! House rules read from the Rust sources, line by line.
//!
//! The words that a rule looks for are written here in two pieces, so that this file does not break the rule.

use super::Finding;
use crate::repo::{Repo, SourceFile};

/// More than this and a file hides something.
const LINES_MAX: usize = 500;

/// Code that must not be there, and what to do instead.
const UNFINISHED: &[(&str, &str)] = &[
    (concat!("to", "do!("), "finish it"),
    (concat!("un", "implemented!("), "finish it"),
    (concat!("d", "bg!("), "take the debug line out"),
    (concat!("#[", "ignore"), "mend the test or delete it; an ignored test shows nothing"),
    (
        concat!("[", "allow("),
        "mend it, or write `#[expect(lint, reason = \"…\")]`, which tells when it is stale",
    ),
];

/// Notes to oneself, looked for in comments too.
const NOTES: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

/// Files that read a clock, and why they may.
const CLOCK_FILES: &[(&str, &str)] = &[
    ("crates/dpop/src/time.rs", "the one reader of the clock that rules go by"),
    ("crates/serve/src/alarm.rs", "a stopwatch for latencies; no rule goes by it"),
];

const CLOCK_READS: &[&str] = &["SystemTime::now(", "Instant::now(", "SystemTime::now)", "Instant::now)"];

const LOG_MACROS: &[&str] = &[
    "trace!(",
    "debug!(",
    "info!(",
    "warn!(",
    "error!(",
    "event!(",
    "span!(",
    "trace_span!(",
    "info_span!(",
];

/// A log macro longer than this is read only to here.
const MACRO_LINES_MAX: usize = 40;

/// No unfinished code, no ignored test, no lint switched off without a reason.
pub(super) fn unfinished(repo: &Repo) -> Vec<Finding> {
    rust(repo).flat_map(unfinished_in).collect()
}

fn unfinished_in(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        for (word, advice) in UNFINISHED {
            if code(line).contains(word) {
                findings.push(Finding::at(&file.path, number, format!("`{word}…`: {advice}")));
            }
        }
        if let Some(note) = NOTES.iter().find(|note| line.contains(**note)) {
            findings.push(Finding::at(&file.path, number, format!("`{note}`: do it, or take the note out")));
        }
    }
    findings
}

/// A file is read in one sitting.
pub(super) fn length(repo: &Repo) -> Vec<Finding> {
    rust(repo).filter_map(too_long).collect()
}

fn too_long(file: &SourceFile) -> Option<Finding> {
    let lines = file.text.lines().count();
    let advice = || format!("{lines} lines, at most {LINES_MAX}: split it where its subject changes");
    (lines > LINES_MAX).then(|| Finding::at(&file.path, lines, advice()))
}

/// The crypto library is named in one place; the shells name it only as rustls' provider.
pub(super) fn crypto(repo: &Repo) -> Vec<Finding> {
    rust(repo).flat_map(crypto_in).collect()
}

fn crypto_in(file: &SourceFile) -> Vec<Finding> {
    const LIBRARY: &str = concat!("aws_lc", "_rs");
    // The benchmarks measure the library by itself, as the limit that ours is compared with.
    if ["crates/dpop/src/jose/crypto", "bench/"].iter().any(|door| file.path.starts_with(door)) {
        return Vec::new();
    }
    let is_shell = [
        "crates/serve/",
        "crates/fetch/",
        "crates/gateway/",
        "crates/resource/",
        "crates/client/src/agent/",
        "crates/cli/tests/",
        "e2e/",
    ]
    .iter()
    .any(|room| file.path.starts_with(room));
    if is_shell && file.text.contains("rustls::crypto") {
        return Vec::new();
    }
    let named = file.lines().filter(|(_, line)| code(line).contains(LIBRARY));
    named
        .map(|(number, _)| {
            let advice = "only crates/dpop/src/jose/crypto.rs names the crypto library: call that";
            Finding::at(&file.path, number, advice)
        })
        .collect()
}

/// Time is an argument; one file reads the clock.
pub(super) fn clock(repo: &Repo) -> Vec<Finding> {
    rust(repo).flat_map(clock_in).collect()
}

fn clock_in(file: &SourceFile) -> Vec<Finding> {
    if CLOCK_FILES.iter().any(|(path, _)| file.path == *path)
        || file.path.starts_with("xtask/")
        || is_test_file(&file.path)
    {
        return Vec::new();
    }
    file.lines()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| CLOCK_READS.iter().any(|read| code(line).contains(read)))
        .map(|(number, _)| Finding::at(&file.path, number, "take `now` as an argument, or ask a `Clock`"))
        .collect()
}

fn is_test_file(path: &str) -> bool {
    let folders = ["e2e/", "bench/", "fuzz/"];
    folders.iter().any(|folder| path.starts_with(folder))
        || path.contains("/tests/")
        || path.contains("/benches/")
        || path.ends_with("/tests.rs")
}

/// OPS-LOG-01: a secret is revealed to the wire or the store, never to a log.
pub(super) fn logs(repo: &Repo) -> Vec<Finding> {
    rust(repo).flat_map(logs_in).collect()
}

fn logs_in(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines: Vec<(usize, &str)> = file.lines().collect();
    for (index, (number, line)) in lines.iter().enumerate() {
        let Some(start) = LOG_MACROS.iter().filter_map(|name| code(line).find(name)).min() else { continue };
        let rest = lines.iter().skip(index + 1).map(|(_, line)| *line);
        let opening = line.get(start..).unwrap_or_default();
        if macro_text(opening, rest).contains(concat!(".re", "veal()")) {
            findings.push(Finding::at(
                &file.path,
                *number,
                "a secret in a log: log its `jkt`, its hash, or nothing",
            ));
        }
    }
    findings
}

/// The text of a macro call from its first line to the one that closes its parenthesis.
fn macro_text<'a>(opening: &'a str, rest: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    let mut depth = 0_i64;
    for line in std::iter::once(opening).chain(rest).take(MACRO_LINES_MAX) {
        for character in code(line).chars() {
            text.push(character);
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => continue,
            }
            if depth == 0 {
                return text;
            }
        }
    }
    text
}

fn rust(repo: &Repo) -> impl Iterator<Item = &SourceFile> {
    repo.files.iter().filter(|file| file.is_rust())
}

/// The line without its `//` comment. The slashes of an address in a string (`https://`) do not begin one.
fn code(line: &str) -> &str {
    let starts = line.match_indices("//").map(|(start, _)| start);
    let comment = starts.into_iter().find(|start| !line.get(..*start).unwrap_or_default().ends_with(':'));
    comment.and_then(|start| line.get(..start)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.into(), text: text.into() }
    }

    #[test]
    fn each_unfinished_word_is_found_in_code_and_left_alone_in_comments() {
        for (word, _) in UNFINISHED {
            let found = unfinished_in(&file("a.rs", &format!("fn f() {{\n    {word}x)\n}}\n")));
            assert_eq!(found.len(), 1, "{word}");
            assert!(found[0].to_string().starts_with("a.rs:2: "), "{}", found[0]);
            assert_eq!(unfinished_in(&file("a.rs", &format!("/// never {word}x)\n"))), []);
        }
    }

    #[test]
    fn a_note_to_oneself_is_found_in_a_comment() {
        let text = format!("// {}: later\n", NOTES[0]);
        assert_eq!(unfinished_in(&file("a.rs", &text)).len(), 1);
    }

    #[test]
    fn five_hundred_lines_are_enough() {
        assert_eq!(too_long(&file("a.rs", &"x\n".repeat(500))), None);
        assert!(too_long(&file("a.rs", &"x\n".repeat(501))).is_some());
    }

    #[test]
    fn the_crypto_library_has_one_door() {
        let text = format!("use {}::digest;\n", concat!("aws_lc", "_rs"));
        assert_eq!(crypto_in(&file("crates/dpop/src/jose/crypto.rs", &text)), []);
        assert_eq!(crypto_in(&file("bench/src/making.rs", &text)), []);
        assert_eq!(crypto_in(&file("crates/dpop/src/jose/jws.rs", &text)).len(), 1);
        assert_eq!(crypto_in(&file("crates/serve/src/tls.rs", &text)).len(), 1);
        let provider = format!("use rustls::crypto::{}::default_provider;\n", concat!("aws_lc", "_rs"));
        assert_eq!(crypto_in(&file("crates/serve/src/tls.rs", &provider)), []);
        assert_eq!(crypto_in(&file("crates/provider/src/tls.rs", &provider)).len(), 1);
    }

    #[test]
    fn ops_tim_01_the_clock_has_one_reader() {
        let text = "let now = SystemTime::now();\n";
        assert_eq!(clock_in(&file("crates/dpop/src/time.rs", text)), []);
        assert_eq!(clock_in(&file("crates/oauth/tests/wall.rs", text)), []);
        assert_eq!(clock_in(&file("crates/oauth/src/form.rs", text)).len(), 1);
        assert_eq!(
            clock_in(&file("crates/oauth/src/form.rs", &format!("#[cfg(test)]\nmod tests {{ {text} }}"))),
            []
        );
    }

    #[test]
    fn a_secret_in_a_log_line_is_found_over_several_lines() {
        let reveal = concat!(".re", "veal()");
        let one = format!("tracing::info!(token = %token{reveal}, \"issued\");\n");
        let more = format!("    warn!(\n        jkt = %jkt,\n        code = %code{reveal},\n    );\n");
        let beside = format!("debug!(\"sent (once)\"); send(token{reveal});\n");
        assert_eq!(logs_in(&file("a.rs", &one)).len(), 1);
        assert_eq!(logs_in(&file("a.rs", &more)).len(), 1);
        assert_eq!(logs_in(&file("a.rs", &beside)), []);
    }

    #[test]
    fn an_address_is_no_comment() {
        assert_eq!(code("let a = \"https://h\"; // why"), "let a = \"https://h\"; ");
        assert_eq!(code("// all"), "");
        assert_eq!(code("plain"), "plain");
    }
}
