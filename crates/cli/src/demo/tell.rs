//! Telling the story: to a person on a terminal, or to a program as JSON.

use super::story::{Attempt, Step, Story};
use super::wire::Message;
use crate::output::{Style, plain};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Letters of a token or proof that are shown of it; the rest stands decoded below.
const SHOWN: usize = 24;
/// Width of the text.
const WIDTH: usize = 100;

/// For a person.
pub(crate) fn to_person(story: &Story, style: Style) -> String {
    let mut out = String::new();
    for step in &story.steps {
        tell_step(&mut out, step, style);
    }
    let _ = writeln!(
        out,
        "{}\n",
        style.strong("The thief has the access token, and has recorded the client's requests.")
    );
    for attempt in &story.attempts {
        tell_attempt(&mut out, attempt, style);
    }
    let end = if story.holds() {
        style.good("All eight steps were seen on the wire, and every theft was refused.")
    } else {
        style.bad("Not everything happened as it should: see the lines marked NO.")
    };
    let _ = writeln!(out, "{end}");
    out
}

fn tell_step(out: &mut String, step: &Step, style: Style) {
    let way =
        if step.from == step.to { step.from.to_owned() } else { format!("{} -> {}", step.from, step.to) };
    let _ = writeln!(
        out,
        "{} {}",
        style.strong(&format!("Step {}", step.number)),
        style.faint(&format!("[{way}]"))
    );
    let _ = writeln!(out, "  {}", style.strong(step.title));
    if let Some(message) = &step.message {
        tell_message(out, message, style);
    }
    for (label, value) in &step.decoded {
        let _ = writeln!(out, "    {}", style.faint(&format!("{label}:")));
        for line in pretty(value).lines() {
            let _ = writeln!(out, "      {line}");
        }
    }
    for fact in &step.facts {
        let mark = if fact.holds { style.good("ok") } else { style.bad("NO") };
        let _ = writeln!(out, "    {mark} {}", fact.what);
    }
    out.push('\n');
}

fn tell_message(out: &mut String, message: &Message, style: Style) {
    let bar = style.faint("|");
    let _ = writeln!(out, "    {bar} {}", plain(&message.first_line));
    for (name, value) in message.headers.iter().filter(|(name, _)| is_of_interest(name)) {
        let _ = writeln!(out, "    {bar} {}: {}", style.strong(&plain(name)), shorten(&plain(value)));
    }
    let body = String::from_utf8_lossy(&message.body);
    if body.is_empty() {
        return;
    }
    let _ = writeln!(out, "    {bar}");
    let parts: Vec<String> = match message.json() {
        Some(Value::Object(members)) => {
            members.iter().map(|(name, value)| format!("{name}: {}", shorten(&text_of(value)))).collect()
        }
        _ => body
            .split('&')
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                format!("{name}={}", shorten(value))
            })
            .collect(),
    };
    for part in parts {
        let _ = writeln!(out, "    {bar} {}", plain(&part));
    }
}

/// Headers that have a part in the story.
fn is_of_interest(name: &str) -> bool {
    let names =
        ["authorization", "dpop", "dpop-nonce", "www-authenticate", "content-type", "cache-control", "host"];
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn tell_attempt(out: &mut String, attempt: &Attempt, style: Style) {
    let mark =
        if attempt.refused { style.good("refused") } else { style.bad("NO: not refused as it should be") };
    let _ = writeln!(out, "  {} The thief {}", style.strong("*"), attempt.title);
    let _ = writeln!(out, "    {}", style.faint(&plain(&attempt.request.first_line)));
    let _ = writeln!(out, "    {mark}: {} {}", attempt.status, plain(&attempt.error));
    let _ = writeln!(out, "    {}\n", plain(&attempt.reason));
}

/// Long words lose their middle and end: tokens, proofs, codes.
fn shorten(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.char_indices().nth(SHOWN) {
        Some((end, _)) if word.len() > 2 * SHOWN => {
            format!("{}... ({} characters)", word.get(..end).unwrap_or_default(), word.len())
        }
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// JSON over several lines, but each member of the outer object on one where that fits.
fn pretty(value: &Value) -> String {
    let Value::Object(members) = value else { return value.to_string() };
    let mut lines = Vec::new();
    for (name, value) in members {
        let line = format!("{name}: {}", text_of(value));
        lines.push(match line.char_indices().nth(WIDTH) {
            Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
            None => line,
        });
    }
    plain(&lines.join("\u{1}")).replace("\\u{1}", "\n")
}

/// For a program.
pub(crate) fn to_program(story: &Story) -> Value {
    let steps: Vec<Value> = story.steps.iter().map(step_json).collect();
    let thefts: Vec<Value> = story
        .attempts
        .iter()
        .map(|attempt| {
            json!({
                "title": attempt.title,
                "request": message_json(&attempt.request),
                "status": attempt.status,
                "error": attempt.error,
                "reason": attempt.reason,
                "refused": attempt.refused,
            })
        })
        .collect();
    json!({ "ok": story.holds(), "steps": steps, "thefts": thefts })
}

fn step_json(step: &Step) -> Value {
    let decoded: serde_json::Map<String, Value> =
        step.decoded.iter().map(|(label, value)| ((*label).to_owned(), value.clone())).collect();
    let facts: Vec<Value> =
        step.facts.iter().map(|fact| json!({ "what": fact.what, "holds": fact.holds })).collect();
    json!({
        "number": step.number,
        "title": step.title,
        "from": step.from,
        "to": step.to,
        "observed": step.facts.iter().all(|fact| fact.holds),
        "message": step.message.as_ref().map(message_json),
        "decoded": decoded,
        "facts": facts,
    })
}

fn message_json(message: &Message) -> Value {
    let headers: Vec<Value> = message.headers.iter().map(|(name, value)| json!([name, value])).collect();
    json!({
        "first_line": message.first_line,
        "headers": headers,
        "body": String::from_utf8_lossy(&message.body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_shortened_and_short_ones_are_not() {
        assert_eq!(shorten("DPoP abc"), "DPoP abc");
        let long = "x".repeat(100);
        assert_eq!(shorten(&format!("DPoP {long}")), format!("DPoP {}... (100 characters)", "x".repeat(24)));
    }
}
