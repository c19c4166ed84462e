//! Which requirements and attacks are shown by a test: a test says so by carrying the ID in its name.

pub(crate) mod catalogue;
mod selection;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::repo::Repo;
use crate::run;
use catalogue::Catalogue;
use selection::Selection;

/// `cargo xtask coverage [--group LIST] [--from FILE]`
pub(crate) fn run(repo: &Repo, options: &[&str]) -> Result<bool, String> {
    let (selection, listing) = match options {
        [] => (Selection::everything(), list_tests(&repo.root)?),
        ["--group", list] => (Selection::parse(list)?, list_tests(&repo.root)?),
        ["--from", file] => (Selection::everything(), read(file)?),
        ["--group", list, "--from", file] | ["--from", file, "--group", list] => {
            (Selection::parse(list)?, read(file)?)
        }
        _ => {
            return Err(
                "usage: cargo xtask coverage [--group AS-TOK,AS-COD-01..03,ATK-A] [--from FILE]".into()
            );
        }
    };
    let report = Report::new(&Catalogue::of(repo)?, &listing, &selection)?;
    print!("{report}");
    Ok(report.is_complete())
}

fn list_tests(root: &Path) -> Result<String, String> {
    let arguments = ["test", "--workspace", "--all-features", "--locked", "--", "--list"];
    run::output(&mut run::cargo(root, &arguments))
}

fn read(file: &str) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))
}

/// What the listing shows of the catalogues, and what it claims to show and cannot.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    /// Group to (rows shown, IDs of the rows that no test shows).
    groups: BTreeMap<String, (usize, Vec<String>)>,
    /// Tests that name an ID which neither catalogue has.
    strays: Vec<(String, String)>,
}

impl Report {
    fn new(catalogue: &Catalogue, listing: &str, selection: &Selection) -> Result<Self, String> {
        selection.must_exist_in(catalogue)?;
        let mut report = Self::default();
        let mut shown = BTreeSet::new();
        for test in tests_in(listing) {
            for id in ids_in(test, catalogue) {
                if catalogue.has(&id) {
                    shown.insert(id);
                } else {
                    report.strays.push((test.to_owned(), id));
                }
            }
        }
        for row in catalogue.rows().iter().filter(|row| selection.takes(row)) {
            let (count, missing) = report.groups.entry(row.group.clone()).or_default();
            if shown.contains(&row.id) {
                *count += 1;
            } else {
                missing.push(row.id.clone());
            }
        }
        Ok(report)
    }

    fn is_complete(&self) -> bool {
        self.strays.is_empty() && self.groups.values().all(|(_, missing)| missing.is_empty())
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = 0;
        let mut rows = 0;
        for (group, (count, missing)) in &self.groups {
            shown += count;
            rows += count + missing.len();
            write!(formatter, "{group:<10} {count:>3} of {:>3}", count + missing.len())?;
            if !missing.is_empty() {
                write!(formatter, "   no test: {}", missing.join(" "))?;
            }
            writeln!(formatter)?;
        }
        for (test, id) in &self.strays {
            writeln!(formatter, "{test}: names {id}, which neither catalogue has")?;
        }
        writeln!(formatter, "{shown} of {rows} rows are shown by a test")
    }
}

/// The tests of a `--list` output: lines `path::name: test`.
fn tests_in(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter_map(|line| line.trim().strip_suffix(": test"))
}

/// The IDs that a test's name carries: one after the other at the start of its last part.
fn ids_in(test: &str, catalogue: &Catalogue) -> Vec<String> {
    let name = test.rsplit("::").next().unwrap_or(test);
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let mut ids = Vec::new();
    let mut rest = words.as_slice();
    while let Some((id, behind)) = id_at_start(rest, catalogue) {
        ids.push(id);
        rest = behind;
    }
    ids
}

/// `as_tok_01_bound` begins with `AS-TOK-01`, `atk_001_two` with `ATK-001`; so does `as_tok_99` with an ID, whose row is
/// then missing. A word that begins like none of the catalogue's families is an ordinary name.
fn id_at_start<'w, 'n>(words: &'w [&'n str], catalogue: &Catalogue) -> Option<(String, &'w [&'n str])> {
    let family = words.first()?;
    let len = catalogue::digits(family);
    let is_number = |word: &&str| word.len() == len && word.bytes().all(|byte| byte.is_ascii_digit());
    let number = words.iter().position(is_number)?;
    let (id, behind) = words.split_at_checked(number + 1)?;
    (number <= 2 && catalogue.has_family(family)).then(|| (id.join("-").to_uppercase(), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOGUE: &str = "\
        | AS-TOK-01 | MUST | a | b | c |\n\
        | AS-TOK-02 | MUST NOT | a | b | c |\n\
        | AS-AT-01 | SHOULD | a | b | c |\n\
        | FMS-01 | MAY | a | b | c |\n\
        | OIDC-LG2-01 | SHOULD | a | b | c |\n";

    fn report(listing: &str, groups: &str) -> Report {
        let selection =
            if groups.is_empty() { Selection::everything() } else { Selection::parse(groups).unwrap() };
        Report::new(&Catalogue::parse(CATALOGUE), listing, &selection).unwrap()
    }

    #[test]
    fn a_listing_names_its_tests() {
        let listing =
            "grant::as_tok_01_bound: test\n\nbench_it: benchmark\n2 tests, 1 benchmark\nplain: test\n";
        assert_eq!(tests_in(listing).collect::<Vec<_>>(), ["grant::as_tok_01_bound", "plain"]);
    }

    #[test]
    fn a_name_may_carry_several_ids() {
        let catalogue = Catalogue::parse(CATALOGUE);
        assert_eq!(ids_in("a::as_tok_01_as_at_01_bound_token", &catalogue), ["AS-TOK-01", "AS-AT-01"]);
        assert_eq!(ids_in("fms_01", &catalogue), ["FMS-01"]);
        assert_eq!(ids_in("oidc_lg2_01_not_offered", &catalogue), ["OIDC-LG2-01"]);
    }

    #[test]
    fn attacks_stand_between_requirements() {
        let catalogue = Catalogue::parse(CATALOGUE).and_attacks("## A. Proofs\n| ATK-001 | x |\n");
        assert_eq!(ids_in("as_tok_01_atk_001_fms_01_x", &catalogue), ["AS-TOK-01", "ATK-001", "FMS-01"]);
        assert_eq!(ids_in("atk_01_x", &catalogue), Vec::<String>::new());
        let report =
            Report::new(&catalogue, "atk_002_x: test\n", &Selection::parse("ATK-A").unwrap()).unwrap();
        assert_eq!(report.groups["ATK-A"], (0, vec!["ATK-001".to_owned()]));
        assert_eq!(report.strays, [("atk_002_x".to_owned(), "ATK-002".to_owned())]);
    }

    #[test]
    fn an_ordinary_name_carries_none() {
        let catalogue = Catalogue::parse(CATALOGUE);
        for name in
            ["as_tok_011_x", "as_token_is_read_20", "window_of_30_secs", "crates/a.rs - f (line 12)", "as"]
        {
            assert_eq!(ids_in(name, &catalogue), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn rows_without_a_test_are_named_by_group() {
        let report = report("x::as_tok_02_y: test\n", "");
        assert_eq!(report.groups["AS-TOK"], (1, vec!["AS-TOK-01".to_owned()]));
        assert!(!report.is_complete());
        let text = report.to_string();
        assert!(text.contains("AS-TOK       1 of   2   no test: AS-TOK-01"), "{text}");
        assert!(text.ends_with("1 of 5 rows are shown by a test\n"), "{text}");
    }

    #[test]
    fn a_group_that_is_shown_is_complete_whatever_the_others_are() {
        let listing = "as_tok_01: test\nas_tok_02: test\n";
        assert!(report(listing, "AS-TOK").is_complete());
        assert!(!report(listing, "AS-TOK,AS-AT").is_complete());
    }

    #[test]
    fn a_test_of_a_row_that_does_not_exist_fails_the_report() {
        let report = report("as_tok_01: test\nas_tok_02: test\nas_tokk_01_typo: test\n", "AS-TOK");
        assert_eq!(report.strays, [("as_tokk_01_typo".to_owned(), "AS-TOKK-01".to_owned())]);
        assert!(!report.is_complete());
    }

    #[test]
    fn a_selection_of_nothing_is_refused() {
        let selection = Selection::parse("AS-NIL").unwrap();
        assert!(Report::new(&Catalogue::parse(CATALOGUE), "", &selection).is_err());
    }
}
