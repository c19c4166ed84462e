//! A PostgreSQL of the test's own.

use crate::process::{Process, until};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// One server at a Unix socket.
pub(crate) struct Postgres {
    process: Process,
    folder: TempDir,
    port: u16,
    more: Vec<String>,
}

impl Postgres {
    pub(crate) async fn start() -> Self {
        Self::at(5432, &["listen_addresses=".to_owned()]).await
    }

    /// With these settings; its socket is named after the port.
    pub(crate) async fn at(port: u16, more: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        own(folder.path());
        let mut initdb = program("initdb");
        initdb.arg("-D").arg(folder.path().join("data"));
        initdb.args(["-U", "keybound", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]);
        let made = initdb.output().expect("initdb");
        assert!(made.status.success(), "{made:?}");
        let mut postgres = Self { process: spawn(&folder, port, more), folder, port, more: more.to_vec() };
        postgres.is_up().await;
        postgres
    }

    pub(crate) fn config(&self) -> String {
        format!("log = \"postgres\"\nurl = {:?}", self.url())
    }

    fn url(&self) -> String {
        let host = self.folder.path().to_str().expect("UTF-8").replace('/', "%2F");
        format!("postgresql://keybound@{host}/postgres")
    }

    /// Ends it at once, with its children.
    pub(crate) fn kill(&mut self) {
        self.process.end(Signal::QUIT);
    }

    /// Starts it again, with all that was committed.
    pub(crate) async fn start_again(&mut self) {
        self.process = spawn(&self.folder, self.port, &self.more);
        self.is_up().await;
    }

    /// One statement, and what it gives.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let Output { status, stdout, stderr } = self.psql().args(["-c", sql]).output().expect("psql");
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("UTF-8").trim().to_owned()
    }

    /// Somebody who holds the whole table until they are let go.
    pub(crate) async fn lock(&self) -> Locked {
        let sql = "BEGIN; LOCK TABLE keybound_replay IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)";
        let child = self.psql().args(["-c", sql]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let locked = Locked(child.expect("psql"));
        let held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
                    AND relation = 'keybound_replay'::regclass";
        until("a lock", async || self.ask(held) == "1").await;
        locked
    }

    /// Lets go of whoever holds the table.
    pub(crate) fn unlock(&self, mut locked: Locked) {
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' \
                  AND pid <> pg_backend_pid()",
        );
        locked.0.wait().expect("ended");
    }

    fn psql(&self) -> Command {
        let mut psql = program("psql");
        psql.arg("-h").arg(self.folder.path()).args(["-p", &self.port.to_string()]);
        psql.args(["-U", "keybound", "-d", "postgres", "-XqtA"]);
        psql
    }

    async fn is_up(&mut self) {
        until("postgres", async || {
            assert!(self.process.runs(), "postgres has ended");
            self.psql().args(["-c", "SELECT 1"]).output().expect("psql").status.success()
        })
        .await;
    }
}

/// Who holds the table.
pub(crate) struct Locked(Child);

impl Drop for Locked {
    fn drop(&mut self) {
        // It may have been let go already.
        let _ = self.0.kill();
    }
}

fn spawn(folder: &TempDir, port: u16, more: &[String]) -> Process {
    let mut command = program("postgres");
    command.arg("-D").arg(folder.path().join("data")).arg("-k").arg(folder.path());
    command.args(["-p", &port.to_string()]);
    for setting in more {
        command.args(["-c", setting]);
    }
    Process::start(&mut command)
}

/// A program of PostgreSQL's, run as somebody it starts for: it refuses root.
fn program(name: &str) -> Command {
    let mut command = Command::new(folder_of_programs().join(name));
    command.current_dir("/");
    if let Some((user, group)) = somebody() {
        command.uid(user).gid(group);
    }
    command
}

/// The newest that is there, where Debian puts it.
fn folder_of_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL: cargo xtask setup --install");
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.expect("a folder").path()).collect();
    folders.sort_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    folders.pop().expect("a version").join("bin")
}

/// Where the test runs as root: the user that Debian's package made.
fn somebody() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let user = users.lines().find(|line| line.starts_with("postgres:")).expect("a user for PostgreSQL");
    let mut fields = user.split(':').skip(2).map(|field| field.parse().expect("a number"));
    Some((fields.next().expect("a user"), fields.next().expect("a group")))
}

/// Gives a file to whoever runs PostgreSQL.
pub(crate) fn own(path: &Path) {
    if let Some((user, group)) = somebody() {
        chown(path, Some(user), Some(group)).expect("given away");
    }
}
