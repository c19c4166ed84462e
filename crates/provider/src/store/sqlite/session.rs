//! Sign-in sessions: what the pages need of one, what an operator sees of them, and does to them.

use super::account::all;
use super::column::{Columns, Millis};
use super::consent::consent;
use super::logout;
use super::read::{Guarded, session};
use super::write::{end_session, run};
use crate::store::id::{Id, SecretHash};
use crate::store::record::{Session, SignedIn};
use crate::store::verdict::Fault;
use keybound_dpop::time::UnixTime;
use rusqlite::{Connection, params};

/// Who is signed in, and what they let a client have: a page needs both, in one look.
const SIGNED_IN: &str = "
    SELECT s.secret_hash, s.subject, s.auth_time, s.acr, s.created_at, s.last_seen_at, s.expires_at, u.username,
           c.data, c.id, c.subject, c.client_id, c.given_at, c.used_at, c.expires_at
    FROM sessions s JOIN users u ON u.subject = s.subject
    LEFT JOIN consents c ON c.subject = s.subject AND c.client_id = ?2
    WHERE s.id = ?1 ORDER BY c.id DESC";

/// The session with its user, for who has its secret, and what that user lets the client have.
pub(super) fn signed_in(
    connection: &Connection,
    id: Id,
    secret_hash: &SecretHash,
    client_id: Option<&str>,
) -> Result<Option<SignedIn>, Fault> {
    let mut statement = connection.prepare_cached(SIGNED_IN)?;
    let mut rows = statement.query(params![id, client_id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut row = Columns::of(row);
    let session = session(id, &mut row)?;
    if session.secret_hash != *secret_hash {
        return Ok(None);
    }
    let username = row.next()?;
    let at_consent = row.at();
    let mut consents = Vec::from_iter(consent(&mut row)?);
    while let Some(row) = rows.next()? {
        consents.extend(consent(&mut Columns::from(row, at_consent))?);
    }
    Ok(Some(SignedIn { session, username, consents }))
}

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
