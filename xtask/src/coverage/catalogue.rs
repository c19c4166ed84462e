//! docs/requirements.md as data: its rows, by their IDs.

use std::collections::BTreeMap;

/// Where the catalogue is.
pub(crate) const PATH: &str = "docs/requirements.md";

const LEVELS: &[&str] = &["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"];

/// One requirement: `| AS-TOK-01 | MUST | … |`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// `AS-TOK-01`
    pub(crate) id: String,
    /// `AS-TOK`
    pub(crate) group: String,
    /// 1
    pub(crate) number: u32,
    /// The line it stands in, from 1.
    pub(crate) line: usize,
}

/// All requirements, in the order of the document.
#[derive(Debug)]
pub(crate) struct Catalogue(Vec<Row>);

impl Catalogue {
    pub(crate) fn parse(text: &str) -> Self {
        Self((1..).zip(text.lines()).filter_map(|(number, line)| row(number, line)).collect())
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.0
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|row| row.id == id)
    }

    /// Whether any ID begins with this word, as `AS-TOK-01` begins with `as`.
    pub(crate) fn has_family(&self, word: &str) -> bool {
        self.0.iter().any(|row| row.id.split('-').next().is_some_and(|family| family.to_lowercase() == word))
    }

    pub(crate) fn groups(&self) -> BTreeMap<String, Vec<&Row>> {
        let mut groups: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for row in &self.0 {
            groups.entry(row.group.clone()).or_default().push(row);
        }
        groups
    }
}

/// A table row whose first cell is an ID and whose second is a level; other tables mention IDs too.
fn row(line_number: usize, line: &str) -> Option<Row> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let id = cells.next()?;
    let level = cells.next()?;
    let (group, number) = split(id)?;
    LEVELS.contains(&level).then(|| Row { id: id.into(), group: group.into(), number, line: line_number })
}

/// `AS-TOK-01` is the group `AS-TOK` and the number 1.
pub(crate) fn split(id: &str) -> Option<(&str, u32)> {
    let (group, number) = id.rsplit_once('-')?;
    let is_group =
        group.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-');
    (number.len() == 2 && is_group && !group.is_empty()).then_some((group, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::Repo;

    #[test]
    fn rows_are_told_from_other_tables() {
        let text = "| ID | Level |\n|---|---|\n| AS-TOK-07 | MUST NOT | x |\n| DEC-01 | Rotate? | y |\n| 1 | a | AS-TOK-01 |\n";
        let expected = Row { id: "AS-TOK-07".into(), group: "AS-TOK".into(), number: 7, line: 3 };
        assert_eq!(Catalogue::parse(text).rows(), [expected]);
    }

    #[test]
    fn ids_split_into_group_and_number() {
        assert_eq!(split("OIDC-LG2-04"), Some(("OIDC-LG2", 4)));
        assert_eq!(split("FMS-07"), Some(("FMS", 7)));
        assert_eq!(split("AS-TOK"), None);
        assert_eq!(split("as-tok-01"), None);
    }

    #[test]
    fn the_catalogue_of_the_repository_is_read_whole() {
        let repo = Repo::open().unwrap();
        let text = repo.text(PATH).unwrap();
        let catalogue = Catalogue::parse(text);
        let total = text.lines().find(|line| line.starts_with("| **all** |")).unwrap();
        let counted: usize = total.split('|').nth(4).unwrap().trim().trim_matches('*').parse().unwrap();
        assert_eq!(catalogue.rows().len(), counted);
    }
}
