//! Writing: one [`Write`], one or a few statements.

use super::column::{Json, Millis};
use super::read::Guarded;
use super::{consent, device, logout};
use crate::store::id::Id;
use crate::store::record::{AccessToken, Code, Grant, Pushed, RefreshToken, Session};
use crate::store::verdict::{Fault, Write};
use keybound_dpop::time::UnixTime;
use rusqlite::{Connection, Params, params};

/// Writes all of them, in order. A grant is kept as long as what is issued from it: that is written once, since it is in
/// an index.
pub(super) fn apply_all(connection: &Connection, writes: &[Write]) -> Result<(), Fault> {
    writes.iter().try_for_each(|write| apply(connection, write, writes))?;
    let is_new = |id| writes.iter().any(|write| matches!(write, Write::InsertGrant(grant) if grant.id == id));
    for (id, until) in writes.iter().filter_map(keeps) {
        if longest(writes, id) == Some(until) && !is_new(id) {
            keep_grant(connection, id, until)?;
        }
    }
    Ok(())
}

/// Which grant is kept for that, at least until when.
fn keeps(write: &Write) -> Option<(Id, UnixTime)> {
    match write {
        Write::InsertCode(code) => Some((code.grant_id, code.expires_at)),
        Write::InsertRefreshToken(token) => Some((token.grant_id, token.expires_at)),
        Write::InsertAccessToken(token) => Some((token.grant_id?, token.expires_at)),
        Write::KeepGrant { id, until } => Some((*id, *until)),
        _ => None,
    }
}

fn longest(writes: &[Write], grant: Id) -> Option<UnixTime> {
    writes.iter().filter_map(keeps).filter(|(id, _)| *id == grant).map(|(_, until)| until).max()
}

fn apply(connection: &Connection, write: &Write, all: &[Write]) -> Result<(), Fault> {
    match write {
        Write::InsertGrant(grant) => insert_grant(connection, grant, longest(all, grant.id)),
        Write::InsertCode(code) => insert_code(connection, code),
        Write::InsertRefreshToken(token) => insert_refresh_token(connection, token),
        Write::InsertAccessToken(token) => insert_access_token(connection, token),
        Write::RemoveAccessToken { id } => remove_access_token(connection, *id),
        Write::RevokeToken { jti, expires_at } => revoke_token(connection, jti, *expires_at),
        Write::RotateRefreshToken { id, successor, at } => rotate(connection, *id, *successor, *at),
        Write::TouchRefreshToken { id, at, idle_expires_at } => touch(connection, *id, *at, *idle_expires_at),
        Write::CodeRefused { id, retire } => refuse_code(connection, *id, *retire),
        Write::KeepGrant { .. } => Ok(()),
        Write::RevokeGrant { id, at } => revoke_grant(connection, *id, *at),
        Write::RevokeGrantsOf { subject, client_id, at } => {
            revoke_grants_of(connection, subject, client_id.as_deref(), *at)
        }
        Write::RememberConsent(new) => consent::remember(connection, new),
        Write::UseConsent { id, at } => consent::mark_used(connection, *id, *at),
        Write::ForgetConsent { id } => consent::forget(connection, *id),
        Write::ForgetConsentsOf { subject, client_id } => {
            consent::forget_all_of(connection, subject, client_id.as_deref())
        }
        Write::AllowDevice { id, approval } => device::allow(connection, *id, approval),
        Write::DenyDevice { id } => device::deny(connection, *id),
        Write::DevicePolled { id, at, interval_secs } => device::polled(connection, *id, *at, *interval_secs),
        Write::InsertPushed(pushed) => insert_pushed(connection, pushed),
        Write::InsertSession(session) => insert_session(connection, session),
        Write::RenewSession { id, last_seen_at, expires_at } => {
            renew_session(connection, *id, *last_seen_at, *expires_at)
        }
        Write::EndSession { id, at } => end_session(connection, *id, *at),
        Write::ReplaceSession { old, new, at } => replace_session(connection, *old, new, *at),
        Write::RemoveLogoutNotice { id } => logout::remove(connection, *id),
        Write::DelayLogoutNotice { id, tries, due_at } => logout::delay(connection, *id, *tries, *due_at),
    }
}

/// Runs one statement that is kept prepared; how many rows it changed.
pub(super) fn run(connection: &Connection, sql: &str, params: impl Params) -> Result<usize, Fault> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}

/// Marks the code as used. Only a live code can be: a rule that takes another is wrong, and is stopped here.
pub(super) fn mark_redeemed(connection: &Connection, id: Id, at: UnixTime) -> Result<(), Fault> {
    let sql = "UPDATE codes SET redeemed_at = ?2 WHERE id = ?1 AND redeemed_at IS NULL AND retired = 0";
    match run(connection, sql, params![id, Millis(at)])? {
        1 => Ok(()),
        _ => Err(Fault::because("a rule took a code that was not live")),
    }
}

/// Marks the pushed request as used, once.
pub(super) fn mark_used(connection: &Connection, id: Id, at: UnixTime) -> Result<(), Fault> {
    let sql = "UPDATE pushed SET used_at = ?2 WHERE id = ?1 AND used_at IS NULL";
    match run(connection, sql, params![id, Millis(at)])? {
        1 => Ok(()),
        _ => Err(Fault::because("a rule took a pushed request that was used")),
    }
}

/// All sign-ins and all families of the user end.
pub(super) fn end_all_of(connection: &Connection, subject: &str, at: UnixTime) -> Result<(), Fault> {
    logout::notify_all_of(connection, subject, at)?;
    run(connection, "DELETE FROM sessions WHERE subject = ?1", [subject])?;
    revoke_grants_of(connection, subject, None, at)
}

fn insert_grant(connection: &Connection, grant: &Grant, until: Option<UnixTime>) -> Result<(), Fault> {
    let sql =
        "INSERT INTO grants (id, client_id, subject, session_id, created_at, revoked_at, session_ended_at,
        keep_until, claims) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?9, ?8)";
    let params = params![
        grant.id,
        grant.client_id,
        grant.subject,
        grant.session_id,
        Millis(grant.created_at),
        grant.revoked_at.map(Millis),
        grant.session_ended_at.map(Millis),
        grant.claims.to_parameter(),
        Millis(until.unwrap_or(grant.created_at).max(grant.created_at)),
    ];
    run(connection, sql, params)?;
    logout::take_part(connection, grant)
}

fn insert_code(connection: &Connection, code: &Code) -> Result<(), Fault> {
    let sql = "INSERT INTO codes (id, secret_hash, grant_id, expires_at, data) VALUES (?1, ?2, ?3, ?4, ?5)";
    let expires_at = Millis(code.expires_at);
    run(connection, sql, params![code.id, code.secret_hash, code.grant_id, expires_at, Json(code)]).map(drop)
}

fn insert_refresh_token(connection: &Connection, token: &RefreshToken) -> Result<(), Fault> {
    let sql =
        "INSERT INTO refresh_tokens (id, secret_hash, grant_id, last_used_at, expires_at, idle_expires_at,
        data) VALUES (?1, ?2, ?3, ?4, ?5, min(?6, ?5), ?7)";
    let params = params![
        token.id,
        token.secret_hash,
        token.grant_id,
        Millis(token.last_used_at),
        Millis(token.expires_at),
        Millis(token.idle_expires_at),
        Json(token),
    ];
    run(connection, sql, params).map(drop)
}

fn insert_access_token(connection: &Connection, token: &AccessToken) -> Result<(), Fault> {
    let sql = "INSERT INTO access_tokens (id, secret_hash, grant_id, expires_at, claims) VALUES (?1, ?2, ?3, ?4, ?5)";
    let expires_at = Millis(token.expires_at);
    run(
        connection,
        sql,
        params![token.id, token.secret_hash, token.grant_id, expires_at, Json(&token.claims)],
    )
    .map(drop)
}

fn remove_access_token(connection: &Connection, id: Id) -> Result<(), Fault> {
    run(connection, "DELETE FROM access_tokens WHERE id = ?1", [id]).map(drop)
}

fn revoke_token(connection: &Connection, jti: &str, expires_at: UnixTime) -> Result<(), Fault> {
    let sql = "INSERT INTO revoked_tokens (id, expires_at) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
    run(connection, sql, params![jti, Millis(expires_at)]).map(drop)
}

fn rotate(connection: &Connection, id: Id, successor: Id, at: UnixTime) -> Result<(), Fault> {
    let sql =
        "UPDATE refresh_tokens SET rotated_at = ?2, successor = ?3, last_used_at = max(last_used_at, ?2)
        WHERE id = ?1 AND rotated_at IS NULL";
    run(connection, sql, params![id, Millis(at), successor]).map(drop)
}

fn touch(connection: &Connection, id: Id, at: UnixTime, idle_expires_at: UnixTime) -> Result<(), Fault> {
    let sql = "UPDATE refresh_tokens SET last_used_at = max(last_used_at, ?2), idle_expires_at = min(?3, expires_at)
        WHERE id = ?1";
    run(connection, sql, params![id, Millis(at), Millis(idle_expires_at)]).map(drop)
}

fn refuse_code(connection: &Connection, id: Id, retire: bool) -> Result<(), Fault> {
    let sql = "UPDATE codes SET refusals = min(refusals + 1, 255), retired = max(retired, ?2) WHERE id = ?1";
    run(connection, sql, params![id, retire]).map(drop)
}

fn keep_grant(connection: &Connection, id: Id, until: UnixTime) -> Result<(), Fault> {
    let sql = "UPDATE grants SET keep_until = ?2 WHERE id = ?1 AND keep_until < ?2";
    run(connection, sql, params![id, Millis(until)]).map(drop)
}

fn revoke_grant(connection: &Connection, id: Id, at: UnixTime) -> Result<(), Fault> {
    let sql = "UPDATE grants SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
    run(connection, sql, params![id, Millis(at)]).map(drop)
}

fn revoke_grants_of(
    connection: &Connection,
    subject: &str,
    client_id: Option<&str>,
    at: UnixTime,
) -> Result<(), Fault> {
    let sql = "UPDATE grants SET revoked_at = ?3
        WHERE subject = ?1 AND (?2 IS NULL OR client_id = ?2) AND revoked_at IS NULL";
    run(connection, sql, params![subject, client_id, Millis(at)])?;
    consent::forget_all_of(connection, subject, client_id)
}

fn insert_pushed(connection: &Connection, pushed: &Pushed) -> Result<(), Fault> {
    let sql = "INSERT INTO pushed (id, secret_hash, expires_at, keep_until, used_at, data)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (expires_at, keep_until) = (Millis(pushed.expires_at), Millis(pushed.keep_until));
    let used_at = pushed.used_at.map(Millis);
    run(
        connection,
        sql,
        params![pushed.id, pushed.secret_hash, expires_at, keep_until, used_at, Json(pushed)],
    )
    .map(drop)
}

fn insert_session(connection: &Connection, session: &Session) -> Result<(), Fault> {
    let sql = "INSERT INTO sessions (id, secret_hash, subject, auth_time, acr, created_at, last_seen_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let params = params![
        session.id,
        session.secret_hash,
        session.subject,
        Millis(session.auth_time),
        session.acr,
        Millis(session.created_at),
        Millis(session.last_seen_at),
        Millis(session.expires_at),
    ];
    run(connection, sql, params).map(drop)
}

fn renew_session(
    connection: &Connection,
    id: Id,
    last_seen_at: UnixTime,
    expires_at: UnixTime,
) -> Result<(), Fault> {
    let sql = "UPDATE sessions SET last_seen_at = max(last_seen_at, ?2), expires_at = ?3 WHERE id = ?1";
    run(connection, sql, params![id, Millis(last_seen_at), Millis(expires_at)]).map(drop)
}

pub(super) fn end_session(connection: &Connection, id: Id, at: UnixTime) -> Result<(), Fault> {
    logout::notify(connection, id, at)?;
    run(connection, "DELETE FROM sessions WHERE id = ?1", [id])?;
    let sql = "UPDATE grants SET session_ended_at = ?2 WHERE session_id = ?1 AND session_ended_at IS NULL";
    run(connection, sql, params![id, Millis(at)]).map(drop)
}

fn replace_session(connection: &Connection, old: Id, new: &Session, at: UnixTime) -> Result<(), Fault> {
    let before = Session::find(connection, old)?;
    insert_session(connection, new)?;
    if before.is_some_and(|before| before.subject == new.subject) {
        run(connection, "UPDATE grants SET session_id = ?2 WHERE session_id = ?1", [old, new.id])?;
        logout::move_participants(connection, old, new.id)?;
    }
    end_session(connection, old, at)
}
