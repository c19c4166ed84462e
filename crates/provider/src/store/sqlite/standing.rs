//! A look at the store that stays open while nothing is written, for the sake of all others.

use rusqlite::Connection;

/// SQLite counts the read locks of a process on one state of the file, and asks the system for the first and the last of
/// them only: while this look stands, those beside it need no system call for theirs. It has to end before a change and
/// begin again after it, and not to stand at all while another process writes: nobody can fold the write-ahead log in
/// beyond what is looked at, or write it from its beginning again.
#[derive(Debug)]
pub(super) struct StandingLook(Connection);

impl StandingLook {
    /// By a connection of its own.
    pub(super) const fn by(connection: Connection) -> Self {
        Self(connection)
    }

    /// Looks at the present state. Where that fails, others take their own locks.
    pub(super) fn begin(&self) {
        if let Err(error) = self.try_to_begin() {
            tracing::debug!(%error, "no look at the store stands");
        }
    }

    fn try_to_begin(&self) -> rusqlite::Result<()> {
        self.0.prepare_cached("BEGIN")?.execute([])?;
        // Only a look at something takes the lock.
        self.0.prepare_cached("SELECT 1 FROM sqlite_schema LIMIT 1")?.query_row([], |_| Ok(()))
    }

    /// Looks no more.
    pub(super) fn end(&self) {
        if !self.0.is_autocommit()
            && let Err(error) = self.0.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]))
        {
            tracing::warn!(%error, "a look at the store could not end: its log may grow");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_look_holds_the_log_from_its_beginning_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Connection::open(folder.path().join("store.db")).unwrap();
        let (writer, look) = (open(), StandingLook::by(open()));
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.busy_timeout(Duration::ZERO).unwrap();
        let is_held = |id: u8| {
            writer.execute_batch(&format!("CREATE TABLE t{id} (id INTEGER)")).unwrap();
            let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
            writer.query_row(fold, [], |row| row.get::<_, bool>("busy")).unwrap()
        };
        assert!(!is_held(1));
        look.begin();
        assert!(is_held(2));
        look.begin();
        assert!(is_held(3), "a second beginning changes nothing");
        look.end();
        assert!(!is_held(4));
        look.end();
        look.begin();
        assert!(is_held(5));
    }
}
