//! Processes that end with the test, and waiting that has an end.

use crate::binary;
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// How long anything may take before the test says what it waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something, but not for ever.
pub(crate) async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// A folder in which the program runs, with keys, sessions and configuration of its own.
pub(crate) struct Place {
    folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// Starts the program.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let mut command = Command::new(binary::keybound());
        self.start_here(command.args(args).env_clear())
    }

    /// Starts a line of a shell, in which `keybound` is the program.
    pub(crate) fn start_shell(&self, line: &str) -> Running {
        let programs = binary::keybound().parent().expect("a folder");
        let mut command = Command::new("bash");
        command.args(["--norc", "-c", line]).env_clear();
        command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
        self.start_here(&mut command)
    }

    fn start_here(&self, command: &mut Command) -> Running {
        command.current_dir(self.folder.path()).env("KEYBOUND_HOME", self.path("home"));
        Running::start(command).expect("the program starts")
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self, args: &[&str], stdin: &str) -> Ended {
        let mut running = self.start(args);
        running.write(stdin).await;
        running.ended().await
    }
}

/// A process that runs, and is killed with the test.
pub(crate) struct Running {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> std::io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let stdout = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let stderr = BufReader::new(child.stderr.take().expect("stderr")).lines();
        Ok(Self { child, stdout, stderr })
    }

    /// The next line on stdout that holds this.
    pub(crate) async fn says(&mut self, part: &str) -> String {
        line_with(&mut self.stdout, part).await
    }

    /// The next line on stderr that holds this.
    pub(crate) async fn notes(&mut self, part: &str) -> String {
        line_with(&mut self.stderr, part).await
    }

    /// What every user of the machine can read of it: its command line (proc(5)).
    pub(crate) fn command_line(&self) -> String {
        let path = format!("/proc/{}/cmdline", self.child.id().expect("it runs"));
        String::from_utf8_lossy(&std::fs::read(path).expect("a command line")).replace('\0', " ")
    }

    /// The memory that it has in use, in KiB (`VmRSS` of proc(5)).
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id().expect("it runs"));
        let status = std::fs::read_to_string(status).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(id.expect("it runs"), Signal::TERM).expect("signalled");
    }

    /// Waits for its end; gives what it said since.
    pub(crate) async fn ended(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let (mut out, mut err) = (self.stdout.into_inner(), self.stderr.into_inner());
        let all = async { tokio::join!(out.read_to_string(&mut stdout), err.read_to_string(&mut stderr)) };
        let (read_out, read_err) = within("the end of a process", all).await;
        read_out.and(read_err).expect("text");
        let status = within("the end of a process", self.child.wait()).await.expect("an end");
        Ended { code: status.code().expect("a code, not a signal"), stdout, stderr }
    }

    async fn write(&mut self, text: &str) {
        let mut stdin = self.child.stdin.take().expect("stdin");
        // The command may end without having read it all.
        let _ = stdin.write_all(text.as_bytes()).await;
    }
}

async fn line_with<R: AsyncRead + Unpin>(lines: &mut Lines<BufReader<R>>, part: &str) -> String {
    let mut before = String::new();
    loop {
        let line = within(part, lines.next_line()).await.expect("text");
        let line = line.unwrap_or_else(|| panic!("`{part}` was not said: {before}"));
        if line.contains(part) {
            return line;
        }
        before.push_str(&line);
        before.push('\n');
    }
}

/// The value of `name=value` in a line.
pub(crate) fn told<'l>(line: &'l str, name: &str) -> &'l str {
    let mut words = line.split_whitespace();
    words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).expect("told")
}
