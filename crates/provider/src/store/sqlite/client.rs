//! Clients, by whomever they were written, and the tokens by which programs register themselves.

use super::account::{all, bump, one, version};
use super::column::{Json, Millis};
use super::consent;
use super::read::time;
use super::write::run;
use crate::store::id::SecretHash;
use crate::store::record::{Client, ClientChanges, ClientSource, InitialToken, Registered, Registering};
use crate::store::verdict::{Decided, Fault};
use keybound_dpop::time::UnixTime;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Row, params};

const CLIENT: &str = "SELECT client_id, metadata, source, created_at FROM clients";

/// How long it is remembered which clients went.
const REMEMBER_SECS: u64 = 24 * 60 * 60;

/// Clients that one look at the unused removes at most, so that no decision waits long behind it.
const BATCH: u32 = 200;

/// Whom an operator took over is no longer its own manager.
pub(super) fn upsert(connection: &Connection, client: &Client) -> Result<(), Fault> {
    bump(connection)?;
    let sql = "INSERT INTO clients (client_id, metadata, source, created_at, used_at, changed)
        VALUES (?1, ?2, ?3, ?4, ?4, (SELECT counter FROM version)) ON CONFLICT (client_id) DO UPDATE
        SET metadata = excluded.metadata, source = excluded.source, changed = excluded.changed,
        management_hash = iif(excluded.source = 'registered', management_hash, NULL)";
    let params =
        params![client.client_id, Json(&client.metadata), client.source.as_str(), Millis(client.created_at)];
    run(connection, sql, params).map(drop)
}

/// What the client was given ends with it.
pub(super) fn remove(connection: &Connection, client_id: &str, at: UnixTime) -> Result<bool, Fault> {
    if run(connection, "DELETE FROM clients WHERE client_id = ?1", [client_id])? == 0 {
        return Ok(false);
    }
    let sql = "UPDATE grants SET revoked_at = ?2 WHERE client_id = ?1 AND revoked_at IS NULL";
    run(connection, sql, params![client_id, Millis(at)])?;
    consent::forget_client(connection, client_id)?;
    bump(connection)?;
    let sql = "INSERT OR REPLACE INTO removed_clients (client_id, changed, removed_at)
        VALUES (?1, (SELECT counter FROM version), ?2)";
    run(connection, sql, params![client_id, Millis(at)]).map(|_| true)
}

pub(super) fn by_id(connection: &Connection, client_id: &str) -> Result<Option<Client>, Fault> {
    one(connection, &format!("{CLIENT} WHERE client_id = ?1"), [client_id], client)
}

pub(super) fn every(connection: &Connection) -> Result<Vec<Client>, Fault> {
    all(connection, &format!("{CLIENT} ORDER BY client_id"), [], client)
}

/// The version is read first: what changes meanwhile is read again the next time. What was forgotten is read last.
pub(super) fn since(connection: &Connection, since: u64) -> Result<ClientChanges, Fault> {
    let version = version(connection)?;
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    let changed = all(connection, &format!("{CLIENT} WHERE changed > ?1"), [since], client)?;
    let sql = "SELECT client_id FROM removed_clients WHERE changed > ?1";
    let removed = all(connection, sql, [since], |row| row.get("client_id"))?;
    let forgotten: Option<i64> =
        one(connection, "SELECT changed FROM forgotten_clients", [], |row| row.get("changed"))?;
    if forgotten.is_some_and(|forgotten| forgotten > since) {
        return Ok(ClientChanges { version, changed: every(connection)?, removed: None });
    }
    Ok(ClientChanges { version, changed, removed: Some(removed) })
}

/// One use of the initial access token, the room, and the row: all or nothing.
pub(super) fn register(connection: &Connection, new: &Registering) -> Result<Registered, Fault> {
    if let Some((id, secret_hash)) = &new.initial {
        let sql = "UPDATE initial_tokens SET uses_left = uses_left - 1
            WHERE id = ?1 AND secret_hash = ?2 AND uses_left > 0 AND expires_at > ?3";
        if run(connection, sql, params![id, secret_hash, Millis(new.client.created_at)])? == 0 {
            return Ok(Registered::TokenSpent);
        }
    }
    let count: Option<i64> =
        one(connection, "SELECT count(*) AS n FROM clients WHERE source = 'registered'", [], |row| {
            row.get("n")
        })?;
    if count.unwrap_or(0) >= i64::from(new.max_clients) {
        return Err(Fault::because("as many clients have registered themselves as may"));
    }
    if super::account::user_by_subject(connection, &new.client.client_id)?.is_some()
        || by_id(connection, &new.client.client_id)?.is_some()
    {
        return Err(Fault::because("a new client's identifier is somebody's already"));
    }
    upsert(connection, &new.client)?;
    let sql = "UPDATE clients SET management_hash = ?2 WHERE client_id = ?1";
    run(connection, sql, params![new.client.client_id, new.management]).map(|_| Registered::Yes)
}

/// The client, for who has its registration access token.
pub(super) fn managed(
    connection: &Connection,
    client_id: &str,
    management: &SecretHash,
) -> Result<Option<Client>, Fault> {
    let sql = "SELECT management_hash FROM clients WHERE client_id = ?1 AND management_hash IS NOT NULL";
    let kept: Option<SecretHash> = one(connection, sql, [client_id], |row| row.get("management_hash"))?;
    match kept {
        Some(kept) if kept == *management => by_id(connection, client_id),
        _ => Ok(None),
    }
}

pub(super) fn change<D>(
    connection: &Connection,
    client_id: &str,
    management: &SecretHash,
    at: UnixTime,
    decide: impl Fn(&Client) -> Result<Client, D>,
) -> Result<Decided<Client, D>, Fault> {
    let Some(before) = managed(connection, client_id, management)? else { return Ok(Decided::Unknown) };
    let after = match decide(&before) {
        Ok(after) => after,
        Err(denied) => return Ok(Decided::Denied(denied)),
    };
    upsert(connection, &after)?;
    touch(connection, &[client_id.to_owned()], at)?;
    Ok(Decided::Taken(after))
}

/// Says that these were used.
pub(super) fn touch(connection: &Connection, client_ids: &[String], at: UnixTime) -> Result<(), Fault> {
    let sql = "UPDATE clients SET used_at = max(used_at, ?2) WHERE client_id = ?1";
    client_ids.iter().try_for_each(|id| run(connection, sql, params![id, Millis(at)]).map(drop))
}

/// Removes those that registered themselves, were not used after `unused_since` and have no grant; whether there may be
/// more.
pub(super) fn forget(
    connection: &Connection,
    unused_since: UnixTime,
    now: UnixTime,
) -> Result<(usize, bool), Fault> {
    let sql = "SELECT client_id FROM clients WHERE source = 'registered' AND used_at <= ?1
        AND NOT EXISTS (SELECT 1 FROM grants WHERE grants.client_id = clients.client_id) LIMIT ?2";
    let unused: Vec<String> =
        all(connection, sql, params![Millis(unused_since), BATCH], |row| row.get("client_id"))?;
    for client_id in &unused {
        remove(connection, client_id, now)?;
    }
    let is_full = u32::try_from(unused.len()).is_ok_and(|count| count == BATCH);
    Ok((unused.len(), is_full))
}

/// Forgets which clients went long ago. Who has not looked since then reads all clients anew.
pub(super) fn sweep(connection: &Connection, now: UnixTime) -> Result<(), Fault> {
    let long_ago = Millis(now.minus_secs(REMEMBER_SECS));
    let sql = "UPDATE forgotten_clients SET changed = max(changed,
        coalesce((SELECT max(changed) FROM removed_clients WHERE removed_at <= ?1), 0))";
    if one(connection, "SELECT 1 FROM removed_clients WHERE removed_at <= ?1", params![long_ago], |_| Ok(()))?
        .is_some()
    {
        run(connection, sql, params![long_ago])?;
        run(connection, "DELETE FROM removed_clients WHERE removed_at <= ?1", params![long_ago])?;
    }
    run(
        connection,
        "DELETE FROM initial_tokens WHERE expires_at <= ?1 OR uses_left <= 0",
        params![Millis(now)],
    )
    .map(drop)
}

pub(super) fn insert_initial_token(connection: &Connection, token: &InitialToken) -> Result<(), Fault> {
    let sql = "INSERT INTO initial_tokens (id, secret_hash, expires_at, uses_left) VALUES (?1, ?2, ?3, ?4)";
    run(connection, sql, params![token.id, token.secret_hash, Millis(token.expires_at), token.uses_left])
        .map(drop)
}

pub(super) fn initial_token(
    connection: &Connection,
    id: crate::store::Id,
    secret_hash: &SecretHash,
) -> Result<Option<InitialToken>, Fault> {
    let sql = "SELECT secret_hash, expires_at, uses_left FROM initial_tokens WHERE id = ?1";
    let found = one(connection, sql, [id], |row| {
        Ok(InitialToken {
            id,
            secret_hash: row.get("secret_hash")?,
            expires_at: time(row, "expires_at")?,
            uses_left: row.get("uses_left")?,
        })
    })?;
    Ok(found.filter(|found| found.secret_hash == *secret_hash))
}

fn client(row: &Row<'_>) -> rusqlite::Result<Client> {
    let Json(metadata) = row.get("metadata")?;
    let source: String = row.get("source")?;
    Ok(Client {
        client_id: row.get("client_id")?,
        metadata,
        source: ClientSource::parse(&source).ok_or(FromSqlError::InvalidType)?,
        created_at: time(row, "created_at")?,
    })
}
