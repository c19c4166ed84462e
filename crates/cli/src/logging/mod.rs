//! Log lines go to stderr: for people on a terminal, as JSON elsewhere.

mod json;
mod lines;

pub(crate) use lines::Lines;

use crate::error::CommandError;
use crate::output::Style;
use json::JsonLines;
use std::fmt;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Events that are logged whatever the filter says (OPS-LOG-02).
const ALWAYS: &str = "audit=info";

/// Begins to log what passes the filter; gives the lines that wait to be written.
pub(crate) fn start(filter: &str) -> Result<Lines, CommandError> {
    let wrong = |error: &dyn fmt::Display| {
        CommandError::usage(format!("the log filter `{filter}` cannot be used: {error}"))
            .advise("write a level such as `info`, or `info,keybound_provider=debug`")
    };
    let always = ALWAYS.parse().map_err(|error: tracing_subscriber::filter::ParseError| wrong(&error))?;
    let filter = EnvFilter::try_new(filter).map_err(|error| wrong(&error))?.add_directive(always);
    let lines = Lines::to(io::stderr());
    if io::stderr().is_terminal() {
        let plain = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        plain.with_ansi(Style::of_stderr().is_coloured()).try_init().map_err(CommandError::failed)?;
    } else {
        let subscriber = tracing_subscriber::registry().with(filter).with(JsonLines::to(lines.clone()));
        subscriber.try_init().map_err(CommandError::failed)?;
    }
    Ok(lines)
}
