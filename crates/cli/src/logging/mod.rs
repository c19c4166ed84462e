//! Log lines go to stderr: for people on a terminal, as JSON elsewhere.

mod json;
mod lines;

pub(crate) use lines::Lines;

use crate::error::CommandError;
use crate::output::Style;
use crate::telemetry::Telemetry;
use json::JsonLines;
use std::fmt::Display;
use std::io::{self, IsTerminal};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// Events that are logged whatever the filter says (OPS-LOG-02).
const ALWAYS: &str = "audit=info";

/// Begins to log what passes the filter, and to collect traces if there is a collector; gives the lines that wait to be
/// written.
pub(crate) fn start(filter: &str, telemetry: Option<&Telemetry>) -> Result<Lines, CommandError> {
    let wrong = |error: &dyn Display| {
        CommandError::usage(format!("the log filter `{filter}` cannot be used: {error}"))
            .advise("write a level such as `info`, or `info,keybound_provider=debug`")
    };
    let always = ALWAYS.parse().map_err(|error: tracing_subscriber::filter::ParseError| wrong(&error))?;
    let filter = EnvFilter::try_new(filter).map_err(|error| wrong(&error))?.add_directive(always);
    let lines = Lines::to(io::stderr());
    if let Some(telemetry) = telemetry {
        let to_people = io::stderr().is_terminal();
        let plain = fmt::layer().with_writer(io::stderr).with_ansi(Style::of_stderr().is_coloured());
        let plain = to_people.then_some(plain);
        let json = (!to_people).then(|| JsonLines::to(lines.clone()));
        let log = Layer::and_then(plain, json).with_filter(filter);
        let subscriber = tracing_subscriber::registry().with(telemetry.layer()).with(log);
        subscriber.try_init().map_err(CommandError::failed)?;
    } else if io::stderr().is_terminal() {
        let plain = fmt().with_env_filter(filter).with_writer(io::stderr);
        plain.with_ansi(Style::of_stderr().is_coloured()).try_init().map_err(CommandError::failed)?;
    } else {
        let subscriber = tracing_subscriber::registry().with(filter).with(JsonLines::to(lines.clone()));
        subscriber.try_init().map_err(CommandError::failed)?;
    }
    Ok(lines)
}
