//! `keybound`: DPoP for real, in one binary. Each command is a file in `command/`; what it does is in the libraries.

mod adapter;
mod asking;
mod bound_key;
mod command;
mod demo;
mod error;
mod facts;
mod handed;
mod input;
mod logging;
mod output;
mod places;
mod profile;
mod server;
mod shell;
mod telemetry;
mod wallet;

use clap::{Args, CommandFactory, FromArgMatches, Parser};
use command::Command;
use error::EXIT_CODES;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// DPoP for real: access tokens that are useless to whoever steals them (RFC 9449).
#[derive(Debug, Parser)]
#[command(name = "keybound", version, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Args)]
struct LogArgs {
    /// Log to stderr: a level such as `debug`, or `info,keybound_provider=debug`
    #[arg(
        long = "log",
        global = true,
        env = "KEYBOUND_LOG",
        hide_env_values = true,
        value_name = "FILTER",
        display_order = 100
    )]
    filter: Option<String>,
}

/// What `keybound --help` shows, by what one wants to do.
const ROLES: [(&str, &[&str]); 6] = [
    ("Try it", &["demo"]),
    ("Issue tokens", &["serve", "client", "user", "consent", "session", "signing-key", "nonce"]),
    ("Guard an API", &["gateway"]),
    (
        "Use tokens",
        &["login", "request", "token", "whoami", "logout", "sessions", "profile", "register", "agent", "key"],
    ),
    ("See why", &["proof"]),
    ("Set up", &["completions", "man"]),
];

const HINT: &str = "\
`keybound help COMMAND` explains a command with examples. Colours are left out where NO_COLOR is set.";

fn main() -> ExitCode {
    let parsed = Cli::from_arg_matches(&command_line().get_matches());
    let cli = parsed.unwrap_or_else(|error| error.exit());
    match command::run(cli.command, cli.log.filter.as_deref()) {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}

/// The command line with its commands listed by role.
pub(crate) fn command_line() -> clap::Command {
    let command = Cli::command();
    let mut commands = String::new();
    for (role, names) in ROLES {
        let found: Vec<_> = names.iter().filter_map(|name| command.find_subcommand(name)).collect();
        if found.is_empty() {
            continue;
        }
        commands.push_str(&format!("\n{role}:\n"));
        for found in found {
            let about = found.get_about().map(ToString::to_string).unwrap_or_default();
            commands.push_str(&format!("  {:<13}{about}\n", found.get_name()));
        }
    }
    let template = format!(
        "{{about}}\n\nUsage: {{usage}}\n{commands}\nOptions:\n{{options}}\n\n{EXIT_CODES}\n\n{HINT}\n"
    );
    command.help_template(template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command_line().debug_assert();
    }

    #[test]
    fn every_command_has_a_role() {
        for command in Cli::command().get_subcommands() {
            let listed = ROLES.iter().any(|(_, names)| names.contains(&command.get_name()));
            assert!(listed, "`{}` is in no role", command.get_name());
        }
    }
}
