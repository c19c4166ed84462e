//! Consents that are remembered: a row for each extent.

use super::Embedded;
use super::account::all;
use super::column::{Columns, Json, Millis};
use super::write::run;
use crate::store::consent::MAX_CONSENTS;
use crate::store::id::Id;
use crate::store::record::Consent;
use crate::store::verdict::Fault;
use keybound_dpop::time::UnixTime;
use rusqlite::{Connection, params};

const CONSENT: &str =
    "SELECT data, id, subject, client_id, given_at, used_at, expires_at FROM consents WHERE ";

impl Embedded {
    pub(in crate::store) fn consents(
        &self,
        subject: &str,
        client_id: Option<&str>,
    ) -> Result<Vec<Consent>, Fault> {
        let sql = format!("{CONSENT} subject = ?1 AND (?2 IS NULL OR client_id = ?2) ORDER BY id DESC");
        self.read(|db| all(db, &sql, params![subject, client_id], |row| consent(&mut Columns::of(row))))
            .map(|found| found.into_iter().flatten().collect())
    }

    pub(in crate::store) fn all_consents(
        &self,
        after: Option<Id>,
        limit: u32,
    ) -> Result<Vec<Consent>, Fault> {
        let sql = format!("{CONSENT} (?1 IS NULL OR id > ?1) ORDER BY id LIMIT ?2");
        self.read(|db| all(db, &sql, params![after, limit], |row| consent(&mut Columns::of(row))))
            .map(|found| found.into_iter().flatten().collect())
    }
}

pub(super) fn remember(connection: &Connection, consent: &Consent) -> Result<(), Fault> {
    let sql = "INSERT INTO consents (id, subject, client_id, given_at, used_at, expires_at, data)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let params = params![
        consent.id,
        consent.subject,
        consent.client_id,
        Millis(consent.given_at),
        consent.used_at.map(Millis),
        Millis(consent.expires_at),
        Json(consent),
    ];
    run(connection, sql, params)?;
    let sql = "DELETE FROM consents WHERE id IN
        (SELECT id FROM consents WHERE subject = ?1 AND client_id = ?2 ORDER BY id DESC LIMIT -1 OFFSET ?3)";
    run(connection, sql, params![consent.subject, consent.client_id, MAX_CONSENTS]).map(drop)
}

/// Whoever forgot it in between has the last word: nothing is written then.
pub(super) fn mark_used(connection: &Connection, id: Id, at: UnixTime) -> Result<(), Fault> {
    let sql = "UPDATE consents SET used_at = max(ifnull(used_at, ?2), ?2) WHERE id = ?1 AND expires_at > ?2";
    match run(connection, sql, params![id, Millis(at)])? {
        1 => Ok(()),
        _ => Err(Fault::because("a consent was forgotten while it answered a request")),
    }
}

pub(super) fn forget(connection: &Connection, id: Id) -> Result<(), Fault> {
    run(connection, "DELETE FROM consents WHERE id = ?1", [id]).map(drop)
}

pub(super) fn forget_all_of(
    connection: &Connection,
    subject: &str,
    client_id: Option<&str>,
) -> Result<(), Fault> {
    let sql = "DELETE FROM consents WHERE subject = ?1 AND (?2 IS NULL OR client_id = ?2)";
    run(connection, sql, params![subject, client_id]).map(drop)
}

/// What was remembered for a client ends with it.
pub(super) fn forget_client(connection: &Connection, client_id: &str) -> Result<(), Fault> {
    run(connection, "DELETE FROM consents WHERE client_id = ?1", [client_id]).map(drop)
}

/// The consent in these columns; none where they are those of a join that found none.
pub(super) fn consent(row: &mut Columns<'_>) -> rusqlite::Result<Option<Consent>> {
    let Some(Json(consent)) = row.next::<Option<Json<Consent>>>()? else { return Ok(None) };
    Ok(Some(Consent {
        id: row.next()?,
        subject: row.next()?,
        client_id: row.next()?,
        given_at: row.time()?,
        used_at: row.time_or_none()?,
        expires_at: row.time()?,
        ..consent
    }))
}
