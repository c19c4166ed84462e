//! The one thread that writes. What waits is committed as one group: one fsync a group, not one a caller. Answers go
//! out after the commit.

use crate::store::verdict::Fault;
use rusqlite::{Connection, ErrorCode};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::oneshot;

/// Tasks in one transaction at most.
const GROUP: usize = 512;
/// Tasks that may wait; one more is refused, so that a slow disk cannot fill the memory.
const QUEUE: usize = 8 * GROUP;
/// How long nothing must happen before the write-ahead log is folded in.
const IDLE: Duration = Duration::from_secs(1);
/// How often a group asks for the write lock, each time for the connection's busy timeout.
const BEGIN_ATTEMPTS: u32 = 3;

/// The way to the writing thread. Dropping it commits what waits and ends the thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
}

/// Work that runs in the group's transaction; or is told why there is none.
type Task = Box<dyn FnOnce(Result<&Connection, Fault>) -> Done + Send>;

/// What a task leaves behind.
struct Done {
    /// Whether what it wrote stays.
    keep: bool,
    /// Sends the answer, once the commit has passed or failed.
    answer: Box<dyn FnOnce(Result<(), Fault>)>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (queue, tasks) = sync_channel(QUEUE);
        let thread =
            thread::Builder::new().name("store".to_owned()).spawn(move || serve(&connection, &tasks))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs the work in a savepoint of its own and answers when it is on disk. Where the work fails or panics
    /// nothing of it stays, and nobody else in the group notices.
    pub(super) async fn submit<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (task, answer) = task(work);
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.try_send(task).map_err(|error| match error {
            TrySendError::Full(_) => Fault::because(format!("{QUEUE} writes are waiting already")),
            TrySendError::Disconnected(_) => stopped(),
        })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) =
            self.thread.take().filter(|thread| thread.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended by a panic");
        }
    }
}

fn stopped() -> Fault {
    Fault::because("the writer has stopped")
}

fn task<T, F>(work: F) -> (Task, oneshot::Receiver<Result<T, Fault>>)
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let task = move |connection: Result<&Connection, Fault>| {
        let result = connection.and_then(|connection| guarded(work, connection));
        let keep = result.is_ok();
        let answer = move |committed: Result<(), Fault>| {
            // A caller that no longer listens has been told nothing, and what it asked for stands.
            let _ = sender.send(committed.and(result));
        };
        Done { keep, answer: Box::new(answer) }
    };
    (Box::new(task), receiver)
}

fn guarded<T>(
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
    connection: &Connection,
) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(|| work(connection)))
        .unwrap_or_else(|panic| Err(Fault::because(format!("a rule panicked: {}", message(panic.as_ref())))))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn serve(connection: &Connection, tasks: &Receiver<Task>) {
    let mut folded = true;
    loop {
        match tasks.recv_timeout(IDLE) {
            Ok(first) => {
                commit_group(
                    connection,
                    std::iter::once(first).chain(tasks.try_iter()).take(GROUP).collect(),
                );
                folded = false;
            }
            Err(RecvTimeoutError::Timeout) if folded => {}
            Err(RecvTimeoutError::Timeout) => folded = fold(connection),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Moves the write-ahead log into the file, as far as readers allow.
fn fold(connection: &Connection) -> bool {
    let result = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(row.get::<_, i64>("log")? == row.get::<_, i64>("checkpointed")?)
    });
    result.unwrap_or_else(|error| {
        tracing::warn!(%error, "the store's log could not be folded in; tried again when idle");
        false
    })
}

fn commit_group(connection: &Connection, group: Vec<Task>) {
    roll_back(connection);
    let mut lost = begin(connection).err();
    let mut done = Vec::with_capacity(group.len());
    for task in group {
        done.push(match &lost {
            Some(fault) => task(Err(fault.clone())),
            None => {
                let (ended, broken) = in_savepoint(connection, task);
                lost = broken;
                ended
            }
        });
    }
    let committed = match lost {
        Some(fault) => Err(fault),
        None => connection.execute_batch("COMMIT").map_err(Fault::from),
    };
    if let Err(fault) = &committed {
        tracing::error!(reason = fault.reason(), writes = done.len(), "the store could not commit");
        roll_back(connection);
    }
    for Done { answer, .. } in done {
        answer(committed.clone());
    }
}

fn begin(connection: &Connection) -> Result<(), Fault> {
    let mut attempt = 1;
    loop {
        match connection.execute_batch("BEGIN IMMEDIATE") {
            Ok(()) => return Ok(()),
            Err(error)
                if attempt < BEGIN_ATTEMPTS && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) =>
            {
                attempt += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Runs the task; the fault, if any, is that of the whole group: SQLite gave the transaction up (a full disk).
fn in_savepoint(connection: &Connection, task: Task) -> (Done, Option<Fault>) {
    if let Err(error) = run(connection, "SAVEPOINT task") {
        let fault = Fault::from(error);
        return (task(Err(fault.clone())), Some(fault));
    }
    let done = task(Ok(connection));
    if connection.is_autocommit() {
        return (done, Some(Fault::because("SQLite gave the transaction up: is the disk full?")));
    }
    let closed = if done.keep {
        run(connection, "RELEASE task")
    } else {
        run(connection, "ROLLBACK TO task").and_then(|()| run(connection, "RELEASE task"))
    };
    (done, closed.err().map(Fault::from))
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// Leaves no transaction open, not even one that an earlier group could not end.
fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "the store could not roll back");
    }
}
