//! Who took part in a session, and who has yet to be told that it has ended.

use super::account::{all, one};
use super::column::Millis;
use super::read::time;
use super::write::run;
use crate::store::id::Id;
use crate::store::record::{Grant, LogoutNotice};
use crate::store::verdict::Fault;
use keybound_dpop::time::UnixTime;
use rusqlite::{Connection, Row, params};

/// Notices for clients that want to be told, as far as the store knows: some have their metadata elsewhere. A session that
/// ran out is no logout.
const NOTIFY: &str = "
    INSERT INTO logout_notices (client_id, subject, sid, ended_at, tries, due_at)
    SELECT p.client_id, s.subject, p.sid, ?2, 0, ?2
    FROM sessions s JOIN participants p ON p.session_id = s.id LEFT JOIN clients c ON c.client_id = p.client_id
    WHERE s.expires_at > ?2
          AND (json_extract(c.metadata, '$.backchannel_logout_uri') IS NOT NULL OR c.client_id IS NULL
               AND NOT EXISTS (SELECT 1 FROM removed_clients r WHERE r.client_id = p.client_id)) AND ";

/// The first few of each client, so that none waits behind another's.
const DUE: &str = "
    WITH RECURSIVE waiting (client_id) AS (
        SELECT min(client_id) FROM logout_notices
        UNION ALL
        SELECT (SELECT min(client_id) FROM logout_notices WHERE client_id > waiting.client_id)
        FROM waiting WHERE client_id IS NOT NULL
    )
    SELECT id, client_id, subject, sid, ended_at, tries, due_at FROM logout_notices WHERE id IN (
        SELECT n.id FROM waiting JOIN logout_notices n ON n.id IN (
            SELECT id FROM logout_notices WHERE client_id = waiting.client_id AND due_at <= ?1
            ORDER BY due_at LIMIT ?2
        )
    ) ORDER BY due_at, id";

/// The client of a new grant takes part in its session from now on. Where somebody has ended that in the meantime, the
/// grant has no session any more.
pub(super) fn take_part(connection: &Connection, grant: &Grant) -> Result<(), Fault> {
    let Some(session_id) = grant.session_id else { return Ok(()) };
    // It does nearly always, and is gone with its session.
    let sql = "SELECT 1 FROM participants WHERE session_id = ?1 AND client_id = ?2 AND sid = ?1";
    if one(connection, sql, params![session_id, grant.client_id], |_| Ok(()))?.is_some() {
        return Ok(());
    }
    let sql =
        "INSERT INTO participants (session_id, client_id, sid) SELECT id, ?2, id FROM sessions WHERE id = ?1";
    if run(connection, sql, params![session_id, grant.client_id])? == 0 {
        let sql =
            "UPDATE grants SET session_ended_at = created_at WHERE id = ?1 AND session_ended_at IS NULL";
        run(connection, sql, [grant.id])?;
    }
    Ok(())
}

/// The same user signed in anew: who took part in the session before takes part in the new one.
pub(super) fn move_participants(connection: &Connection, old: Id, new: Id) -> Result<(), Fault> {
    run(connection, "UPDATE participants SET session_id = ?2 WHERE session_id = ?1", [old, new]).map(drop)
}

/// The session is about to end.
pub(super) fn notify(connection: &Connection, session_id: Id, at: UnixTime) -> Result<(), Fault> {
    run(connection, &format!("{NOTIFY} s.id = ?1"), params![session_id, Millis(at)]).map(drop)
}

/// All sessions of the user are about to end.
pub(super) fn notify_all_of(connection: &Connection, subject: &str, at: UnixTime) -> Result<(), Fault> {
    run(connection, &format!("{NOTIFY} s.subject = ?1"), params![subject, Millis(at)]).map(drop)
}

/// A client that is gone is told nothing.
pub(super) fn remove_all_of(connection: &Connection, client_id: &str) -> Result<(), Fault> {
    run(connection, "DELETE FROM logout_notices WHERE client_id = ?1", [client_id]).map(drop)
}

pub(super) fn remove(connection: &Connection, id: i64) -> Result<(), Fault> {
    run(connection, "DELETE FROM logout_notices WHERE id = ?1", [id]).map(drop)
}

pub(super) fn delay(connection: &Connection, id: i64, tries: u32, due_at: UnixTime) -> Result<(), Fault> {
    let sql = "UPDATE logout_notices SET tries = ?2, due_at = ?3 WHERE id = ?1";
    run(connection, sql, params![id, tries, Millis(due_at)]).map(drop)
}

/// The notices that are due, at most that many of one client.
pub(super) fn due(
    connection: &Connection,
    now: UnixTime,
    per_client: u32,
) -> Result<Vec<LogoutNotice>, Fault> {
    all(connection, DUE, params![Millis(now), per_client], notice)
}

/// The ids that the session had when the client came to take part; none where it did not.
pub(super) fn sids(connection: &Connection, session_id: Id, client_id: &str) -> Result<Vec<Id>, Fault> {
    let sql = "SELECT sid FROM participants WHERE session_id = ?1 AND client_id = ?2";
    all(connection, sql, params![session_id, client_id], |row| row.get("sid"))
}

fn notice(row: &Row<'_>) -> rusqlite::Result<LogoutNotice> {
    Ok(LogoutNotice {
        id: row.get("id")?,
        client_id: row.get("client_id")?,
        subject: row.get("subject")?,
        sid: row.get("sid")?,
        ended_at: time(row, "ended_at")?,
        tries: row.get("tries")?,
        due_at: time(row, "due_at")?,
    })
}
