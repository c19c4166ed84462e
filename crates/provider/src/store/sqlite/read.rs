//! Looking up: SQL to records. The same functions serve the readers and, inside its transaction, the writer.

use super::column::{Claims, Columns, Json, Millis};
use crate::store::id::{Id, SecretHash};
use crate::store::record::{
    AccessToken, Code, CodeState, Grant, Pushed, RefreshToken, RefreshTokenState, Session,
};
use crate::store::verdict::Fault;
use keybound_dpop::time::UnixTime;
use keybound_oauth::claims_request::ClaimsRequest;
use rusqlite::{Connection, OptionalExtension, Row, params};

const CODE: &str = "
    SELECT g.id, g.client_id, g.subject, g.session_id, g.created_at, g.revoked_at, g.session_ended_at, g.claims,
           r.data, r.redeemed_at, r.retired, r.secret_hash, r.expires_at, r.refusals
    FROM codes r JOIN grants g ON g.id = r.grant_id WHERE r.id = ?1";

const REFRESH_TOKEN: &str = "
    SELECT g.id, g.client_id, g.subject, g.session_id, g.created_at, g.revoked_at, g.session_ended_at, g.claims,
           r.data, r.rotated_at, r.successor, r.secret_hash, r.last_used_at, r.expires_at, r.idle_expires_at
    FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id WHERE r.id = ?1";

const PUSHED: &str = "SELECT data, secret_hash, expires_at, keep_until, used_at FROM pushed WHERE id = ?1";

const GRANT: &str = "
    SELECT id, client_id, subject, session_id, created_at, revoked_at, session_ended_at, claims
    FROM grants WHERE id = ?1";

/// The grant, unless it has ended or the token of that `jti` was revoked.
const LIVE_GRANT: &str = "
    SELECT id, client_id, subject, session_id, created_at, revoked_at, session_ended_at, claims
    FROM grants WHERE id = ?1 AND revoked_at IS NULL AND NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE id = ?2)";

const ACCESS_TOKEN: &str =
    "SELECT secret_hash, grant_id, expires_at, claims FROM access_tokens WHERE id = ?1";

/// The grant has ended or is gone, or the token itself was revoked.
const REVOKED: &str = "
    SELECT (?1 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM grants WHERE id = ?1 AND revoked_at IS NULL))
           OR EXISTS (SELECT 1 FROM revoked_tokens WHERE id = ?2)";

const SESSION: &str = "
    SELECT secret_hash, subject, auth_time, acr, created_at, last_seen_at, expires_at
    FROM sessions WHERE id = ?1";

/// A record that only its secret opens.
pub(super) trait Guarded: Sized {
    /// The record with this id and what belongs to it, whoever asks.
    fn find(connection: &Connection, id: Id) -> rusqlite::Result<Option<Self>>;

    /// What the secret has to hash to.
    fn secret_hash(&self) -> &SecretHash;

    /// The record, for who has the secret.
    fn open(connection: &Connection, id: Id, secret_hash: &SecretHash) -> Result<Option<Self>, Fault> {
        Ok(Self::find(connection, id)?.filter(|found| found.secret_hash() == secret_hash))
    }
}

impl Guarded for (Code, Grant) {
    fn find(connection: &Connection, id: Id) -> rusqlite::Result<Option<Self>> {
        find(connection, CODE, id, |row| {
            let grant = grant_of(row)?;
            Ok((code(id, &grant, row)?, grant))
        })
    }

    fn secret_hash(&self) -> &SecretHash {
        &self.0.secret_hash
    }
}

impl Guarded for (RefreshToken, Grant) {
    fn find(connection: &Connection, id: Id) -> rusqlite::Result<Option<Self>> {
        find(connection, REFRESH_TOKEN, id, |row| {
            let grant = grant_of(row)?;
            Ok((refresh_token(id, &grant, row)?, grant))
        })
    }

    fn secret_hash(&self) -> &SecretHash {
        &self.0.secret_hash
    }
}

impl Guarded for Pushed {
    fn find(connection: &Connection, id: Id) -> rusqlite::Result<Option<Self>> {
        find(connection, PUSHED, id, |row| pushed(id, row))
    }

    fn secret_hash(&self) -> &SecretHash {
        &self.secret_hash
    }
}

impl Guarded for Session {
    fn find(connection: &Connection, id: Id) -> rusqlite::Result<Option<Self>> {
        find(connection, SESSION, id, |row| session(id, row))
    }

    fn secret_hash(&self) -> &SecretHash {
        &self.secret_hash
    }
}

impl Guarded for AccessToken {
    fn find(connection: &Connection, id: Id) -> rusqlite::Result<Option<Self>> {
        find(connection, ACCESS_TOKEN, id, |row| access_token(id, row))
    }

    fn secret_hash(&self) -> &SecretHash {
        &self.secret_hash
    }
}

fn find<T>(
    connection: &Connection,
    sql: &str,
    id: Id,
    read: impl FnOnce(&mut Columns<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([id], |row| read(&mut Columns::of(row))).optional()
}

/// Whether a token with this `jti`, of that grant, was revoked.
pub(super) fn is_revoked(connection: &Connection, grant: Option<Id>, jti: &str) -> Result<bool, Fault> {
    Ok(connection.prepare_cached(REVOKED)?.query_row(params![grant, jti], |row| row.get(0))?)
}

/// The grant with this id.
pub(super) fn grant_by_id(connection: &Connection, id: Id) -> Result<Option<Grant>, Fault> {
    Ok(connection.prepare_cached(GRANT)?.query_row([id], grant).optional()?)
}

/// The grant with this id, as long as it and its token of that `jti` are good.
pub(super) fn live_grant(connection: &Connection, id: Id, jti: &str) -> Result<Option<Grant>, Fault> {
    Ok(connection.prepare_cached(LIVE_GRANT)?.query_row(params![id, jti], grant).optional()?)
}

fn code(id: Id, grant: &Grant, row: &mut Columns<'_>) -> rusqlite::Result<Code> {
    let Json(code): Json<Code> = row.next()?;
    let state = match (row.time_or_none()?, row.next()?) {
        (Some(at), _) => CodeState::Redeemed { at },
        (None, true) => CodeState::Retired,
        (None, false) => CodeState::Live,
    };
    Ok(Code {
        id,
        grant_id: grant.id,
        state,
        secret_hash: row.next()?,
        expires_at: row.time()?,
        refusals: row.next()?,
        ..code
    })
}

fn refresh_token(id: Id, grant: &Grant, row: &mut Columns<'_>) -> rusqlite::Result<RefreshToken> {
    let Json(token): Json<RefreshToken> = row.next()?;
    let (rotated_at, successor) = (row.time_or_none()?, row.next()?);
    Ok(RefreshToken {
        id,
        grant_id: grant.id,
        state: RefreshTokenState::of(token.offline, grant, rotated_at.zip(successor)),
        secret_hash: row.next()?,
        last_used_at: row.time()?,
        expires_at: row.time()?,
        idle_expires_at: row.time()?,
        ..token
    })
}

fn pushed(id: Id, row: &mut Columns<'_>) -> rusqlite::Result<Pushed> {
    let Json(pushed): Json<Pushed> = row.next()?;
    Ok(Pushed {
        id,
        secret_hash: row.next()?,
        expires_at: row.time()?,
        keep_until: row.time()?,
        used_at: row.time_or_none()?,
        ..pushed
    })
}

fn grant(row: &Row<'_>) -> rusqlite::Result<Grant> {
    grant_of(&mut Columns::of(row))
}

fn grant_of(row: &mut Columns<'_>) -> rusqlite::Result<Grant> {
    Ok(Grant {
        id: row.next()?,
        client_id: row.next()?,
        subject: row.next()?,
        session_id: row.next()?,
        created_at: row.time()?,
        revoked_at: row.time_or_none()?,
        session_ended_at: row.time_or_none()?,
        claims: row.next::<Option<Claims>>()?.map_or_else(ClaimsRequest::default, |Claims(claims)| claims),
    })
}

fn access_token(id: Id, row: &mut Columns<'_>) -> rusqlite::Result<AccessToken> {
    Ok(AccessToken {
        id,
        secret_hash: row.next()?,
        grant_id: row.next()?,
        expires_at: row.time()?,
        claims: row.next().map(|Json(claims)| claims)?,
    })
}

pub(super) fn session(id: Id, row: &mut Columns<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id,
        secret_hash: row.next()?,
        subject: row.next()?,
        auth_time: row.time()?,
        acr: row.next()?,
        created_at: row.time()?,
        last_seen_at: row.time()?,
        expires_at: row.time()?,
    })
}

pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<UnixTime> {
    row.get(column).map(|Millis(time)| time)
}

pub(super) fn time_or_none(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<UnixTime>> {
    Ok(row.get::<_, Option<Millis>>(column)?.map(|Millis(time)| time))
}
