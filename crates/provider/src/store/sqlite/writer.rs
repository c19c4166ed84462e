//! The one thread that writes. What waits is committed as one group: one fsync a group, not one a caller. Answers go
//! out after the commit.

use super::standing::StandingLook;
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
    queue: Option<SyncSender<Box<dyn Task>>>,
    thread: Option<JoinHandle<()>>,
}

/// What waits to be written.
trait Task: Send {
    /// Does the work in the transaction that is open; whether what it wrote may stay. Where somebody else's work failed,
    /// the transaction is taken back and the work done again.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Sends the answer, once the commit has passed or failed.
    fn answer(self: Box<Self>, committed: Result<(), Fault>);
}

/// Work, and who waits for it.
struct Asked<T, F> {
    work: F,
    result: Option<Result<T, Fault>>,
    asker: oneshot::Sender<Result<T, Fault>>,
}

impl<T, F> Task for Asked<T, F>
where
    T: Send,
    F: Fn(&Connection) -> Result<T, Fault> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let result = self.result.insert(guarded(&self.work, connection));
        result.is_ok()
    }

    fn answer(self: Box<Self>, committed: Result<(), Fault>) {
        let answer = match self.result {
            Some(Err(fault)) => Err(fault),
            result => committed.and(result.unwrap_or_else(|| Err(stopped()))),
        };
        // A caller that no longer listens has been told nothing, and what it asked for stands.
        let _ = self.asker.send(answer);
    }
}

impl Writer {
    /// Starts the thread. While it waits, the look stands.
    pub(super) fn start(connection: Connection, look: StandingLook) -> std::io::Result<Self> {
        let (queue, tasks) = sync_channel(QUEUE);
        let work = move || serve(&connection, look, &tasks);
        let thread = thread::Builder::new().name("store".to_owned()).spawn(work)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs the work, twice where that of another in the group fails, and answers when it is on disk. Where the work
    /// fails or panics nothing of it stays, and nobody else notices.
    pub(super) fn submit<T, F>(&self, work: F) -> impl Future<Output = Result<T, Fault>> + use<T, F>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (task, answer) = task(work);
        let queued = self.enqueue(task);
        async {
            queued?;
            answer.await.unwrap_or_else(|_| Err(stopped()))
        }
    }

    fn enqueue(&self, task: Box<dyn Task>) -> Result<(), Fault> {
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.try_send(task).map_err(|error| match error {
            TrySendError::Full(_) => Fault::because(format!("{QUEUE} writes are waiting already")),
            TrySendError::Disconnected(_) => stopped(),
        })
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

fn task<T, F>(work: F) -> (Box<dyn Task>, oneshot::Receiver<Result<T, Fault>>)
where
    T: Send + 'static,
    F: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
{
    let (asker, answer) = oneshot::channel();
    (Box::new(Asked { work, result: None, asker }), answer)
}

fn guarded<T>(work: impl Fn(&Connection) -> Result<T, Fault>, connection: &Connection) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(|| work(connection)))
        .unwrap_or_else(|panic| Err(Fault::because(format!("a rule panicked: {}", message(panic.as_ref())))))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// The look ends before the connection: the last to close folds the log in, and has to be one that writes.
fn serve(connection: &Connection, look: StandingLook, tasks: &Receiver<Box<dyn Task>>) {
    let mut seen = changes_by_others(connection);
    let mut may_stand = true;
    loop {
        if may_stand {
            look.begin();
        }
        let next = tasks.recv_timeout(IDLE);
        look.end();
        let folded = match next {
            Ok(first) => {
                commit_group(connection, gather(first, tasks));
                true
            }
            Err(RecvTimeoutError::Timeout) => fold(connection),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // Another process that writes wants the log from its beginning again, and one that folds it in waits for us.
        let now = changes_by_others(connection);
        may_stand = folded && now.is_some() && now == seen;
        seen = now;
    }
}

/// A number that changes with each change by another connection; none where the store does not answer.
fn changes_by_others(connection: &Connection) -> Option<i64> {
    let mut version = connection.prepare_cached("PRAGMA data_version").ok()?;
    version.query_row([], |row| row.get(0)).ok()
}

/// What waits, and what those who run on this core are about to ask for: where many are on their way, they share one wait
/// for the disk. To yield an idle core takes no time.
fn gather(first: Box<dyn Task>, tasks: &Receiver<Box<dyn Task>>) -> Vec<Box<dyn Task>> {
    let mut group = vec![first];
    loop {
        let before = group.len();
        thread::yield_now();
        group.extend(tasks.try_iter().take(GROUP.saturating_sub(before)));
        if group.len() == before {
            return group;
        }
    }
}

/// Moves the write-ahead log into the file, as far as others allow; whether that is all of it.
fn fold(connection: &Connection) -> bool {
    let folded = connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)").and_then(|mut fold| {
        fold.query_row([], |row| {
            let is_all = row.get::<_, i64>("log")? == row.get::<_, i64>("checkpointed")?;
            Ok(is_all && !row.get::<_, bool>("busy")?)
        })
    });
    folded.unwrap_or_else(|error| {
        tracing::warn!(%error, "the store's log could not be folded in; tried again when idle");
        false
    })
}

fn commit_group(connection: &Connection, mut group: Vec<Box<dyn Task>>) {
    roll_back(connection);
    let committed = run_group(connection, &mut group).and_then(|()| Ok(run(connection, "COMMIT")?));
    if let Err(fault) = &committed {
        tracing::error!(reason = fault.reason(), writes = group.len(), "the store could not commit");
        roll_back(connection);
    }
    for task in group {
        task.answer(committed.clone());
    }
}

/// Runs all in one transaction, without savepoints: SQLite would keep a copy of each page that a task changes. Only where
/// one fails, all are run again, each in a savepoint. An error is that of the whole group.
fn run_group(connection: &Connection, group: &mut [Box<dyn Task>]) -> Result<(), Fault> {
    begin(connection)?;
    for task in &mut *group {
        let is_done = task.run(connection);
        check_open(connection)?;
        if !is_done {
            roll_back(connection);
            begin(connection)?;
            return match group {
                // There is nobody for whom to try again.
                [_] => Ok(()),
                _ => group.iter_mut().try_for_each(|task| in_savepoint(connection, task.as_mut())),
            };
        }
    }
    Ok(())
}

fn begin(connection: &Connection) -> Result<(), Fault> {
    let mut attempt = 1;
    loop {
        match run(connection, "BEGIN IMMEDIATE") {
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

fn in_savepoint(connection: &Connection, task: &mut dyn Task) -> Result<(), Fault> {
    run(connection, "SAVEPOINT task")?;
    let is_done = task.run(connection);
    check_open(connection)?;
    if !is_done {
        run(connection, "ROLLBACK TO task")?;
    }
    Ok(run(connection, "RELEASE task")?)
}

/// The fault of a transaction that is no longer there: SQLite gives it up where the disk is full.
fn check_open(connection: &Connection) -> Result<(), Fault> {
    match connection.is_autocommit() {
        true => Err(Fault::because("SQLite gave the transaction up: is the disk full?")),
        false => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A constraint that is looked at when the group commits.
    fn connection() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "PRAGMA foreign_keys = ON;
                 CREATE TABLE parent (id INTEGER PRIMARY KEY);
                 CREATE TABLE child (id INTEGER PRIMARY KEY REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
            )
            .unwrap();
        connection
    }

    fn insert(table: &'static str, id: i64) -> impl Fn(&Connection) -> Result<i64, Fault> + Send {
        move |connection| {
            connection.execute(&format!("INSERT INTO {table} VALUES (?1)"), [id])?;
            Ok(id)
        }
    }

    fn rows(connection: &Connection, table: &str) -> Vec<i64> {
        let mut statement = connection.prepare(&format!("SELECT id FROM {table} ORDER BY id")).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_task_that_panics_or_fails_takes_back_what_it_wrote_and_nothing_else() {
        let connection = connection();
        let (before, before_answer) = task(insert("parent", 1));
        let (panics, panics_answer) = task(|connection: &Connection| {
            insert("parent", 2)(connection)?;
            panic!("on the way")
        });
        let panics_answer: oneshot::Receiver<Result<(), Fault>> = panics_answer;
        let (fails, fails_answer) = task(|connection: &Connection| {
            insert("parent", 3)(connection)?;
            insert("parent", 1)(connection)
        });
        let (after, after_answer) = task(insert("parent", 4));
        commit_group(&connection, vec![before, panics, fails, after]);

        assert_eq!(before_answer.blocking_recv().unwrap(), Ok(1));
        assert_eq!(
            panics_answer.blocking_recv().unwrap(),
            Err(Fault::because("a rule panicked: on the way"))
        );
        assert!(fails_answer.blocking_recv().unwrap().unwrap_err().reason().contains("UNIQUE"));
        assert_eq!(after_answer.blocking_recv().unwrap(), Ok(4));
        assert_eq!(rows(&connection, "parent"), [1, 4]);
    }

    #[test]
    fn a_task_is_run_again_only_where_another_fails() {
        let connection = connection();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = |id| {
            let runs = Arc::clone(&runs);
            task(move |connection: &Connection| {
                runs.fetch_add(1, Ordering::Relaxed);
                insert("parent", id)(connection)
            })
        };
        let ((one, _one_answer), (two, _two_answer)) = (counted(1), counted(2));
        commit_group(&connection, vec![one, two]);
        assert_eq!(runs.swap(0, Ordering::Relaxed), 2);

        let ((good, good_answer), (taken, taken_answer)) = (counted(3), counted(1));
        commit_group(&connection, vec![good, taken]);
        assert_eq!(runs.load(Ordering::Relaxed), 4);
        assert_eq!(good_answer.blocking_recv().unwrap(), Ok(3));
        assert!(taken_answer.blocking_recv().unwrap().is_err());

        runs.store(0, Ordering::Relaxed);
        let (alone, alone_answer) = counted(1);
        commit_group(&connection, vec![alone]);
        assert_eq!(runs.load(Ordering::Relaxed), 1, "a task alone that fails");
        assert!(alone_answer.blocking_recv().unwrap().is_err());
        assert_eq!(rows(&connection, "parent"), [1, 2, 3]);
    }

    #[test]
    fn changes_by_others_are_told_from_our_own() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Connection::open(folder.path().join("store.db")).unwrap();
        let (ours, other) = (open(), open());
        ours.pragma_update(None, "journal_mode", "WAL").unwrap();
        let before = changes_by_others(&ours).unwrap();
        ours.execute_batch("CREATE TABLE by_us (id INTEGER)").unwrap();
        assert_eq!(changes_by_others(&ours), Some(before));
        other.execute_batch("CREATE TABLE by_another (id INTEGER)").unwrap();
        assert_ne!(changes_by_others(&ours), Some(before));
    }

    #[test]
    fn a_group_takes_all_that_waits_up_to_its_size() {
        let (queue, tasks) = sync_channel(QUEUE);
        let next = || task(insert("parent", 1)).0;
        for _ in 0..GROUP {
            queue.try_send(next()).ok().unwrap();
        }
        assert_eq!(gather(next(), &tasks).len(), GROUP);
        assert_eq!(gather(next(), &tasks).len(), 2, "what was left");
        assert_eq!(gather(next(), &tasks).len(), 1, "nobody else comes");
    }

    #[test]
    fn nothing_stays_of_a_task_alone_that_panics_fails_or_cannot_be_committed() {
        let connection = connection();
        let (panics, answer) = task(|connection: &Connection| {
            insert("parent", 1)(connection)?;
            panic!("on the way")
        });
        let panics_answer: oneshot::Receiver<Result<(), Fault>> = answer;
        commit_group(&connection, vec![panics]);
        let told = panics_answer.blocking_recv().unwrap();
        assert_eq!(told, Err(Fault::because("a rule panicked: on the way")));

        let (fails, fails_answer) = task(|connection: &Connection| {
            insert("parent", 1)(connection)?;
            insert("parent", 1)(connection)
        });
        commit_group(&connection, vec![fails]);
        assert!(fails_answer.blocking_recv().unwrap().unwrap_err().reason().contains("UNIQUE"));

        let (orphan, orphan_answer) = task(insert("child", 7));
        commit_group(&connection, vec![orphan]);
        assert!(orphan_answer.blocking_recv().unwrap().unwrap_err().reason().contains("FOREIGN KEY"));

        let (gives_up, gives_up_answer) = task(|connection: &Connection| {
            connection.execute_batch("ROLLBACK")?;
            Ok(2)
        });
        commit_group(&connection, vec![gives_up]);
        assert!(gives_up_answer.blocking_recv().unwrap().is_err());
        assert_eq!((rows(&connection, "parent"), rows(&connection, "child")), (vec![], vec![]));

        let (next, next_answer) = task(insert("parent", 1));
        commit_group(&connection, vec![next]);
        assert_eq!(next_answer.blocking_recv().unwrap(), Ok(1));
    }

    #[test]
    fn a_commit_that_fails_is_a_fault_for_its_whole_group_and_no_other() {
        let connection = connection();
        let (good, good_answer) = task(insert("parent", 1));
        let (orphan, orphan_answer) = task(insert("child", 7));
        commit_group(&connection, vec![good, orphan]);
        for answer in [good_answer, orphan_answer] {
            assert!(answer.blocking_recv().unwrap().unwrap_err().reason().contains("FOREIGN KEY"));
        }
        assert_eq!(rows(&connection, "parent"), [0; 0]);

        let (next, next_answer) = task(insert("parent", 1));
        commit_group(&connection, vec![next]);
        assert_eq!(next_answer.blocking_recv().unwrap(), Ok(1));
    }

    #[test]
    fn a_transaction_that_sqlite_gives_up_is_a_fault_for_its_whole_group() {
        let connection = connection();
        let (good, good_answer) = task(insert("parent", 1));
        let (gives_up, gives_up_answer) = task(|connection: &Connection| {
            connection.execute_batch("ROLLBACK")?;
            Ok(2)
        });
        let (late, late_answer) = task(insert("parent", 3));
        commit_group(&connection, vec![good, gives_up, late]);
        for answer in [good_answer, gives_up_answer, late_answer] {
            assert!(answer.blocking_recv().unwrap().is_err());
        }
        assert_eq!(rows(&connection, "parent"), [0; 0]);
    }

    #[tokio::test]
    async fn what_waits_when_the_writer_is_dropped_is_committed_and_answered() {
        let writer = Writer::start(connection(), StandingLook::by(connection())).unwrap();
        let (queued, answer) = task(insert("parent", 1));
        writer.queue.as_ref().unwrap().try_send(queued).ok().unwrap();
        drop(writer);
        assert_eq!(answer.await.unwrap(), Ok(1));
    }
}
