//! The repository: where it is, which files it has, what is in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;

/// A checkout, with the text of every file that is tracked or could be.
pub(crate) struct Repo {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<SourceFile>,
}

/// A text file of the repository, its path relative to the root and written with `/`.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl SourceFile {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// The lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }
}

impl Repo {
    /// Reads the repository this command belongs to.
    pub(crate) fn open() -> Result<Self, String> {
        let root = root()?;
        let mut paths = match tracked(&root) {
            Some(paths) => paths,
            None => walk(&root),
        };
        paths.sort();
        paths.dedup();
        let files = paths
            .into_iter()
            .filter_map(|path| {
                fs::read_to_string(root.join(&path)).ok().map(|text| SourceFile { path, text })
            })
            .collect();
        Ok(Self { root, files })
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }
}

/// The folder above this package's, wherever `cargo xtask` was typed.
pub(crate) fn root() -> Result<PathBuf, String> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = match package.as_deref().and_then(Path::parent) {
        Some(root) => root.to_path_buf(),
        None => std::env::current_dir().map_err(|error| format!("no working directory: {error}"))?,
    };
    if root.join("Cargo.lock").is_file() {
        Ok(root)
    } else {
        Err(format!("{} has no Cargo.lock; run `cargo xtask` inside the repository", root.display()))
    }
}

/// A `git` that reads this checkout even when another user owns it, as is usual in containers.
pub(crate) fn git(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.current_dir(root).args(["-c", "safe.directory=*"]).args(arguments);
    command
}

/// Files that git tracks, and new ones that it does not ignore. `None` outside a git checkout.
fn tracked(root: &Path) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    let listing =
        run::output(&mut git(root, &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))
            .ok()?;
    Some(listing.split('\0').filter(|path| !path.is_empty()).map(String::from).collect())
}

/// Every file below the root, build output left out: for a source archive, which has no git.
fn walk(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && name != ".git" {
                folders.push(path);
            } else if path.is_file()
                && let Ok(relative) = path.strip_prefix(root)
            {
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_finds_itself_with_and_without_git() {
        let repo = Repo::open().unwrap();
        assert!(repo.text("xtask/src/repo.rs").is_some_and(|text| text.contains("fn walk")));
        let walked = walk(&repo.root);
        assert!(walked.iter().any(|path| path == "xtask/src/repo.rs"));
        assert!(walked.iter().all(|path| !path.starts_with("target/") && !path.starts_with(".git/")));
    }
}
