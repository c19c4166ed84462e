//! The schema's versions: numbered SQL, applied forward, never changed once released.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// `PRAGMA application_id` of our files: "Kbnd".
const APPLICATION_ID: i32 = 0x4b62_6e64;

const MIGRATIONS: [&str; 8] = [
    include_str!("schema/001_begin.sql"),
    include_str!("schema/002_pushed.sql"),
    include_str!("schema/003_device.sql"),
    include_str!("schema/004_access_tokens.sql"),
    include_str!("schema/005_consents.sql"),
    include_str!("schema/006_logout.sql"),
    include_str!("schema/007_claims.sql"),
    include_str!("schema/008_registration.sql"),
];

/// Why a file cannot be used as a store.
#[derive(Debug)]
pub(super) enum SchemaError {
    /// The file is a database of another program.
    Foreign,
    /// A newer Keybound wrote it.
    Newer { found: usize, known: usize },
    /// SQLite refused.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for SchemaError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Refuses a file that is not ours to change, before anything in it is.
pub(super) fn inspect(connection: &mut Connection) -> Result<(), SchemaError> {
    version(&connection.transaction()?).map(drop)
}

/// Brings the file to the present version, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), SchemaError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    for sql in MIGRATIONS.iter().skip(found) {
        transaction.execute_batch(sql)?;
    }
    if found < MIGRATIONS.len() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(
            None,
            "user_version",
            i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX),
        )?;
    }
    Ok(transaction.commit()?)
}

/// The version of the file's schema; zero where the file is new. In one transaction, because another process may be
/// writing the first schema just now.
fn version(connection: &Transaction<'_>) -> Result<usize, SchemaError> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let found = usize::try_from(version).unwrap_or(usize::MAX);
    if application != APPLICATION_ID && (objects > 0 || found > 0) {
        return Err(SchemaError::Foreign);
    }
    if found > MIGRATIONS.len() {
        return Err(SchemaError::Newer { found, known: MIGRATIONS.len() });
    }
    Ok(found)
}
