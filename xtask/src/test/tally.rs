//! What the tests said, read from what they print.

/// How many passed, and what failed by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failures: Vec<String>,
}

impl Tally {
    pub(super) fn fail(&mut self, what: &str) {
        self.failures.push(what.to_owned());
    }

    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
    }
}

/// Reads the output of the test programs, line by line.
#[derive(Debug, Default)]
pub(super) struct Reader {
    tally: Tally,
    /// Failed and ignored tests of the program that runs now, by name.
    named: Vec<String>,
    /// A test program has begun and has not given its result.
    is_open: bool,
}

impl Reader {
    pub(super) fn read(&mut self, line: &str) {
        if is_start(line) {
            self.close();
            self.is_open = true;
        } else if let Some((passed, failed, ignored)) = result(line) {
            self.tally.passed += passed;
            let unnamed = (failed + ignored).saturating_sub(self.named.len());
            self.named.truncate(failed + ignored);
            self.tally.failures.append(&mut self.named);
            for _ in 0..unnamed {
                self.tally.fail("a test that did not say its name");
            }
            self.is_open = false;
        } else if let Some(name) = failed_or_ignored(line) {
            self.named.push(name);
        }
    }

    /// The tally at the end. Cargo's own verdict counts where the tests gave none.
    pub(super) fn finish(mut self, cargo_succeeded: bool) -> Tally {
        self.close();
        if !cargo_succeeded && self.tally.failures.is_empty() {
            self.tally.fail("cargo test: something did not compile or broke off; its last words are above");
        }
        if self.tally == Tally::default() {
            self.tally.fail("cargo test: no test ran");
        }
        self.tally
    }

    /// A program that ended without a result died: that is a failure of its own, after those it named.
    fn close(&mut self) {
        if self.is_open {
            self.tally.failures.append(&mut self.named);
            self.tally.fail("a test program died before its result");
            self.is_open = false;
        }
    }
}

/// `running 12 tests`
fn is_start(line: &str) -> bool {
    let rest = line.strip_prefix("running ").map(|rest| rest.trim_end_matches('s'));
    rest.and_then(|rest| rest.strip_suffix(" test")).is_some_and(|number| number.parse::<usize>().is_ok())
}

/// `test result: ok. 10 passed; 1 failed; 2 ignored; 0 measured; …`: (10, 1, 2).
fn result(line: &str) -> Option<(usize, usize, usize)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        let number = counts.split(';').find_map(|part| part.trim().strip_suffix(word))?;
        number.trim().parse().ok()
    };
    Some((count(" passed")?, count(" failed")?, count(" ignored")?))
}

/// `test grant::redeems ... FAILED`, `test slow ... ignored, takes long`
fn failed_or_ignored(line: &str) -> Option<String> {
    let (name, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    if verdict.starts_with("FAILED") {
        return Some(name.to_owned());
    }
    verdict.starts_with("ignored").then(|| format!("{name} (ignored, so it shows nothing)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str, cargo_succeeded: bool) -> Tally {
        let mut reader = Reader::default();
        output.lines().for_each(|line| reader.read(line));
        reader.finish(cargo_succeeded)
    }

    #[test]
    fn results_are_summed_over_programs() {
        let output = "running 2 tests\ntest a ... ok\ntest b ... ok\n\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n\
            running 1 test\ntest c ... ok\n\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(tally(output, true), Tally { passed: 3, failures: vec![] });
    }

    #[test]
    fn failed_and_ignored_tests_are_named() {
        let output = "running 3 tests\ntest a::b ... FAILED\ntest c ... ignored, slow\ntest d ... ok\n\n\
            test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out\n";
        let failures = vec!["a::b".to_owned(), "c (ignored, so it shows nothing)".to_owned()];
        assert_eq!(tally(output, false), Tally { passed: 1, failures });
    }

    #[test]
    fn a_failure_whose_line_was_torn_still_counts() {
        let output = "running 1 test\ntest a ... noise from a process FAILED\n\
            test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(tally(output, false).failures, ["a test that did not say its name"]);
    }

    #[test]
    fn a_program_that_dies_is_a_failure() {
        let output = "running 2 tests\ntest a ... ok\nrunning 1 test\ntest c ... ok\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(tally(output, false).failures, ["a test program died before its result"]);
    }

    #[test]
    fn code_that_does_not_compile_is_a_failure() {
        let tally = tally("", false);
        assert_eq!(tally.failures.len(), 1);
        assert!(tally.failures[0].contains("did not compile"));
    }

    #[test]
    fn nothing_that_ran_is_a_failure() {
        assert_eq!(tally("", true).failures, ["cargo test: no test ran"]);
        let empty =
            "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(tally(empty, true).failures, ["cargo test: no test ran"]);
    }
}
