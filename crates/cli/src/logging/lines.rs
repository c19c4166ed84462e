//! Lines on their way out. A thread of the runtime writes them when it has nothing else to do: in one go, those of all
//! requests that it answered since. A system call for each line would cost as much as all of a token but its signatures.

use std::cell::Cell;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Builder;

/// So many octets wait at the most.
const MAX_WAITING: usize = 16 * 1024;

thread_local! {
    /// Whether this is a thread of a runtime that will say when it has nothing else to do.
    static WILL_REST: Cell<bool> = const { Cell::new(false) };
}

/// Lines that wait to be written; in the order in which they came, whichever thread they are from.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Mutex<Waiting>>);

struct Waiting {
    text: String,
    out: Box<dyn Write + Send>,
}

/// Writes what waits when it is dropped.
pub(crate) struct Last(Lines);

impl Lines {
    /// Lines that go there.
    pub(crate) fn to(out: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Waiting { text: String::new(), out: Box::new(out) })))
    }

    /// Has the threads of a runtime write them when they rest, and whoever holds the guard in the end.
    pub(crate) fn follow(&self, runtime: &mut Builder) -> Last {
        let lines = self.clone();
        runtime.on_thread_unpark(|| WILL_REST.set(true)).on_thread_park(move || {
            WILL_REST.set(false);
            lines.write();
        });
        Last(self.clone())
    }

    /// Takes one line, with its end. It waits for the thread to rest, unless there is no such time, there is too much
    /// already, or somebody may have to know at once.
    pub(super) fn put(&self, line: &str, at_once: bool) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.text.push_str(line);
        if at_once || waiting.text.len() >= MAX_WAITING || !WILL_REST.try_with(Cell::get).unwrap_or(false) {
            waiting.write();
        }
    }

    fn write(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write();
    }
}

impl Waiting {
    fn write(&mut self) {
        if !self.text.is_empty() {
            // There is nobody left to tell.
            let _ = self.out.write_all(self.text.as_bytes());
            self.text.clear();
        }
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        self.0.write();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    struct Sent(Sender<String>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8(bytes.to_vec()).unwrap()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Lines, and what is written of them at once.
    pub(in crate::logging) fn kept() -> (Receiver<String>, Lines) {
        let (sender, written) = channel();
        (written, Lines::to(Sent(sender)))
    }

    /// From here on this thread will say when it rests.
    pub(in crate::logging) fn rest_later() {
        WILL_REST.set(true);
    }

    #[test]
    fn a_thread_that_never_rests_writes_each_line() {
        let (written, lines) = kept();
        lines.put("a\n", false);
        lines.put("b\n", false);
        assert_eq!(written.try_iter().collect::<Vec<_>>(), ["a\n", "b\n"]);
    }

    #[test]
    fn lines_wait_until_their_thread_rests_or_there_are_many_or_one_is_urgent() {
        let (written, lines) = kept();
        rest_later();
        lines.put("a\n", false);
        lines.put("b\n", false);
        assert_eq!(written.try_recv().ok(), None);
        lines.write();
        lines.put("c\n", false);
        lines.put("d\n", true);
        let long = "e".repeat(MAX_WAITING);
        lines.put(&long, false);
        assert_eq!(written.try_iter().collect::<Vec<_>>(), ["a\nb\n", "c\nd\n", &long]);
    }

    #[test]
    fn ops_log_02_nothing_is_left_when_the_runtime_ends() {
        let (written, lines) = kept();
        let mut builder = Builder::new_multi_thread();
        let last = lines.follow(&mut builder);
        let runtime = builder.build().unwrap();
        for number in 0..100 {
            let lines = lines.clone();
            runtime.block_on(runtime.spawn(async move { lines.put(&format!("{number}\n"), false) })).unwrap();
        }
        drop(runtime);
        drop(last);
        let all: String = written.try_iter().collect();
        assert_eq!(all, (0..100).map(|number| format!("{number}\n")).collect::<String>());
    }
    #[test]
    fn ops_log_02_threads_of_a_runtime_write_in_one_go_when_they_rest() {
        let (written, lines) = kept();
        let mut builder = Builder::new_multi_thread();
        let _last = lines.follow(&mut builder);
        let runtime = builder.worker_threads(1).build().unwrap();
        let will_rest = || runtime.block_on(runtime.spawn(async { WILL_REST.get() })).unwrap();
        assert!((0..100_000).any(|_| will_rest()), "it has rested, and was woken");
        runtime.spawn(async move {
            lines.put("a\n", false);
            lines.put("b\n", false);
        });
        assert_eq!(written.recv_timeout(Duration::from_secs(30)).as_deref(), Ok("a\nb\n"));
    }

    #[test]
    fn ops_log_02_who_holds_the_guard_writes_what_is_left() {
        let (written, lines) = kept();
        let last = lines.follow(&mut Builder::new_current_thread());
        rest_later();
        lines.put("a\n", false);
        assert_eq!(written.try_recv().ok(), None);
        drop(last);
        assert_eq!(written.try_recv().as_deref(), Ok("a\n"));
    }
}
