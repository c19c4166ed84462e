//! What is made of an answer: its body on stdout or in a file, its status on stderr and in the exit code.

use super::call::Came;
use super::{Args, trace};
use crate::error::{BAD_STATUS, CommandError};
use crate::output::{self, Style, plain};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use keybound_client::nonce_rule::dpop_challenges;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

/// Where a body goes.
enum Sink {
    Nowhere,
    Stdout { is_terminal: bool },
    File(File, String),
}

/// Prints it, as it comes.
pub(super) async fn print(args: &Args, mut came: Came) -> Result<ExitCode, CommandError> {
    let status = came.status();
    let is_bad = status.is_client_error() || status.is_server_error();
    if args.include || args.head {
        output::data(trace::head(&came).as_bytes())?;
    }
    let mut sink = sink(args, is_bad)?;
    let mut bar = Bar::of(args, came.headers());
    let mut is_open_line = false;
    while let Some(part) = came.body_mut().chunk().await? {
        sink.take(&part)?;
        bar.grow(part.len())?;
        is_open_line = !part.ends_with(b"\n");
    }
    bar.clear()?;
    if !args.silent {
        let breaks = is_open_line && matches!(sink, Sink::Stdout { is_terminal: true });
        tell(&came, is_bad, breaks)?;
    }
    Ok(if is_bad { ExitCode::from(BAD_STATUS) } else { ExitCode::SUCCESS })
}

fn sink(args: &Args, is_bad: bool) -> Result<Sink, CommandError> {
    if args.head || (is_bad && args.fail) {
        return Ok(Sink::Nowhere);
    }
    match args.output.as_deref() {
        None | Some("-") => {
            // Whoever asked for stdout by name has seen to it.
            let is_terminal = args.output.is_none() && io::stdout().is_terminal();
            Ok(Sink::Stdout { is_terminal })
        }
        Some(path) => {
            let file =
                File::create(path).map_err(|error| CommandError::failed(format!("{path}: {error}")))?;
            Ok(Sink::File(file, path.to_owned()))
        }
    }
}

impl Sink {
    fn take(&mut self, part: &[u8]) -> Result<(), CommandError> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Stdout { is_terminal: true } if part.contains(&0) => {
                Err(CommandError::failed("the answer is no text, and would disturb the terminal")
                    .advise("write it to a file with -o FILE, or to stdout all the same with -o -"))
            }
            Self::Stdout { .. } => output::data(part),
            Self::File(file, path) => {
                file.write_all(part).map_err(|error| CommandError::failed(format!("{path}: {error}")))
            }
        }
    }
}

/// Status, and what the resource says against it, on stderr.
fn tell(head: &Came, is_bad: bool, breaks: bool) -> Result<(), CommandError> {
    let style = Style::of_stderr();
    let line = head.status().to_string();
    let line = if is_bad { style.bad(&line) } else { style.good(&line) };
    output::note(&format!("{}{line}\n", if breaks { "\n" } else { "" }))?;
    for challenge in dpop_challenges(head.headers()) {
        let said = |name| challenge.get(name).map(plain).unwrap_or_default();
        output::note(&format!("{} {}\n", said("error"), said("error_description")))?;
    }
    Ok(())
}

/// How far a download is: on a terminal alone, and where the body goes to a file.
struct Bar {
    is_shown: bool,
    total: Option<u64>,
    done: u64,
    shown: u64,
}

impl Bar {
    /// A step of it, in bytes, where the whole length is not known.
    const STEP: u64 = 256 * 1024;

    fn of(args: &Args, headers: &HeaderMap) -> Self {
        let to_file = args.output.as_deref().is_some_and(|path| path != "-");
        let length = headers.get(CONTENT_LENGTH);
        let total = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let is_shown = to_file && !args.silent && !args.head && io::stderr().is_terminal();
        Self { is_shown, total, done: 0, shown: 0 }
    }

    fn grow(&mut self, bytes: usize) -> Result<(), CommandError> {
        self.done += u64::try_from(bytes).unwrap_or(0);
        let step = self.total.map_or(Self::STEP, |total| (total / 100).max(1));
        if !self.is_shown || self.done < self.shown + step {
            return Ok(());
        }
        self.shown = self.done;
        output::note(&format!("\r\x1b[K{}", self.text()))
    }

    fn text(&self) -> String {
        let size = |bytes: u64| match bytes {
            0..=9999 => format!("{bytes} B"),
            10_000..=9_999_999 => format!("{} kB", bytes / 1000),
            _ => format!("{} MB", bytes / 1_000_000),
        };
        let Some(total) = self.total.filter(|total| *total > 0) else { return size(self.done) };
        let percent = self.done.saturating_mul(100) / total;
        let filled = usize::try_from(percent.min(100) * 30 / 100).unwrap_or(0);
        let (full, empty) = ("#".repeat(filled), "-".repeat(30 - filled));
        format!("[{full}{empty}] {percent:>3} %  {} of {}", size(self.done), size(total))
    }

    fn clear(&self) -> Result<(), CommandError> {
        if self.is_shown && self.shown > 0 { output::note("\r\x1b[K") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_says_how_much_of_how_much() {
        let bar = |total, done| Bar { is_shown: true, total, done, shown: 0 }.text();
        assert_eq!(
            bar(Some(20_000), 10_000),
            format!("[{}{}]  50 %  10 kB of 20 kB", "#".repeat(15), "-".repeat(15))
        );
        assert_eq!((bar(None, 512), bar(Some(0), 0)), ("512 B".to_owned(), "0 B".to_owned()));
        assert!(bar(Some(10), 30).contains("300 %"));
    }
}
