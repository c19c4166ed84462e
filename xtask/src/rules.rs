//! docs/rules.md is printed by the program from its own table of checks, so that the page cannot say otherwise.

use std::fs;

use crate::repo::Repo;
use crate::run;
use crate::tidy::Finding;

const PAGE: &str = "docs/rules.md";

/// `cargo xtask rules [--check]`
pub(crate) fn run(repo: &Repo, options: &[&str]) -> Result<bool, String> {
    let printed = print(repo)?;
    match options {
        [] => {
            fs::write(repo.root.join(PAGE), &printed).map_err(|error| format!("{PAGE}: {error}"))?;
            println!("{PAGE}: written, {} lines", printed.lines().count());
            Ok(true)
        }
        ["--check"] => {
            let difference = difference(repo.text(PAGE).unwrap_or_default(), &printed);
            println!("{PAGE}: {}", difference.as_deref().unwrap_or("current"));
            Ok(difference.is_none())
        }
        _ => Err("usage: cargo xtask rules [--check]".into()),
    }
}

/// The rule of `tidy`: the page, once it exists, is current.
pub(crate) fn current(repo: &Repo) -> Vec<Finding> {
    let Some(page) = repo.text(PAGE) else { return Vec::new() };
    match print(repo) {
        Ok(printed) => difference(page, &printed)
            .map(|difference| Finding::about(PAGE, difference))
            .into_iter()
            .collect(),
        Err(error) => vec![Finding::about(PAGE, error)],
    }
}

fn print(repo: &Repo) -> Result<String, String> {
    let arguments = ["run", "--quiet", "--locked", "--package", "keybound", "--", "proof", "rules"];
    run::output(&mut run::cargo(&repo.root, &arguments))
}

fn difference(page: &str, printed: &str) -> Option<String> {
    if page == printed {
        return None;
    }
    let same = page.lines().zip(printed.lines()).take_while(|(old, new)| old == new).count();
    Some(format!("differs from line {} on: run `cargo xtask rules`", same + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(
            difference("a\nb\n", "a\nc\n").unwrap(),
            "differs from line 2 on: run `cargo xtask rules`"
        );
        assert_eq!(difference("a\n", "a\nb\n").unwrap(), "differs from line 2 on: run `cargo xtask rules`");
    }
}
