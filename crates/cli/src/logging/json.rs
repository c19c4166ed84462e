//! An event as a line of JSON.

use super::Lines;
use std::cell::Cell;
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;

thread_local! {
    /// Where this thread writes its next line: its room is kept.
    static ROOM: Cell<String> = const { Cell::new(String::new()) };
}

/// Each event is a line: `timestamp`, `level`, its fields, `target`. Written by hand, because two such lines belong to every
/// token that is issued.
pub(super) struct JsonLines(pub(super) Lines);

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = ROOM.try_with(Cell::take).unwrap_or_default();
        line.clear();
        // Writing to a `String` fails only where a field does, whose line is then as far as it came.
        let _ = write_event(&mut line, event);
        self.0.put(&line, *event.metadata().level() <= Level::WARN);
        // Where the thread is about to end, nothing is kept.
        let _ = ROOM.try_with(|room| room.set(line));
    }
}

fn write_event(line: &mut String, event: &Event<'_>) -> fmt::Result {
    let about = event.metadata();
    line.push_str(r#"{"timestamp":""#);
    SystemTime.format_time(&mut Writer::new(line))?;
    line.push_str(r#"","level":""#);
    line.push_str(about.level().as_str());
    line.push('"');
    let mut members = Members(line);
    event.record(&mut members);
    members.text("target", about.target());
    line.push_str("}\n");
    Ok(())
}

/// Writes fields as members of an object that was begun.
struct Members<'a>(&'a mut String);

impl Members<'_> {
    fn name(&mut self, name: &str) {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.0.push('"');
        escape(self.0, text);
        self.0.push('"');
    }

    fn number(&mut self, field: &Field, number: fmt::Arguments<'_>) {
        self.name(field.name());
        // A number can be written.
        let _ = self.0.write_fmt(number);
    }
}

impl Visit for Members<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field.name());
        self.0.push('"');
        // What cannot be written ends where it failed, and the line is still JSON.
        let _ = write!(Escape(self.0), "{value:?}");
        self.0.push('"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field.name());
        self.0.push_str(if value { "true" } else { "false" });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, format_args!("{value}"));
    }
}

/// What is written through it may stand in a JSON string.
struct Escape<'a>(&'a mut String);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// Appends the text as it may stand in a JSON string (RFC 8259 §7).
fn escape(line: &mut String, text: &str) {
    let mut rest = text;
    let must_be = |octet: u8| matches!(octet, b'"' | b'\\' | 0..0x20);
    while let Some((before, char, after)) =
        rest.bytes().position(must_be).and_then(|at| split_around(rest, at))
    {
        line.push_str(before);
        match char {
            '"' | '\\' => line.extend(['\\', char]),
            _ => {
                let _ = write!(line, "\\u{:04x}", u32::from(char));
            }
        }
        rest = after;
    }
    line.push_str(rest);
}

/// A character, with what is before it and what is after.
fn split_around(text: &str, at: usize) -> Option<(&str, char, &str)> {
    let (before, rest) = text.split_at_checked(at)?;
    let mut after = rest.chars();
    let char = after.next()?;
    Some((before, char, after.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::lines::tests::kept;
    use super::*;
    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt;

    /// What `log` writes, line by line.
    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let (written, lines) = kept();
        let subscriber = tracing_subscriber::registry().with(JsonLines(lines));
        tracing::subscriber::with_default(subscriber, log);
        written.try_iter().map(|line| serde_json::from_str(&line).unwrap()).collect()
    }

    #[test]
    fn ops_log_04_an_event_is_one_line_of_json_whatever_is_in_it() {
        let odd = "a\"b\\c\r\n\t\u{0}\u{1b}[31m é \u{2028}";
        let none: Option<&str> = None;
        let lines = logged(|| {
            tracing::info!(target: "audit", event = "x", odd, why = %odd, some = ?Some("\"q\""), none, "said {odd}");
            tracing::error!(yes = true, less = -1_i64, more = u64::MAX, half = 0.5, "end");
        });
        let [first, second] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((&first["odd"], &first["why"]), (&json!(odd), &json!(odd)));
        assert_eq!(first["message"], format!("said {odd}"));
        assert_eq!((&first["some"], first.get("none")), (&json!("Some(\"\\\"q\\\"\")"), None));
        assert_eq!(
            (&first["level"], &first["target"], &first["event"]),
            (&json!("INFO"), &json!("audit"), &json!("x"))
        );
        assert!(first["timestamp"].as_str().unwrap().ends_with('Z'));
        assert_eq!(
            (&second["yes"], &second["less"], &second["more"]),
            (&json!(true), &json!(-1), &json!(u64::MAX))
        );
        assert_eq!((&second["level"], &second["half"]), (&json!("ERROR"), &json!("0.5")));
    }
}
