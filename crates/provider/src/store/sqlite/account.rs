//! Users and named secrets: what changes seldom and is seen by every process.

use super::column::{Columns, Json, Millis};
use super::write::{end_all_of, run};
use crate::store::Inserted;
use crate::store::record::User;
use crate::store::verdict::Fault;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde_json::{Map, Value};

const USER: &str = "SELECT username, subject, password_hash, claims, updated_at FROM users WHERE ";

pub(super) fn insert_user(connection: &Connection, user: &User) -> Result<Inserted, Fault> {
    if user_by_username(connection, &user.username)?.is_some() {
        return Ok(Inserted::UsernameTaken);
    }
    if user_by_subject(connection, &user.subject)?.is_some() {
        return Ok(Inserted::SubjectTaken);
    }
    let sql = "INSERT INTO users (username, subject, password_hash, claims, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let updated_at = Millis(user.updated_at);
    let hash = user.password_hash.reveal();
    run(connection, sql, params![user.username, user.subject, hash, Json(&user.claims), updated_at])?;
    Ok(Inserted::Yes)
}

pub(super) fn user_by_username(connection: &Connection, username: &str) -> Result<Option<User>, Fault> {
    one(connection, &format!("{USER} username = ?1"), [username], |row| user(&mut Columns::of(row)))
}

pub(super) fn user_by_subject(connection: &Connection, subject: &str) -> Result<Option<User>, Fault> {
    one(connection, &format!("{USER} subject = ?1"), [subject], |row| user(&mut Columns::of(row)))
}

pub(super) fn users(connection: &Connection, after: &str, limit: u32) -> Result<Vec<User>, Fault> {
    all(
        connection,
        &format!("{USER} username > ?1 ORDER BY username LIMIT ?2"),
        params![after, limit],
        |row| user(&mut Columns::of(row)),
    )
}

/// A new password ends what was begun with the old one (RFC 9700 §4.14.2).
pub(super) fn set_password(
    connection: &Connection,
    username: &str,
    password_hash: &Secret,
    at: UnixTime,
) -> Result<bool, Fault> {
    let Some(user) = user_by_username(connection, username)? else { return Ok(false) };
    let sql = "UPDATE users SET password_hash = ?2, updated_at = ?3 WHERE username = ?1";
    run(connection, sql, params![username, password_hash.reveal(), Millis(at)])?;
    end_all_of(connection, &user.subject, at).map(|()| true)
}

pub(super) fn set_claims(
    connection: &Connection,
    username: &str,
    claims: &Map<String, Value>,
    at: UnixTime,
) -> Result<bool, Fault> {
    let sql = "UPDATE users SET claims = ?2, updated_at = ?3 WHERE username = ?1";
    Ok(run(connection, sql, params![username, Json(claims), Millis(at)])? == 1)
}

pub(super) fn remove_user(connection: &Connection, username: &str, at: UnixTime) -> Result<bool, Fault> {
    let Some(user) = user_by_username(connection, username)? else { return Ok(false) };
    run(connection, "DELETE FROM users WHERE username = ?1", [username])?;
    end_all_of(connection, &user.subject, at).map(|()| true)
}

pub(super) fn secret(connection: &Connection, name: &str) -> Result<Option<[u8; 32]>, Fault> {
    one(connection, "SELECT value FROM secrets WHERE name = ?1", [name], |row| row.get("value"))
}

/// The secret of that name: the one that is there, or else this one from now on.
pub(super) fn create_secret(
    connection: &Connection,
    name: &str,
    entropy: [u8; 32],
) -> Result<[u8; 32], Fault> {
    if let Some(there) = secret(connection, name)? {
        return Ok(there);
    }
    run(connection, "INSERT INTO secrets (name, value) VALUES (?1, ?2)", params![name, entropy])?;
    Ok(entropy)
}

/// Another secret of that name, from now on.
pub(super) fn replace_secret(connection: &Connection, name: &str, secret: [u8; 32]) -> Result<(), Fault> {
    run(connection, "INSERT OR REPLACE INTO secrets (name, value) VALUES (?1, ?2)", params![name, secret])?;
    bump(connection)
}

pub(super) fn version(connection: &Connection) -> Result<u64, Fault> {
    let counter: Option<i64> = one(connection, "SELECT counter FROM version", [], |row| row.get("counter"))?;
    counter
        .and_then(|counter| u64::try_from(counter).ok())
        .ok_or_else(|| Fault::because("the store has no version"))
}

/// Says to every process that what it holds in memory is old.
pub(super) fn bump(connection: &Connection) -> Result<(), Fault> {
    run(connection, "UPDATE version SET counter = counter + 1", []).map(drop)
}

pub(super) fn user(row: &mut Columns<'_>) -> rusqlite::Result<User> {
    Ok(User {
        username: row.next()?,
        subject: row.next()?,
        password_hash: Secret::new(row.next::<String>()?),
        claims: row.next().map(|Json(claims)| claims)?,
        updated_at: row.time()?,
    })
}

pub(super) fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, Fault> {
    Ok(connection.prepare_cached(sql)?.query_row(params, read).optional()?)
}

pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Fault> {
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_map(params, read)?.collect::<Result<_, _>>()?)
}
