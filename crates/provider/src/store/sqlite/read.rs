//! Looking up: SQL to records. The same functions serve the readers and, inside its transaction, the writer.

use super::account::user;
use super::column::{Claims, Json, Millis};
use crate::store::id::{Id, SecretHash};
use crate::store::record::{
    AccessToken, Code, CodeState, Grant, Pushed, RefreshToken, RefreshTokenState, Session, User,
};
use crate::store::verdict::Fault;
use keybound_dpop::time::UnixTime;
use keybound_oauth::claims_request::ClaimsRequest;
use rusqlite::{Connection, OptionalExtension, Row, params};

const CODE: &str = "
    SELECT r.secret_hash, r.expires_at, r.refusals, r.redeemed_at, r.retired, r.data, g.id AS grant_id, g.client_id,
           g.subject, g.session_id, g.created_at, g.revoked_at, g.session_ended_at, g.claims
    FROM codes r JOIN grants g ON g.id = r.grant_id WHERE r.id = ?1";

const REFRESH_TOKEN: &str = "
    SELECT r.secret_hash, r.last_used_at, r.expires_at, r.idle_expires_at, r.rotated_at, r.successor, r.data,
           g.id AS grant_id, g.client_id, g.subject, g.session_id, g.created_at, g.revoked_at, g.session_ended_at,
           g.claims
    FROM refresh_tokens r JOIN grants g ON g.id = r.grant_id WHERE r.id = ?1";

const PUSHED: &str = "SELECT secret_hash, expires_at, keep_until, used_at, data FROM pushed WHERE id = ?1";

const GRANT: &str = "
    SELECT id AS grant_id, client_id, subject, session_id, created_at, revoked_at, session_ended_at, claims
    FROM grants WHERE id = ?1";

/// The grant, unless it has ended or the token of that `jti` was revoked.
const LIVE_GRANT: &str = "
    SELECT id AS grant_id, client_id, subject, session_id, created_at, revoked_at, session_ended_at, claims
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

/// Who is signed in, in one look: a page needs both.
const SIGNED_IN: &str = "
    SELECT s.secret_hash, s.subject, s.auth_time, s.acr, s.created_at, s.last_seen_at, s.expires_at,
           u.username, u.password_hash, u.claims, u.updated_at
    FROM sessions s JOIN users u ON u.subject = s.subject WHERE s.id = ?1";

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
        let mut statement = connection.prepare_cached(CODE)?;
        statement.query_row([id], |row| Ok((code(id, row)?, grant(row)?))).optional()
    }

    fn secret_hash(&self) -> &SecretHash {
        &self.0.secret_hash
    }
}

impl Guarded for (RefreshToken, Grant) {
    fn find(connection: &Connection, id: Id) -> rusqlite::Result<Option<Self>> {
        let mut statement = connection.prepare_cached(REFRESH_TOKEN)?;
        statement
            .query_row([id], |row| {
                let grant = grant(row)?;
                Ok((refresh_token(id, &grant, row)?, grant))
            })
            .optional()
    }

    fn secret_hash(&self) -> &SecretHash {
        &self.0.secret_hash
    }
}

impl Guarded for Pushed {
    fn find(connection: &Connection, id: Id) -> rusqlite::Result<Option<Self>> {
        let mut statement = connection.prepare_cached(PUSHED)?;
        statement.query_row([id], |row| pushed(id, row)).optional()
    }

    fn secret_hash(&self) -> &SecretHash {
        &self.secret_hash
    }
}

impl Guarded for Session {
    fn find(connection: &Connection, id: Id) -> rusqlite::Result<Option<Self>> {
        let mut statement = connection.prepare_cached(SESSION)?;
        statement.query_row([id], |row| session(id, row)).optional()
    }

    fn secret_hash(&self) -> &SecretHash {
        &self.secret_hash
    }
}

impl Guarded for (Session, User) {
    fn find(connection: &Connection, id: Id) -> rusqlite::Result<Option<Self>> {
        let mut statement = connection.prepare_cached(SIGNED_IN)?;
        statement.query_row([id], |row| Ok((session(id, row)?, user(row)?))).optional()
    }

    fn secret_hash(&self) -> &SecretHash {
        &self.0.secret_hash
    }
}

impl Guarded for AccessToken {
    fn find(connection: &Connection, id: Id) -> rusqlite::Result<Option<Self>> {
        let mut statement = connection.prepare_cached(ACCESS_TOKEN)?;
        statement.query_row([id], |row| access_token(id, row)).optional()
    }

    fn secret_hash(&self) -> &SecretHash {
        &self.secret_hash
    }
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

fn code(id: Id, row: &Row<'_>) -> rusqlite::Result<Code> {
    let Json(code): Json<Code> = row.get("data")?;
    let state = match (time_or_none(row, "redeemed_at")?, row.get("retired")?) {
        (Some(at), _) => CodeState::Redeemed { at },
        (None, true) => CodeState::Retired,
        (None, false) => CodeState::Live,
    };
    Ok(Code {
        id,
        secret_hash: row.get("secret_hash")?,
        grant_id: row.get("grant_id")?,
        expires_at: time(row, "expires_at")?,
        refusals: row.get("refusals")?,
        state,
        ..code
    })
}

fn refresh_token(id: Id, grant: &Grant, row: &Row<'_>) -> rusqlite::Result<RefreshToken> {
    let Json(token): Json<RefreshToken> = row.get("data")?;
    let rotated = time_or_none(row, "rotated_at")?.zip(row.get("successor")?);
    Ok(RefreshToken {
        id,
        secret_hash: row.get("secret_hash")?,
        grant_id: grant.id,
        last_used_at: time(row, "last_used_at")?,
        expires_at: time(row, "expires_at")?,
        idle_expires_at: time(row, "idle_expires_at")?,
        state: RefreshTokenState::of(token.offline, grant, rotated),
        ..token
    })
}

fn pushed(id: Id, row: &Row<'_>) -> rusqlite::Result<Pushed> {
    let Json(pushed): Json<Pushed> = row.get("data")?;
    Ok(Pushed {
        id,
        secret_hash: row.get("secret_hash")?,
        expires_at: time(row, "expires_at")?,
        keep_until: time(row, "keep_until")?,
        used_at: time_or_none(row, "used_at")?,
        ..pushed
    })
}

fn grant(row: &Row<'_>) -> rusqlite::Result<Grant> {
    Ok(Grant {
        id: row.get("grant_id")?,
        client_id: row.get("client_id")?,
        subject: row.get("subject")?,
        session_id: row.get("session_id")?,
        created_at: time(row, "created_at")?,
        revoked_at: time_or_none(row, "revoked_at")?,
        session_ended_at: time_or_none(row, "session_ended_at")?,
        claims: row
            .get::<_, Option<Claims>>("claims")?
            .map_or_else(ClaimsRequest::default, |Claims(claims)| claims),
    })
}

fn access_token(id: Id, row: &Row<'_>) -> rusqlite::Result<AccessToken> {
    let Json(claims) = row.get("claims")?;
    Ok(AccessToken {
        id,
        secret_hash: row.get("secret_hash")?,
        grant_id: row.get("grant_id")?,
        expires_at: time(row, "expires_at")?,
        claims,
    })
}

pub(super) fn session(id: Id, row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id,
        secret_hash: row.get("secret_hash")?,
        subject: row.get("subject")?,
        auth_time: time(row, "auth_time")?,
        acr: row.get("acr")?,
        created_at: time(row, "created_at")?,
        last_seen_at: time(row, "last_seen_at")?,
        expires_at: time(row, "expires_at")?,
    })
}

pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<UnixTime> {
    row.get(column).map(|Millis(time)| time)
}

pub(super) fn time_or_none(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<UnixTime>> {
    Ok(row.get::<_, Option<Millis>>(column)?.map(|Millis(time)| time))
}
