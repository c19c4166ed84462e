//! Device codes: looked up by their own secret or by the user code, answered by a user, taken by their device.

use super::column::{Json, Millis};
use super::decide::carry_out;
use super::read::{Guarded, grant_by_id, time, time_or_none};
use super::write::run;
use crate::store::DeviceCodeInserted;
use crate::store::id::{Id, SecretHash};
use crate::store::record::{Approval, DeviceCode, DeviceCodeState, Grant};
use crate::store::verdict::{Decided, Fault, Verdict};
use keybound_dpop::time::UnixTime;
use keybound_oauth::device::UserCode;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

const DEVICE_CODE: &str = "
    SELECT id, secret_hash, user_code, client_id, expires_at, interval_secs, polled_at, denied, grant_id, approval,
           taken, data
    FROM device_codes WHERE ";

impl Guarded for DeviceCode {
    fn find(connection: &Connection, id: Id) -> rusqlite::Result<Option<Self>> {
        let mut statement = connection.prepare_cached(&format!("{DEVICE_CODE} id = ?1"))?;
        statement.query_row([id], device_code).optional()
    }

    fn secret_hash(&self) -> &SecretHash {
        &self.secret_hash
    }
}

/// The device code that this user code stands for.
pub(super) fn by_user_code(
    connection: &Connection,
    user_code: &UserCode,
) -> Result<Option<DeviceCode>, Fault> {
    let mut statement = connection.prepare_cached(&format!("{DEVICE_CODE} user_code = ?1"))?;
    Ok(statement.query_row([user_code.letters()], device_code).optional()?)
}

/// Adds a device code, unless as many of its client wait for an answer already.
pub(super) fn insert(
    connection: &Connection,
    code: &DeviceCode,
    max_pending: u32,
) -> Result<DeviceCodeInserted, Fault> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM device_codes
        WHERE client_id = ?1 AND expires_at > ?2 AND denied = 0 AND grant_id IS NULL LIMIT ?3)";
    let pending: u32 = connection
        .prepare_cached(sql)?
        .query_row(params![code.client_id, Millis(code.issued_at), max_pending], |row| row.get(0))?;
    if pending >= max_pending {
        return Ok(DeviceCodeInserted::TooMany);
    }
    if by_user_code(connection, &code.user_code)?.is_some() {
        return Ok(DeviceCodeInserted::UserCodeTaken);
    }
    let sql =
        "INSERT INTO device_codes (id, secret_hash, user_code, client_id, expires_at, interval_secs, polled_at, data)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let params = params![
        code.id,
        code.secret_hash,
        code.user_code.letters(),
        code.client_id,
        Millis(code.expires_at),
        code.interval_secs,
        code.polled_at.map(Millis),
        Json(code),
    ];
    run(connection, sql, params).map(|_| DeviceCodeInserted::Yes)
}

/// The device asks: `Take` hands the tokens out, once.
pub(super) fn redeem<T, D>(
    connection: &Connection,
    id: Id,
    secret_hash: &SecretHash,
    decide: impl Fn(&DeviceCode, Option<&Grant>) -> Verdict<T, D>,
) -> Result<Decided<T, D>, Fault> {
    let Some(code) = DeviceCode::open(connection, id, secret_hash)? else { return Ok(Decided::Unknown) };
    let grant = match &code.state {
        DeviceCodeState::Allowed(approval) | DeviceCodeState::Taken(approval) => {
            grant_by_id(connection, approval.grant_id)?
        }
        DeviceCodeState::Pending | DeviceCodeState::Denied => None,
    };
    carry_out(connection, decide(&code, grant.as_ref()), || mark_taken(connection, id))
}

/// The user answers: `Take` writes the answer, which is the only one.
pub(super) fn answer<T, D>(
    connection: &Connection,
    user_code: &UserCode,
    decide: impl Fn(&DeviceCode) -> Verdict<T, D>,
) -> Result<Decided<T, D>, Fault> {
    let Some(code) = by_user_code(connection, user_code)? else { return Ok(Decided::Unknown) };
    carry_out(connection, decide(&code), || match code.state {
        DeviceCodeState::Pending => Ok(()),
        _ => Err(Fault::because("a rule answered a device code that was answered")),
    })
}

pub(super) fn allow(connection: &Connection, id: Id, approval: &Approval) -> Result<(), Fault> {
    let sql = "UPDATE device_codes SET grant_id = ?2, approval = ?3 WHERE id = ?1";
    run(connection, sql, params![id, approval.grant_id, Json(approval)])?;
    let sql =
        "UPDATE grants SET keep_until = max(keep_until, (SELECT expires_at FROM device_codes WHERE id = ?1))
        WHERE id = ?2";
    run(connection, sql, params![id, approval.grant_id]).map(drop)
}

pub(super) fn deny(connection: &Connection, id: Id) -> Result<(), Fault> {
    run(connection, "UPDATE device_codes SET denied = 1 WHERE id = ?1", [id]).map(drop)
}

pub(super) fn polled(connection: &Connection, id: Id, at: UnixTime, interval_secs: u32) -> Result<(), Fault> {
    let sql = "UPDATE device_codes SET polled_at = ?2, interval_secs = ?3 WHERE id = ?1";
    run(connection, sql, params![id, Millis(at), interval_secs]).map(drop)
}

fn mark_taken(connection: &Connection, id: Id) -> Result<(), Fault> {
    let sql = "UPDATE device_codes SET taken = 1 WHERE id = ?1 AND grant_id IS NOT NULL AND taken = 0";
    match run(connection, sql, [id])? {
        1 => Ok(()),
        _ => Err(Fault::because("a rule took a device code that was not allowed")),
    }
}

fn device_code(row: &Row<'_>) -> rusqlite::Result<DeviceCode> {
    let Json(code): Json<DeviceCode> = row.get("data")?;
    Ok(DeviceCode {
        id: row.get("id")?,
        secret_hash: row.get("secret_hash")?,
        user_code: row.get::<_, Letters>("user_code")?.0,
        client_id: row.get("client_id")?,
        expires_at: time(row, "expires_at")?,
        interval_secs: row.get("interval_secs")?,
        polled_at: time_or_none(row, "polled_at")?,
        state: state(row)?,
        ..code
    })
}

fn state(row: &Row<'_>) -> rusqlite::Result<DeviceCodeState> {
    let approval: Option<Json<Approval>> = row.get("approval")?;
    let grant_id: Option<Id> = row.get("grant_id")?;
    Ok(match (approval.zip(grant_id), row.get("taken")?, row.get("denied")?) {
        (Some((Json(approval), grant_id)), false, _) => {
            DeviceCodeState::Allowed(Approval { grant_id, ..approval })
        }
        (Some((Json(approval), grant_id)), true, _) => {
            DeviceCodeState::Taken(Approval { grant_id, ..approval })
        }
        (None, _, true) => DeviceCodeState::Denied,
        (None, _, false) => DeviceCodeState::Pending,
    })
}

/// A user code as it stands in its column.
struct Letters(UserCode);

impl FromSql for Letters {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        UserCode::parse(value.as_str()?).map(Self).ok_or(FromSqlError::InvalidType)
    }
}
