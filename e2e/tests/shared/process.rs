//! Processes that end with the test, and waiting that has an end.

use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long anything may take before the test says what it waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("waited too long: {what}"));
}

/// A server that is killed with the test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let name = command.get_program().to_owned();
        Self(command.spawn().unwrap_or_else(|error| panic!("{}: {error}", name.display())))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(id, signal).expect("signalled");
    }

    pub(crate) fn runs(&mut self) -> bool {
        self.0.try_wait().expect("a process").is_none()
    }

    /// Ends it with that signal, and waits.
    pub(crate) fn end(&mut self, signal: Signal) {
        if self.runs() {
            self.signal(signal);
            self.0.wait().expect("ended");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A stopped one takes no other signal.
        self.end(Signal::KILL);
    }
}
