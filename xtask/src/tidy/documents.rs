//! House rules about every text of the repository: words, paths, links, and the lists that must stay whole.

use std::path::{Component, Path, PathBuf};

use super::Finding;
use crate::coverage::catalogue::{self, Catalogue};
use crate::repo::{Repo, SourceFile};

/// Folders that exist on somebody's machine only.
const MACHINE_PATHS: &[&str] = &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// Said in lower case: the name of a file that is not part of the project.
const FOREIGN_FILE: &str = concat!("develop", "ers.md");

/// No file names a folder of the machine it was written on.
pub(super) fn paths(repo: &Repo) -> Vec<Finding> {
    repo.files.iter().flat_map(paths_in).collect()
}

fn paths_in(file: &SourceFile) -> Vec<Finding> {
    let begins = |line: &str, start: usize| {
        let before = line.get(..start).and_then(|text| text.chars().next_back());
        before.is_none_or(|character| !(character.is_alphanumeric() || "._-/~}:>".contains(character)))
    };
    let names_one = |line: &str| {
        MACHINE_PATHS.iter().any(|path| line.match_indices(path).any(|(start, _)| begins(line, start)))
    };
    let advice = "a path of one machine: write it relative, or take it as an argument";
    file.lines()
        .filter(|(_, line)| names_one(line))
        .map(|(number, _)| Finding::at(&file.path, number, advice))
        .collect()
}

/// The project explains itself from its own documents, not from a plan or a tracker that a reader has not got.
pub(super) fn words(repo: &Repo) -> Vec<Finding> {
    repo.files.iter().flat_map(words_in).collect()
}

fn words_in(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        let lower = line.to_lowercase();
        if lower.contains(FOREIGN_FILE) {
            findings.push(Finding::at(&file.path, number, "names a file that the repository has not got"));
        }
        if names_a_ticket(&lower) {
            findings.push(Finding::at(&file.path, number, "names a ticket: say what it said"));
        }
    }
    findings
}

/// The word for a ticket, followed by a number.
fn names_a_ticket(line: &str) -> bool {
    const TICKET: &str = concat!("iss", "ue ");
    line.match_indices(TICKET).any(|(start, _)| {
        let before = line.get(..start).and_then(|text| text.chars().next_back());
        let after = line.get(start + TICKET.len()..).unwrap_or_default();
        before.is_none_or(|character| !character.is_alphanumeric())
            && after.trim_start_matches('#').starts_with(|character: char| character.is_ascii_digit())
    })
}

/// Every relative link of a document leads to a file of the repository.
pub(super) fn links(repo: &Repo) -> Vec<Finding> {
    let exists = |path: &Path| repo.root.join(path).exists();
    repo.files.iter().filter(|file| file.is_markdown()).flat_map(|file| dead_links(file, &exists)).collect()
}

fn dead_links(file: &SourceFile, exists: &dyn Fn(&Path) -> bool) -> Vec<Finding> {
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in relative_targets(line) {
            if !plain(&folder.join(target)).is_some_and(|path| exists(&path)) {
                findings.push(Finding::at(&file.path, number, format!("`{target}` leads nowhere")));
            }
        }
    }
    findings
}

/// Targets of the links of one line, without fragments; other sites and places in the same file left out.
fn relative_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', ' ', '#']).next().unwrap_or_default();
        let elsewhere = target.contains("://") || target.starts_with("mailto:");
        (!target.is_empty() && !elsewhere).then_some(target)
    })
}

/// The path without `.` and `..`; `None` when it leaves the repository.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

/// docs/dependencies.md has one row for each dependency, and no row for one that is gone.
pub(super) fn dependencies(repo: &Repo) -> Vec<Finding> {
    let manifest = repo.text("Cargo.toml").unwrap_or_default();
    let page = repo.text("docs/dependencies.md").unwrap_or_default();
    unexplained(manifest, page)
}

fn unexplained(manifest: &str, page: &str) -> Vec<Finding> {
    let explained: Vec<(usize, &str)> = (1..)
        .zip(page.lines())
        .filter_map(|(number, line)| Some((number, line.strip_prefix("| `")?.split('`').next()?)))
        .collect();
    let used = external_dependencies(manifest);
    let missing = used.iter().filter(|(_, name)| !explained.iter().any(|(_, row)| row == name)).map(
        |(number, name)| {
            Finding::at(
                "Cargo.toml",
                *number,
                format!("give `{name}` a row in docs/dependencies.md: why this one"),
            )
        },
    );
    let stale =
        explained.iter().filter(|(_, row)| !used.iter().any(|(_, name)| name == row)).map(|(number, row)| {
            Finding::at(
                "docs/dependencies.md",
                *number,
                format!("`{row}` is no dependency: take the row out"),
            )
        });
    missing.chain(stale).collect()
}

/// Entries of `[workspace.dependencies]` that are not our own crates, with their lines.
fn external_dependencies(manifest: &str) -> Vec<(usize, &str)> {
    (1..)
        .zip(manifest.lines())
        .skip_while(|(_, line)| line.trim() != "[workspace.dependencies]")
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('['))
        .filter_map(|(number, line)| {
            let (name, value) = line.split_once('=')?;
            let name = name.trim().trim_end_matches(".workspace");
            let is_name = !name.is_empty() && !name.contains(['#', ' ', '"', '{']);
            (is_name && !value.contains("path =")).then_some((number, name))
        })
        .collect()
}

/// docs/requirements.md: no ID twice, none left out of a group, and the table at its head counts right.
pub(super) fn requirements(repo: &Repo) -> Vec<Finding> {
    match repo.text(catalogue::PATH) {
        Some(text) => inconsistent(text),
        None => vec![Finding::about(catalogue::PATH, "is missing")],
    }
}

fn inconsistent(text: &str) -> Vec<Finding> {
    let catalogue = Catalogue::parse(text);
    let mut findings = Vec::new();
    for (group, rows) in catalogue.groups() {
        for (expected, row) in (1..).zip(&rows) {
            if row.number != expected {
                let advice =
                    format!("`{}`: expected {group}-{expected:02}; IDs run on and are never reused", row.id);
                findings.push(Finding::at(catalogue::PATH, row.line, advice));
                break;
            }
        }
        let counted = text.lines().find_map(|line| counted_rows(line, &group));
        if counted != Some(rows.len()) {
            let advice = format!("{group} has {} rows: put that into the table of counts", rows.len());
            findings.push(Finding::about(catalogue::PATH, advice));
        }
    }
    findings
}

/// docs/attacks.md: no ID twice or left out, and the table at its head counts right.
pub(super) fn attacks(repo: &Repo) -> Vec<Finding> {
    match repo.text(catalogue::ATTACKS_PATH) {
        Some(text) => miscounted(text),
        None => vec![Finding::about(catalogue::ATTACKS_PATH, "is missing")],
    }
}

fn miscounted(text: &str) -> Vec<Finding> {
    let catalogue = Catalogue::default().and_attacks(text);
    let mut findings = Vec::new();
    if let Some((expected, row)) = (1..).zip(catalogue.rows()).find(|(expected, row)| row.number != *expected)
    {
        let advice = format!("`{}`: expected ATK-{expected:03}; IDs run on and are never reused", row.id);
        findings.push(Finding::at(catalogue::ATTACKS_PATH, row.line, advice));
    }
    let groups = catalogue.groups();
    let counts =
        groups.iter().map(|(group, rows)| (format!("{}. ", group.trim_start_matches("ATK-")), rows.len()));
    for (name, count) in counts.chain([("**all**".to_owned(), catalogue.rows().len())]) {
        if text.lines().find_map(|line| counted_entries(line, &name)) != Some(count) {
            let advice =
                format!("{} has {count} entries: put that into the table of counts", name.trim_end());
            findings.push(Finding::about(catalogue::ATTACKS_PATH, advice));
        }
    }
    findings
}

/// `| A. Proof header | 17 |`: 17 for `A. `.
fn counted_entries(line: &str, name: &str) -> Option<usize> {
    let (_, entries) = line.strip_prefix("| ")?.strip_prefix(name)?.split_once('|')?;
    entries.trim_matches([' ', '|', '*']).parse().ok()
}

/// `| B | AS-TOK | Token endpoint with DPoP | 15 | …`: 15 for `AS-TOK`.
fn counted_rows(line: &str, group: &str) -> Option<usize> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    match cells.as_slice() {
        ["", _, name, _, rows, ..] if *name == group => rows.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
