//! A Redis of the test's own.

use crate::process::{Process, until};
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// One server at a Unix socket, without persistence.
pub(crate) struct Redis {
    process: Process,
    folder: TempDir,
    more: Vec<String>,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(more: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut redis = Self { process: spawn(&folder, more), folder, more: more.to_vec() };
        redis.is_up().await;
        redis
    }

    pub(crate) fn config(&self) -> String {
        format!("log = \"redis\"\nurl = \"redis+unix://{}\"", self.socket().display())
    }

    pub(crate) fn kill(&mut self) {
        self.process.end(Signal::KILL);
    }

    /// Starts it again, with nothing in it.
    pub(crate) async fn start_again(&mut self) {
        self.process = spawn(&self.folder, &self.more);
        self.is_up().await;
    }

    pub(crate) fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Says something to it, and gives the first line of what it answers.
    pub(crate) async fn ask(&self, command: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.socket()).await.ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
        let mut answer = [0; 256];
        let len = stream.read(&mut answer).await.ok()?;
        String::from_utf8_lossy(&answer[..len]).lines().next().map(str::to_owned)
    }

    async fn is_up(&mut self) {
        until("redis-server", async || {
            assert!(self.process.runs(), "redis-server has ended");
            self.ask("PING").await.as_deref() == Some("+PONG")
        })
        .await;
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }
}

fn spawn(folder: &TempDir, more: &[String]) -> Process {
    let mut command = Command::new("redis-server");
    command.arg("--dir").arg(folder.path()).arg("--unixsocket").arg(folder.path().join("redis.sock"));
    command.args(["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]);
    if !more.iter().any(|argument| argument == "--tls-port") {
        command.args(["--port", "0"]);
    }
    Process::start(command.args(more))
}
