//! docs/requirements.md and docs/attacks.md as data: their rows, by their IDs.

use std::collections::BTreeMap;

use crate::repo::Repo;

/// Where the requirements are.
pub(crate) const PATH: &str = "docs/requirements.md";

/// Where the attacks are.
pub(crate) const ATTACKS_PATH: &str = "docs/attacks.md";

/// What the IDs of attacks begin with.
const ATTACK: &str = "ATK";

const LEVELS: &[&str] = &["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"];

/// One requirement, `| AS-TOK-01 | MUST | … |`, or one attack, `| ATK-001 | Two proofs | … |`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// `AS-TOK-01`, `ATK-001`
    pub(crate) id: String,
    /// `AS-TOK`; for an attack the section that it stands in, `ATK-A`
    pub(crate) group: String,
    /// 1
    pub(crate) number: u32,
    /// The line it stands in, from 1.
    pub(crate) line: usize,
}

/// Rows in the order of the documents.
#[derive(Debug, Default)]
pub(crate) struct Catalogue(Vec<Row>);

impl Catalogue {
    /// Both documents of the repository.
    pub(crate) fn of(repo: &Repo) -> Result<Self, String> {
        let text = |path| repo.text(path).ok_or(format!("{path} is missing"));
        Ok(Self::parse(text(PATH)?).and_attacks(text(ATTACKS_PATH)?))
    }

    /// Requirements.
    pub(crate) fn parse(text: &str) -> Self {
        Self((1..).zip(text.lines()).filter_map(|(number, line)| row(number, line)).collect())
    }

    /// And attacks, each in the section whose heading, `## A. …`, it stands below.
    pub(crate) fn and_attacks(mut self, text: &str) -> Self {
        let mut group = None;
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(heading) = line.strip_prefix("## ") {
                group = heading.split_once(". ").map(|(letter, _)| format!("{ATTACK}-{letter}"));
            }
            self.0.extend(group.as_deref().and_then(|group| attack(number, line, group)));
        }
        self
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

/// A table row whose first cell is the ID of an attack, below the heading of a group.
fn attack(line_number: usize, line: &str, group: &str) -> Option<Row> {
    let id = line.strip_prefix('|')?.split('|').next()?.trim();
    let (family, number) = split(id)?;
    (family == ATTACK).then(|| Row { id: id.into(), group: group.into(), number, line: line_number })
}

/// `AS-TOK-01` is the group `AS-TOK` and the number 1; `ATK-001` is the family `ATK` and the number 1.
pub(crate) fn split(id: &str) -> Option<(&str, u32)> {
    let (group, number) = id.rsplit_once('-')?;
    let is_group =
        group.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-');
    (number.len() == digits(group) && is_group && !group.is_empty()).then_some((group, number.parse().ok()?))
}

/// How many digits the numbers of a group have.
pub(crate) fn digits(group: &str) -> usize {
    if group.eq_ignore_ascii_case(ATTACK) { 3 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(split("ATK-017"), Some(("ATK", 17)));
        assert_eq!(split("AS-TOK"), None);
        assert_eq!(split("ATK-17"), None);
        assert_eq!(split("AS-TOK-017"), None);
        assert_eq!(split("as-tok-01"), None);
    }

    #[test]
    fn attacks_belong_to_the_section_they_stand_in() {
        let text = "| ATK-001 | before any |\n## A. Proofs\n| ATK-001 | Two proofs | x |\n## Steps\n\
                    | ATK-002 | in no group |\n## B. Keys\n| ID | Attack |\n| ATK-002 | alg none | ATK-001 |\n";
        let row =
            |id: &str, group: &str, number, line| Row { id: id.into(), group: group.into(), number, line };
        let expected = [row("ATK-001", "ATK-A", 1, 3), row("ATK-002", "ATK-B", 2, 8)];
        assert_eq!(Catalogue::default().and_attacks(text).rows(), expected);
    }

    #[test]
    fn the_catalogues_of_the_repository_are_read_whole() {
        let repo = Repo::open().unwrap();
        let counted = |path, cell| {
            let total =
                repo.text(path).unwrap().lines().find(|line| line.starts_with("| **all** |")).unwrap();
            total.split('|').nth(cell).unwrap().trim().trim_matches('*').parse::<usize>().unwrap()
        };
        let all = Catalogue::of(&repo).unwrap();
        assert_eq!(all.rows().len(), counted(PATH, 4) + counted(ATTACKS_PATH, 2));
    }
}
