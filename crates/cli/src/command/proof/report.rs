//! The report on a proof: for people and for programs.

use crate::output::{Style, plain, plain_json};
use keybound_dpop::proof::error::Check;
use keybound_dpop::proof::inspect::{Finding, Inspection, Verdict};
use serde_json::{Value, json};
use std::process::ExitCode;

/// 0 only if no rule failed.
pub(super) fn exit_code(inspection: &Inspection) -> ExitCode {
    if inspection.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All of it, for people.
pub(super) fn text(inspection: &Inspection, style: Style) -> String {
    let mut text = String::new();
    let parts = [("Header", &inspection.header), ("Claims", &inspection.claims)];
    for (title, json) in parts {
        let json = json.as_ref().map_or_else(|| "not shown: see below".to_owned(), |json| plain_json(json));
        text.push_str(&format!("{}\n{}\n", style.strong(title), indent(&json)));
    }
    let jkt = inspection.jkt.map_or_else(|| "none that can be used".to_owned(), |jkt| jkt.to_string());
    text.push_str(&format!("{}\n  {jkt}\n", style.strong("Thumbprint of the key")));
    text.push_str(&format!("{}\n", style.strong("Rules")));
    for finding in &inspection.findings {
        text.push_str(&line(finding, style));
    }
    text.push_str(&summary(inspection, style));
    text
}

/// What fails, or whose key it is, for people.
pub(super) fn verdict(inspection: &Inspection, style: Style) -> String {
    let failed = inspection.findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Fails(_)));
    let mut text: String = failed.map(|finding| line(finding, style)).collect();
    if inspection.holds() {
        let jkt = inspection.jkt.map(|jkt| jkt.to_string()).unwrap_or_default();
        text.push_str(&format!("{}  signed with the key {jkt}\n", style.good("good")));
    } else {
        text.push_str(&summary(inspection, style));
    }
    text
}

/// All of it, for programs.
pub(super) fn json(inspection: &Inspection) -> Value {
    let parsed =
        |text: &Option<String>| text.as_ref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "holds": inspection.holds(),
        "jkt": inspection.jkt.map(|jkt| jkt.to_string()),
        "header": parsed(&inspection.header),
        "claims": parsed(&inspection.claims),
        "findings": inspection.findings.iter().map(finding_json).collect::<Value>(),
    })
}

fn finding_json(finding: &Finding) -> Value {
    let rule = finding.check.rule();
    let mut json = json!({
        "name": finding.name,
        "verdict": word(&finding.verdict).1,
        "row": rule.id,
        "item": rule.item,
    });
    if let (Verdict::Fails(refusal), Some(members)) = (&finding.verdict, json.as_object_mut()) {
        members.insert("rule".to_owned(), rule.rule.into());
        members.insert("what".to_owned(), refusal.for_log().into());
        members.insert("advice".to_owned(), rule.advice.into());
    }
    json
}

/// The verdict in a word: for people, for programs.
const fn word(verdict: &Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Holds => ("holds", "holds"),
        Verdict::Fails(_) => ("FAILS", "fails"),
        Verdict::NotAsked => ("not asked", "not_asked"),
        Verdict::NotReached => ("not reached", "not_reached"),
    }
}

fn line(finding: &Finding, style: Style) -> String {
    let padded = format!("{:<11}", word(&finding.verdict).0);
    let rule = finding.check.rule();
    match &finding.verdict {
        Verdict::Holds => format!("  {}  {:<25} {}\n", style.good(&padded), finding.name, rule.id),
        Verdict::Fails(refusal) => format!(
            "  {}  {:<25} {}\n               {} {}\n",
            style.bad(&padded),
            finding.name,
            plain(&refusal.for_log()),
            style.strong("next:"),
            rule.advice
        ),
        Verdict::NotAsked => {
            let how = format!("{:<25} {} ({})", finding.name, rule.id, how_to_ask(finding.check));
            format!("  {}\n", style.faint(&format!("{padded}  {how}")))
        }
        Verdict::NotReached => format!("  {}\n", style.faint(&format!("{padded}  {}", finding.name))),
    }
}

/// What to add to the command line to have the rule asked about.
const fn how_to_ask(check: Check) -> &'static str {
    match check {
        Check::Htm => "add --method",
        Check::Htu => "add --url",
        Check::Ath => "add --token-file",
        Check::KeyBinding => "add --jkt",
        Check::IatPast | Check::Validity => "add --now or --time",
        Check::NonceUnknown => "only the server can tell",
        _ => "nothing to hold it against",
    }
}

fn summary(inspection: &Inspection, style: Style) -> String {
    let count = |wanted: &str| {
        inspection.findings.iter().filter(|finding| word(&finding.verdict).1 == wanted).count()
    };
    let unasked = match count("not_asked") {
        0 => String::new(),
        unasked => format!(", {unasked} not asked"),
    };
    match (count("fails"), count("not_reached")) {
        (0, 0) => format!("{}: {} rules hold{unasked}\n", style.good("Nothing fails"), count("holds")),
        (failed, unreached) => {
            let unreached = if unreached == 0 { String::new() } else { format!(", {unreached} not reached") };
            let failed = style.bad(&format!("{failed} failed"));
            format!("{failed}, {} hold{unasked}{unreached}\n", count("holds"))
        }
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
