//! `keybound man`

use crate::error::{CommandError, EXIT_CODES};
use crate::output;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound man ~/.local/share/man/man1
  man keybound-request

The folder is made if it is not there.";

/// Write a manual page for each command into a folder
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// The folder
    folder: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let cannot = |error: std::io::Error| CommandError::failed(format!("{}: {error}", args.folder.display()));
    fs::create_dir_all(&args.folder).map_err(cannot)?;
    let mut command = crate::command_line().disable_help_subcommand(true).after_long_help(EXIT_CODES);
    command.build();
    let count = write(&command, "keybound", &args.folder).map_err(cannot)?;
    output::line(&format!("{count} pages are in {}", args.folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The page of a command, and those of its own commands.
fn write(command: &clap::Command, name: &str, folder: &Path) -> std::io::Result<usize> {
    let mut page = Vec::new();
    let shown = command.clone().display_name(name.to_owned());
    clap_mangen::Man::new(shown).render(&mut page)?;
    fs::write(folder.join(format!("{name}.1")), page)?;
    let mut count = 1;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        count += write(inner, &format!("{name}-{}", inner.get_name()), folder)?;
    }
    Ok(count)
}
