//! The house rules as one table. Each rule is a function from the repository to what it found.

mod cargo;
mod crates;
mod documents;
mod sources;

use std::fmt;

use crate::repo::Repo;
use crate::rules;
use crate::run::Stopwatch;

/// One rule. `cargo xtask tidy NAME` runs it alone.
struct Rule {
    name: &'static str,
    says: &'static str,
    check: fn(&Repo) -> Vec<Finding>,
}

const RULES: &[Rule] = &[
    Rule { name: "format", says: "the code is formatted", check: cargo::format },
    Rule { name: "unfinished", says: "nothing is unfinished or silenced", check: sources::unfinished },
    Rule { name: "length", says: "no Rust file has more than 500 lines", check: sources::length },
    Rule { name: "crypto", says: "one file names the crypto library", check: sources::crypto },
    Rule { name: "clock", says: "one file reads the clock", check: sources::clock },
    Rule { name: "logs", says: "no log line reveals a secret", check: sources::logs },
    Rule { name: "paths", says: "no file names a path of somebody's machine", check: documents::paths },
    Rule { name: "words", says: "the project speaks of itself alone", check: documents::words },
    Rule { name: "links", says: "relative links lead somewhere", check: documents::links },
    Rule { name: "dependencies", says: "every dependency is explained", check: documents::dependencies },
    Rule {
        name: "requirements",
        says: "the catalogue of requirements is whole and counts itself",
        check: documents::requirements,
    },
    Rule { name: "attacks", says: "the catalogue of attacks is, too", check: documents::attacks },
    Rule { name: "lock", says: "Cargo.lock is committed", check: cargo::lock },
    Rule { name: "leaky", says: "no crate is locked that leaks keys", check: cargo::leaky },
    Rule { name: "arrows", says: "crates depend only downwards", check: crates::arrows },
    Rule { name: "lints", says: "clippy has nothing to say", check: cargo::lints },
    Rule { name: "alone", says: "each library builds alone, bare and full", check: crates::alone },
    Rule { name: "rules", says: "docs/rules.md is what the program prints", check: rules::current },
];

/// Findings of one rule that are printed; the rest is counted.
const SHOWN_MAX: usize = 25;

/// Something that a rule forbids: where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    place: String,
    advice: String,
}

impl Finding {
    pub(crate) fn at(path: &str, line: usize, advice: impl Into<String>) -> Self {
        Self { place: format!("{path}:{line}"), advice: advice.into() }
    }

    pub(crate) fn about(place: &str, advice: impl Into<String>) -> Self {
        Self { place: place.into(), advice: advice.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.advice)
    }
}

/// How many rules held, and which did not.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) held: usize,
    pub(crate) broken: Vec<&'static str>,
}

/// `cargo xtask tidy [--list] [RULE…]`
pub(crate) fn run(repo: &Repo, options: &[&str]) -> Result<bool, String> {
    if options.contains(&"--list") {
        for rule in RULES {
            println!("{:<14}{}", rule.name, rule.says);
        }
        return Ok(true);
    }
    if let Some(unknown) = options.iter().find(|name| !RULES.iter().any(|rule| rule.name == **name)) {
        return Err(format!("no rule is called `{unknown}`; `cargo xtask tidy --list` names them"));
    }
    let watch = Stopwatch::start();
    let verdict = check(repo, options);
    let broken =
        if verdict.broken.is_empty() { String::new() } else { format!(": {}", verdict.broken.join(", ")) };
    println!("tidy: {} held, {} broken{broken} ({})", verdict.held, verdict.broken.len(), watch.elapsed());
    Ok(verdict.broken.is_empty())
}

/// Runs the named rules, or all when none is named, and reports as it goes.
pub(crate) fn check(repo: &Repo, names: &[&str]) -> Verdict {
    let mut verdict = Verdict::default();
    for rule in RULES.iter().filter(|rule| names.is_empty() || names.contains(&rule.name)) {
        let watch = Stopwatch::start();
        println!("tidy {:<14}{} …", rule.name, rule.says);
        let findings = (rule.check)(repo);
        for finding in findings.iter().take(SHOWN_MAX) {
            println!("  {finding}");
        }
        if findings.len() > SHOWN_MAX {
            println!("  and {} more", findings.len() - SHOWN_MAX);
        }
        let outcome = if findings.is_empty() { "held" } else { "BROKEN" };
        println!("tidy {:<14}{outcome} ({})", rule.name, watch.elapsed());
        if findings.is_empty() {
            verdict.held += 1;
        } else {
            verdict.broken.push(rule.name);
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_file_line_and_advice() {
        assert_eq!(Finding::at("a/b.rs", 7, "cut it").to_string(), "a/b.rs:7: cut it");
    }

    #[test]
    fn rule_names_are_unique() {
        for (index, rule) in RULES.iter().enumerate() {
            assert!(RULES.iter().skip(index + 1).all(|other| other.name != rule.name), "{}", rule.name);
        }
    }

    #[test]
    fn an_unknown_rule_is_refused() {
        let repo = Repo { root: ".".into(), files: Vec::new() };
        assert!(run(&repo, &["beauty"]).unwrap_err().contains("beauty"));
    }
}
