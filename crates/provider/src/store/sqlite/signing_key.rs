//! The keys that sign: changed by a decision over all of them, seen by every process.

use super::account::{all as select, bump};
use super::column::Millis;
use super::read::{time, time_or_none};
use super::write::run;
use crate::store::record::{KeyChange, KeyUse, SecretBytes, SigningKey};
use crate::store::verdict::Fault;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Row, params};

pub(super) fn all(connection: &Connection) -> Result<Vec<SigningKey>, Fault> {
    let sql =
        "SELECT kid, key_use, algorithm, pkcs8, created_at, publish_at, use_from, retire_at FROM signing_keys
        ORDER BY use_from, kid";
    select(connection, sql, [], signing_key)
}

/// Asks, and writes what is asked for.
pub(super) fn change<D>(
    connection: &Connection,
    decide: impl Fn(&[SigningKey]) -> Result<KeyChange, D>,
) -> Result<Result<KeyChange, D>, Fault> {
    let change = match decide(&all(connection)?) {
        Ok(change) => change,
        Err(refused) => return Ok(Err(refused)),
    };
    if let Some(key) = &change.insert {
        insert(connection, key)?;
    }
    for (kid, at) in &change.retire {
        let sql = "UPDATE signing_keys SET retire_at = ?2 WHERE kid = ?1";
        run(connection, sql, params![kid, Millis(*at)])?;
    }
    if !change.wipe.is_empty() {
        wipe(connection, &change.wipe)?;
    }
    if !change.is_empty() {
        bump(connection)?;
    }
    Ok(Ok(change))
}

fn insert(connection: &Connection, key: &SigningKey) -> Result<(), Fault> {
    let sql = "INSERT INTO signing_keys (kid, key_use, algorithm, pkcs8, created_at, publish_at, use_from, retire_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let params = params![
        key.kid,
        key.key_use.as_str(),
        key.algorithm,
        key.pkcs8.reveal(),
        Millis(key.created_at),
        Millis(key.publish_at),
        Millis(key.use_from),
        key.retire_at.map(Millis),
    ];
    run(connection, sql, params).map(drop)
}

/// Overwrites the private halves, where SQLite would leave the old bytes in the file until it needs the room.
fn wipe(connection: &Connection, kids: &[String]) -> Result<(), Fault> {
    connection.pragma_update(None, "secure_delete", "ON")?;
    let wiped = kids.iter().try_for_each(|kid| {
        run(connection, "UPDATE signing_keys SET pkcs8 = x'' WHERE kid = ?1", [kid]).map(drop)
    });
    connection.pragma_update(None, "secure_delete", "OFF")?;
    wiped
}

fn signing_key(row: &Row<'_>) -> rusqlite::Result<SigningKey> {
    let key_use: String = row.get("key_use")?;
    Ok(SigningKey {
        kid: row.get("kid")?,
        key_use: KeyUse::parse(&key_use).ok_or(FromSqlError::InvalidType)?,
        algorithm: row.get("algorithm")?,
        pkcs8: SecretBytes::new(row.get("pkcs8")?),
        created_at: time(row, "created_at")?,
        publish_at: time(row, "publish_at")?,
        use_from: time(row, "use_from")?,
        retire_at: time_or_none(row, "retire_at")?,
    })
}
