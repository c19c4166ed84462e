//! `keybound proof rules`

use crate::error::CommandError;
use crate::output;
use keybound_dpop::proof::error::Check;
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound proof rules > docs/rules.md

The IDs are those that refusals, logs and audit events carry.";

const HEAD: &str = "\
# Rules for proofs

Every way in which a DPoP proof can fail, as `keybound proof rules` prints it: the same table that the provider, the
gateway and the inspector run. Grouped by the items of
[RFC 9449 section 4.3](https://www.rfc-editor.org/rfc/rfc9449#section-4.3). The ID is what a refusal names, on the wire
and in the log; the [requirements](requirements.md) say more about each.
";

/// What the items of RFC 9449 §4.3 are about; 0 stands for §11.1.
const ITEMS: [(u8, &str); 13] = [
    (1, "Item 1: one `DPoP` header field"),
    (2, "Item 2: one well-formed JWT"),
    (3, "Item 3: all required claims"),
    (4, "Item 4: `typ`"),
    (5, "Item 5: `alg`"),
    (6, "Item 6: the signature and its key"),
    (7, "Item 7: no private key"),
    (8, "Item 8: `htm`"),
    (9, "Item 9: `htu`"),
    (10, "Item 10: the nonce"),
    (11, "Item 11: the time"),
    (12, "Item 12: the access token"),
    (0, "Section 11.1: once only"),
];

/// Print all rules for proofs, as Markdown
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {}

pub(crate) fn run() -> Result<ExitCode, CommandError> {
    output::data(page().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (item, title) in ITEMS {
        page.push_str(&format!("\n## {title}\n\n| ID | Rule | What to do |\n|---|---|---|\n"));
        for rule in Check::ALL.iter().map(|check| check.rule()).filter(|rule| rule.item == item) {
            page.push_str(&format!("| {} | {} | {} |\n", rule.id, rule.rule, rule.advice));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_on_the_page_once() {
        let page = page();
        for check in Check::ALL {
            let row = format!("| {} | {} |", check.rule().id, check.rule().rule);
            assert_eq!(page.matches(&row).count(), 1, "{row}");
        }
        assert!(!page.contains("|---|---|---|\n\n"), "an item without rules");
    }
}
