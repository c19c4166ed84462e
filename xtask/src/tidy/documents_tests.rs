use super::*;

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.into(), text: text.into() }
}

#[test]
fn a_path_of_a_machine_is_found_and_a_path_that_only_looks_like_it_is_not() {
    for path in MACHINE_PATHS {
        assert_eq!(paths_in(&file("a.md", &format!("see `{path}me/key.pem`"))).len(), 1, "{path}");
        assert_eq!(paths_in(&file("a.md", &format!("{path}me"))).len(), 1, "{path}");
        assert_eq!(paths_in(&file("a.rs", &format!("\"https://host{path}page\""))), []);
    }
}

#[test]
fn a_ticket_is_found_and_the_verb_is_not() {
    let ticket = concat!("iss", "ue");
    assert_eq!(words_in(&file("a.md", &format!("see {ticket} 12"))).len(), 1);
    assert_eq!(words_in(&file("a.md", &format!("See {} #3.", ticket.to_uppercase()))).len(), 1);
    assert_eq!(words_in(&file("a.md", &format!("we {ticket} tokens, and re{ticket} 3 of them"))), []);
}

#[test]
fn a_file_that_is_not_ours_is_not_named() {
    assert_eq!(words_in(&file("a.md", &FOREIGN_FILE.to_uppercase())).len(), 1);
}

#[test]
fn a_dead_link_is_found_with_its_line() {
    let exists = |path: &Path| path == Path::new("docs/choices.md") || path == Path::new("LICENSE-MIT");
    let text = "fine: [a](choices.md#time), [b](../LICENSE-MIT), [c](https://h/x), [d](#here)\n\
                ```\n[in code](nowhere.md)\n```\n\
                [e](gone.md)\n[f](../../out.md)\n";
    let findings = dead_links(&file("docs/guide.md", text), &exists);
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert_eq!(
        lines,
        ["docs/guide.md:5: `gone.md` leads nowhere", "docs/guide.md:6: `../../out.md` leads nowhere"]
    );
}

#[test]
fn dependencies_are_read_from_the_manifest_without_our_own() {
    let manifest = "[workspace]\nmembers = []\n\n[workspace.dependencies]\n# ours\n\
                    keybound-dpop = { path = \"crates/dpop\" }\n\nurl = \"2\"\n\
                    http = { version = \"1\" }\n[profile.dev]\ndebug = 1\n";
    assert_eq!(external_dependencies(manifest), [(8, "url"), (9, "http")]);
}

#[test]
fn a_dependency_without_a_row_and_a_row_without_a_dependency_are_found() {
    let manifest = "[workspace.dependencies]\nurl = \"2\"\nhttp = \"1\"\n";
    let page = "| crate | why |\n|---|---|\n| `url` | parses |\n| `gone` | was |\n";
    let lines: Vec<String> = unexplained(manifest, page).iter().map(Finding::to_string).collect();
    assert_eq!(
        lines,
        [
            "Cargo.toml:3: give `http` a row in docs/dependencies.md: why this one",
            "docs/dependencies.md:4: `gone` is no dependency: take the row out"
        ]
    );
}

#[test]
fn a_gap_a_repeated_id_and_a_wrong_count_are_found() {
    let head = |count: usize| format!("| B | AS-TOK | Tokens | {count} | 1 | 1 | 0 |\n");
    let row = |id: &str| format!("| {id} | MUST | x | y | z |\n");
    let good = head(2) + &row("AS-TOK-01") + &row("AS-TOK-02");
    assert_eq!(inconsistent(&good), []);
    let gap = head(2) + &row("AS-TOK-01") + &row("AS-TOK-03");
    assert_eq!(inconsistent(&gap).len(), 1);
    let twice = head(2) + &row("AS-TOK-01") + &row("AS-TOK-01");
    assert_eq!(inconsistent(&twice).len(), 1);
    let miscounted = head(3) + &row("AS-TOK-01") + &row("AS-TOK-02");
    assert_eq!(inconsistent(&miscounted).len(), 1);
}

#[test]
fn an_attack_that_is_missing_twice_or_miscounted_is_found() {
    let head = |a: usize, all: usize| format!("| A. Proofs | {a} |\n| **all** | **{all}** |\n## A. Proofs\n");
    let row = |id: &str| format!("| {id} | Two | x | AS |\n");
    let good = head(2, 2) + &row("ATK-001") + &row("ATK-002");
    assert_eq!(miscounted(&good), []);
    assert_eq!(miscounted(&(head(2, 2) + &row("ATK-001") + &row("ATK-003"))).len(), 1);
    assert_eq!(miscounted(&(head(2, 2) + &row("ATK-001") + &row("ATK-001"))).len(), 1);
    assert_eq!(miscounted(&(head(3, 2) + &row("ATK-001") + &row("ATK-002"))).len(), 1);
    assert_eq!(miscounted(&(head(2, 3) + &row("ATK-001") + &row("ATK-002"))).len(), 1);
}
