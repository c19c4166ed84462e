//! Opening the file: what must be true of it, and what to do where it is not.

use super::schema::{self, SchemaError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

/// How long one attempt waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// Pages that the write-ahead log may grow to before a commit folds it in; an idle writer does so earlier.
const AUTOCHECKPOINT_PAGES: u32 = 16_384;
/// What a connection keeps of the file in memory, at most; negative is KiB to SQLite.
const CACHE_KIB: i32 = -16 * 1024;
/// How often we ask for the write-ahead log while other processes open the same new file.
const WAL_ATTEMPTS: u32 = 10;
/// Statements that a connection keeps prepared; more than we have.
const STATEMENTS: usize = 96;

/// Why the store cannot be opened, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of the file is not there.
    #[error("the folder {} of the store does not exist: create it, or name another place", .folder.display())]
    FolderMissing {
        /// The folder.
        folder: PathBuf,
    },
    /// The path names a folder or something else that is no file.
    #[error("{} is not a file: name the store's file, not its folder", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// We may not write there. SQLite needs to write the file and its folder.
    #[error(
        "{} cannot be written: give the user that runs this the right to write the file and its folder ({reason})",
        .path.display()
    )]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is something else, or broken.
    #[error(
        "{} is not a database, or it is damaged: name another file, or restore this one from a backup",
        .path.display()
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error("{} is the database of another program: name another file", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer version wrote the file.
    #[error(
        "{} has schema {found}, and this version knows {known}: run the version that wrote it, or a newer one",
        .path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: usize,
        /// The newest that we know.
        known: usize,
    },
    /// No room is left.
    #[error("no room is left on the disk of {}: make some and start again", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// Another process keeps the file locked.
    #[error("another process keeps {} locked: see which has it open, and end it", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{} cannot be opened: {reason}", .path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What was said.
        reason: String,
    },
}

/// The connection that writes, to a file that is there, is ours and has the present schema.
pub(super) fn writer(path: &Path) -> Result<Connection, OpenError> {
    create_private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(|error| explain(path, &error))?;
    prepare(&connection).map_err(|error| explain(path, &error))?;
    schema::inspect(&mut connection).map_err(|error| unusable(path, error))?;
    into_wal(path, &connection)?;
    durable(&connection).map_err(|error| explain(path, &error))?;
    schema::migrate(&mut connection).map_err(|error| unusable(path, error))?;
    Ok(connection)
}

/// A connection that reads.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    Ok(connection)
}

/// The file holds signing keys: only its owner may read it. SQLite gives the files beside it the same mode.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(OpenError::FolderMissing { folder: folder.to_owned() });
    }
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull => OpenError::DiskFull { path: path.to_owned() },
        _ => OpenError::NotWritable { path: path.to_owned(), reason: error.to_string() },
    };
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_file() => {
            make_private(path).map_err(refused)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(OpenError::NotAFile { path: path.to_owned() })
        }
        Err(error) => Err(refused(error)),
    }
}

#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(permissions.mode() & 0o7700);
        fs::set_permissions(path, permissions)?;
        tracing::warn!(path = %path.display(), "others could read the store's file: its mode was narrowed");
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Without it a statement may be planned anew each time its parameters change, at several times its cost.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "trusted_schema", "OFF")
}

/// The change of mode does not wait for other processes; taking the write lock does.
fn into_wal(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    for _ in 0..WAL_ATTEMPTS {
        let mode =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(_) => {
                let reason = "its file system lets no processes share memory: use a local disk".to_owned();
                return Err(OpenError::Other { path: path.to_owned(), reason });
            }
            Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => {
                return Err(explain(path, &error));
            }
            Err(_) => {
                connection.execute_batch("BEGIN IMMEDIATE; COMMIT").map_err(|error| explain(path, &error))?;
            }
        }
    }
    Err(OpenError::Busy { path: path.to_owned() })
}

fn durable(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // What a savepoint could take back is remembered in memory, not in a temporary file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT_PAGES)
}

fn unusable(path: &Path, error: SchemaError) -> OpenError {
    let path = path.to_owned();
    match error {
        SchemaError::Foreign => OpenError::Foreign { path },
        SchemaError::Newer { found, known } => OpenError::NewerSchema { path, found, known },
        SchemaError::Sqlite(error) => explain(&path, &error),
    }
}

fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::NotADatabase { path },
        Some(ErrorCode::DiskFull) => OpenError::DiskFull { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Busy { path },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            OpenError::NotWritable { path, reason: error.to_string() }
        }
        _ => OpenError::Other { path, reason: error.to_string() },
    }
}
