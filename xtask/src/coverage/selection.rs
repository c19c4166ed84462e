//! Which rows a person asked about: `AS-TOK,AS-COD-01..03,DPOP-HTU-05,ATK-A,ATK-017`.

use super::catalogue::{self, Catalogue, Row};

/// Rows asked for; all of them when nothing was said.
#[derive(Debug)]
pub(super) struct Selection(Vec<Item>);

/// Rows of a group, from one number to another.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    text: String,
    group: String,
    first: u32,
    last: u32,
}

impl Selection {
    pub(super) fn everything() -> Self {
        Self(Vec::new())
    }

    pub(super) fn parse(list: &str) -> Result<Self, String> {
        list.split(',').map(|text| item(text.trim())).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn takes(&self, row: &Row) -> bool {
        self.0.is_empty() || self.0.iter().any(|item| item.takes(row))
    }

    /// A misspelt group must not look like one that is complete.
    pub(super) fn must_exist_in(&self, catalogue: &Catalogue) -> Result<(), String> {
        match self.0.iter().find(|item| !catalogue.rows().iter().any(|row| item.takes(row))) {
            Some(item) => Err(format!("neither catalogue has a row `{}`", item.text)),
            None => Ok(()),
        }
    }
}

impl Item {
    fn takes(&self, row: &Row) -> bool {
        // The numbers of attacks run on over all their groups.
        let is_family = catalogue::split(&row.id).is_some_and(|(family, _)| family == self.group);
        (is_family || row.group == self.group) && (self.first..=self.last).contains(&row.number)
    }
}

fn item(text: &str) -> Result<Item, String> {
    let (start, end) = match text.split_once("..") {
        Some((start, end)) => (start, Some(end)),
        None => (text, None),
    };
    let wrong =
        || format!("`{text}` is neither a group (AS-TOK), a row (AS-TOK-01) nor a range (AS-TOK-01..03)");
    let (group, first, last) = match (catalogue::split(start), end) {
        (Some((group, first)), Some(end)) => (group, first, end.parse().map_err(|_| wrong())?),
        (Some((group, number)), None) => (group, number, number),
        (None, None) if !start.is_empty() => (start, 0, u32::MAX),
        (None, _) => return Err(wrong()),
    };
    Ok(Item { text: text.into(), group: group.into(), first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(list: &str) -> Vec<String> {
        let text = "| AS-COD-01 | MUST |\n| AS-COD-02 | MUST |\n| AS-COD-03 | MAY |\n| FMS-01 | MUST |\n";
        let selection = Selection::parse(list).unwrap();
        let catalogue = Catalogue::parse(text);
        catalogue.rows().iter().filter(|row| selection.takes(row)).map(|row| row.id.clone()).collect()
    }

    #[test]
    fn groups_rows_and_ranges_are_taken() {
        assert_eq!(taken("AS-COD"), ["AS-COD-01", "AS-COD-02", "AS-COD-03"]);
        assert_eq!(taken("AS-COD-02"), ["AS-COD-02"]);
        assert_eq!(taken("AS-COD-01..02, FMS"), ["AS-COD-01", "AS-COD-02", "FMS-01"]);
    }

    #[test]
    fn attacks_are_taken_by_group_by_number_and_all() {
        let text = "## A. One\n| ATK-001 |\n| ATK-002 |\n## B. Two\n| ATK-003 |\n";
        let catalogue = Catalogue::default().and_attacks(text);
        let taken = |list: &str| {
            let selection = Selection::parse(list).unwrap();
            catalogue
                .rows()
                .iter()
                .filter(|row| selection.takes(row))
                .map(|row| row.number)
                .collect::<Vec<_>>()
        };
        assert_eq!(taken("ATK-A"), [1, 2]);
        assert_eq!(taken("ATK-002..003"), [2, 3]);
        assert_eq!(taken("ATK-001, ATK-B"), [1, 3]);
        assert_eq!(taken("ATK"), [1, 2, 3]);
    }

    #[test]
    fn nonsense_is_refused() {
        for list in ["", "AS-COD..03", "AS-COD-01..x", "AS-COD,,FMS"] {
            assert!(Selection::parse(list).is_err(), "{list}");
        }
    }
}
