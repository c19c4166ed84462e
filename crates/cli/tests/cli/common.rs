//! The built program, in a folder of its own.

use keybound_dpop::time::{Clock, SystemClock};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A folder with keys, sessions and configuration of its own.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        path
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str], stdin: &str) -> Ended {
        let mut child = self.command(args).spawn().expect("started");
        // The command may end without having read it all.
        let _ = child.stdin.take().expect("stdin").write_all(stdin.as_bytes());
        let output = child.wait_with_output().expect("ended");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ended {
            code: output.status.code().expect("a code"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Runs a command that must succeed, and gives its output.
    pub(crate) fn ok(&self, args: &[&str], stdin: &str) -> String {
        let ended = self.run(args, stdin);
        assert_eq!(ended.code, 0, "{args:?}: {}{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// Starts a service and waits until it says that it is ready.
    pub(crate) fn start(&self, args: &[&str]) -> Service {
        let mut child = self.command(args).spawn().expect("started");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let mut ready = String::new();
        stdout.read_line(&mut ready).expect("a line");
        if ready.is_empty() {
            let mut said = String::new();
            child.stderr.take().expect("stderr").read_to_string(&mut said).expect("text");
            panic!("{args:?} did not start: {said}");
        }
        Service { child, ready, stdout }
    }

    /// A command that is about to run here.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybound"));
        command.args(args).current_dir(self.folder.path());
        command.env_clear().env("KEYBOUND_HOME", self.path("home"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// A service that runs.
pub(crate) struct Service {
    child: Child,
    /// The line that says that it is ready.
    pub(crate) ready: String,
    stdout: BufReader<ChildStdout>,
}

impl Service {
    /// A value out of the line.
    pub(crate) fn told(&self, name: &str) -> &str {
        let mut words = self.ready.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).expect("told")
    }

    /// What it says next on stdout.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        assert!(!line.is_empty(), "it said nothing more");
        line
    }

    /// Waits until it has logged that; gives what it logged up to there.
    pub(crate) fn wait_for_log(&mut self, what: &str) -> String {
        let stderr = self.child.stderr.as_mut().expect("stderr");
        let mut log = Vec::new();
        while !String::from_utf8_lossy(&log).contains(what) {
            let mut byte = [0];
            stderr.read_exact(&mut byte).expect("more of the log");
            log.push(byte[0]);
        }
        String::from_utf8(log).expect("text")
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop; gives its exit code and what it logged.
    pub(crate) fn stop(mut self) -> (i32, String) {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("an id");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("signalled");
        let mut log = String::new();
        self.child.stderr.take().expect("stderr").read_to_string(&mut log).expect("text");
        (self.child.wait().expect("ended").code().expect("a code"), log)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address")
}

/// An assertion of the second in which a provider began may have been used before (OPS-REP-09): waits for the next.
pub(crate) fn next_second() {
    let clock = SystemClock::start();
    let begun = clock.unix().as_secs();
    while clock.unix().as_secs() <= begun {
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The whole answer to a GET.
pub(crate) fn get(address: &str, path: &str) -> String {
    send(address, &format!("GET {path}"), "", "")
}

/// The whole answer to a request; `headers` are lines with their ends.
pub(crate) fn send(address: &str, request: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    let length = body.len();
    let head =
        format!("{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// Whether nobody but its owner can read a file.
pub(crate) fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("metadata").permissions().mode() & 0o077 == 0
}
