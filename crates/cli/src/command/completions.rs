//! `keybound completions`

use crate::error::CommandError;
use crate::output;
use clap_complete::Shell;
use std::process::ExitCode;

const HELP: &str = "\
Examples:
  keybound completions bash > ~/.local/share/bash-completion/completions/keybound
  keybound completions zsh > ~/.zfunc/_keybound
  keybound completions fish > ~/.config/fish/completions/keybound.fish

For zsh the folder must be in fpath, before compinit: `fpath+=~/.zfunc`.";

/// Print a script that completes commands and options in a shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::command_line(), "keybound", &mut script);
    output::data(&script)?;
    Ok(ExitCode::SUCCESS)
}
