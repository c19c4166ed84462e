//! Other programs, and the stopwatch.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `cargo`, the one that runs us, in the repository's root and without standard input.
///
/// What `cargo run` says about this package to its process is taken away again: build scripts that watch such a
/// variable would otherwise run anew each time the caller changes.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    // Continuous integration builds once: what a next build would begin with is nearly half of what is written.
    if std::env::var_os("CI").is_some() && std::env::var_os("CARGO_INCREMENTAL").is_none() {
        command.env("CARGO_INCREMENTAL", "0");
    }
    command.current_dir(root).args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command with its output on our terminal. The error names the command line.
pub(crate) fn succeed(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}`: {status}", line(command))),
        Err(error) => Err(format!("`{}` does not start: {error}", line(command))),
    }
}

/// Runs a command and returns what it printed; its complaints go to our terminal.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`{}` does not start: {error}", line(command)))?;
    if !output.status.success() {
        return Err(format!("`{}`: {}", line(command), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut text = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// How long a step takes.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a stopwatch for the person who waits; nothing decides by it"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> String {
        tenths(self.0.elapsed())
    }
}

fn tenths(duration: Duration) -> String {
    format!("{}.{} s", duration.as_secs(), duration.subsec_millis() / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_one_tenth() {
        assert_eq!(tenths(Duration::from_millis(12_349)), "12.3 s");
        assert_eq!(tenths(Duration::from_millis(49)), "0.0 s");
    }

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("/opt/somewhere/cargo");
        command.args(["test", "--locked"]);
        assert_eq!(line(&command), "cargo test --locked");
    }

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        assert_eq!(succeed(&mut Command::new("true")), Ok(()));
        let error = succeed(&mut Command::new("false")).unwrap_err();
        assert!(error.starts_with("`false`:"), "{error}");
    }
}
