//! What an operator sees of sign-in sessions, and does to them.

use super::account::all;
use super::column::{Columns, Millis};
use super::logout;
use super::read::{Guarded, session};
use super::write::{end_session, run};
use crate::store::id::Id;
use crate::store::record::Session;
use crate::store::verdict::Fault;
use keybound_dpop::time::UnixTime;
use rusqlite::{Connection, params};

/// At most `limit` sessions in the order of their birth, of that user or of all, from the first after `after` on.
pub(super) fn list(
    connection: &Connection,
    subject: Option<&str>,
    after: Option<Id>,
    limit: u32,
) -> Result<Vec<Session>, Fault> {
    let sql =
        "SELECT id, secret_hash, subject, auth_time, acr, created_at, last_seen_at, expires_at FROM sessions
        WHERE id > coalesce(?1, x'') AND (?2 IS NULL OR subject = ?2) ORDER BY id LIMIT ?3";
    all(connection, sql, params![after, subject, limit], |row| {
        let mut row = Columns::of(row);
        session(row.next()?, &mut row)
    })
}

/// Ends the session; false where there is none.
pub(super) fn end(connection: &Connection, id: Id, at: UnixTime) -> Result<bool, Fault> {
    let is_there = Session::find(connection, id)?.is_some();
    end_session(connection, id, at)?;
    Ok(is_there)
}

/// Ends all sessions of the user; how many there were.
pub(super) fn end_all_of(connection: &Connection, subject: &str, at: UnixTime) -> Result<usize, Fault> {
    logout::notify_all_of(connection, subject, at)?;
    let sql = "UPDATE grants SET session_ended_at = ?2 WHERE session_ended_at IS NULL
        AND session_id IN (SELECT id FROM sessions WHERE subject = ?1)";
    run(connection, sql, params![subject, Millis(at)])?;
    run(connection, "DELETE FROM sessions WHERE subject = ?1", [subject])
}
