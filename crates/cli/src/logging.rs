//! Log lines go to stderr: for people on a terminal, as JSON elsewhere.

use crate::error::CommandError;
use crate::output::Style;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// Events that are logged whatever the filter says (OPS-LOG-02).
const ALWAYS: &str = "audit=info";

/// Begins to log what passes the filter.
pub(crate) fn start(filter: &str) -> Result<(), CommandError> {
    let wrong = |error: &dyn std::fmt::Display| {
        CommandError::usage(format!("the log filter `{filter}` cannot be used: {error}"))
            .advise("write a level such as `info`, or `info,keybound_provider=debug`")
    };
    let always = ALWAYS.parse().map_err(|error: tracing_subscriber::filter::ParseError| wrong(&error))?;
    let filter = EnvFilter::try_new(filter).map_err(|error| wrong(&error))?.add_directive(always);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let begun = if io::stderr().is_terminal() {
        lines.with_ansi(Style::of_stderr().is_coloured()).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    begun.map_err(CommandError::failed)
}
