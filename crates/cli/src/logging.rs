//! Log lines go to stderr: for people on a terminal, as JSON elsewhere.

use crate::error::CommandError;
use crate::output::Style;
use std::fmt::{self, Write};
use std::io::{self, IsTerminal};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Events that are logged whatever the filter says (OPS-LOG-02).
const ALWAYS: &str = "audit=info";

/// Begins to log what passes the filter.
pub(crate) fn start(filter: &str) -> Result<(), CommandError> {
    let wrong = |error: &dyn fmt::Display| {
        CommandError::usage(format!("the log filter `{filter}` cannot be used: {error}"))
            .advise("write a level such as `info`, or `info,keybound_provider=debug`")
    };
    let always = ALWAYS.parse().map_err(|error: tracing_subscriber::filter::ParseError| wrong(&error))?;
    let filter = EnvFilter::try_new(filter).map_err(|error| wrong(&error))?.add_directive(always);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let begun = if io::stderr().is_terminal() {
        lines.with_ansi(Style::of_stderr().is_coloured()).try_init()
    } else {
        lines.event_format(JsonLine).try_init()
    };
    begun.map_err(CommandError::failed)
}

/// An event as a line of JSON: `timestamp`, `level`, its fields, `target`. Written straight into the line, because two such
/// lines belong to every token that is issued.
struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let about = event.metadata();
        line.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut line)?;
        write!(line, r#"","level":"{}""#, about.level())?;
        let mut members = Members { line: &mut line, written: Ok(()) };
        event.record(&mut members);
        members.text("target", about.target());
        members.written?;
        line.write_str("}\n")
    }
}

/// Writes fields as members of an object that was begun.
struct Members<'a, 'w> {
    line: &'a mut Writer<'w>,
    written: fmt::Result,
}

impl Members<'_, '_> {
    fn text(&mut self, name: &str, text: &str) {
        self.put(name, |line| {
            line.write_char('"')?;
            Escape(line).write_str(text)?;
            line.write_char('"')
        });
    }

    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        self.put(field.name(), |line| write!(line, "{value}"));
    }

    fn put(&mut self, name: &str, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.written.is_ok() {
            self.written = write!(self.line, r#","{name}":"#).and_then(|()| value(self.line));
        }
    }
}

impl Visit for Members<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), |line| {
            line.write_char('"')?;
            write!(Escape(line), "{value:?}")?;
            line.write_char('"')
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }
}

/// What is written through it may stand in a JSON string (RFC 8259 §7).
struct Escape<'a, 'w>(&'a mut Writer<'w>);

impl Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        let must_be = |char: char| matches!(char, '"' | '\\' | '\0'..='\u{1f}');
        while let Some((before, char, after)) = rest.find(must_be).and_then(|at| split_around(rest, at)) {
            self.0.write_str(before)?;
            match char {
                '"' | '\\' => write!(self.0, "\\{char}")?,
                _ => write!(self.0, "\\u{:04x}", u32::from(char))?,
            }
            rest = after;
        }
        self.0.write_str(rest)
    }
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
    use super::*;
    use serde_json::{Value, json};
    use std::sync::{Arc, Mutex};

    /// What `log` writes, line by line.
    fn logged(log: impl FnOnce()) -> Vec<Value> {
        #[derive(Clone, Default)]
        struct Kept(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = tracing_subscriber::fmt().event_format(JsonLine).with_writer(move || writer.clone());
        tracing::subscriber::with_default(lines.finish(), log);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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
