//! An event as a line of JSON.

use super::Lines;
use keybound_dpop::time::{Clock, SystemClock, UnixTime};
use std::cell::Cell;
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

thread_local! {
    /// Where this thread writes its next line: its room is kept.
    static ROOM: Cell<String> = const { Cell::new(String::new()) };
}

/// Each event is a line: `timestamp`, `level`, its fields, `target`. Written by hand, because two such lines belong to every
/// token that is issued.
pub(super) struct JsonLines {
    lines: Lines,
    clock: SystemClock,
}

impl JsonLines {
    /// Lines that go there.
    pub(super) fn to(lines: Lines) -> Self {
        Self { lines, clock: SystemClock::start() }
    }
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = ROOM.try_with(Cell::take).unwrap_or_default();
        line.clear();
        write_event(&mut line, event, self.clock.unix());
        self.lines.put(&line, *event.metadata().level() <= Level::WARN);
        // Where the thread is about to end, nothing is kept.
        let _ = ROOM.try_with(|room| room.set(line));
    }
}

fn write_event(line: &mut String, event: &Event<'_>, now: UnixTime) {
    let about = event.metadata();
    line.push_str(r#"{"timestamp":""#);
    push_date(line, now);
    line.push_str(r#"","level":""#);
    line.push_str(about.level().as_str());
    line.push('"');
    let mut members = Members(line);
    event.record(&mut members);
    members.text("target", about.target());
    line.push_str("}\n");
}

/// Appends the time as RFC 3339 has it, to the millisecond.
fn push_date(line: &mut String, time: UnixTime) {
    let (days, second) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    // Counted from 0000-03-01, so that a leap day is the last of its year, and in periods of 400 years.
    let days = days.saturating_add(719_468);
    let (period, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months have 153 days, and March is the first.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let mut date = *b"0000-00-00T00:00:00.000Z";
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let numbers = [400 * period + year + later, month, day, hour, minute, second, time.as_millis() % 1000];
    for (place, number) in date.split_mut(|octet| !octet.is_ascii_digit()).zip(numbers) {
        write_digits(place, number);
    }
    line.push_str(str::from_utf8(&date).unwrap_or_default());
}

/// Writes the last digits of the number, as many as there is place for.
fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
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
    let must_be = |octet: u8| matches!(octet, b'"' | b'\\' | 0..0x20);
    // Nearly always none; to look at all of them is quicker than to look for the first.
    if !text.bytes().fold(false, |found, octet| found | must_be(octet)) {
        return line.push_str(text);
    }
    let mut rest = text;
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
    use super::super::lines::tests::{kept, rest_later};
    use super::*;
    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt;

    /// What `log` writes, line by line.
    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let (written, lines) = kept();
        let subscriber = tracing_subscriber::registry().with(JsonLines::to(lines));
        tracing::subscriber::with_default(subscriber, log);
        written.try_iter().map(|line| serde_json::from_str(&line).unwrap()).collect()
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (millis, date) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_001, "2000-03-01T00:00:00.001Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_800_000_000_042, "2027-01-15T08:00:00.042Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            let mut line = String::new();
            push_date(&mut line, UnixTime::from_millis(millis));
            assert_eq!(line, date);
        }
    }

    #[test]
    fn ops_log_04_an_event_is_one_line_of_json_whatever_is_in_it() {
        let odd = "a\"b\\c\r\n\t\u{0}\u{1b}[31m\u{1f}\u{7f} é \u{2028}";
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
    #[test]
    fn ops_log_02_a_warning_does_not_wait() {
        let (written, lines) = kept();
        let subscriber = tracing_subscriber::registry().with(JsonLines::to(lines));
        rest_later();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("first");
            assert_eq!(written.try_recv().ok(), None);
            tracing::warn!("second");
            assert_eq!(written.try_recv().map(|lines| lines.lines().count()), Ok(2));
        });
    }
}
