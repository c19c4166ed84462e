//! Removing what has ended, a bounded batch at a time.

use super::column::Millis;
use super::write::run;
use crate::store::Swept;
use crate::store::verdict::Fault;
use keybound_dpop::time::UnixTime;
use rusqlite::{Connection, params};

/// Rows of one kind that one batch removes at most, so that no decision waits long behind it.
const BATCH: usize = 500;

/// Removes one batch; whether there may be more. Codes go with their grant.
pub(super) fn sweep(connection: &Connection, now: UnixTime) -> Result<(Swept, bool), Fault> {
    let remove = |table: &str, ends: &str| {
        let sql = format!(
            "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {ends} <= ?1 LIMIT {BATCH})"
        );
        run(connection, &sql, params![Millis(now)])
    };
    let swept = Swept {
        device_codes: remove("device_codes", "expires_at")?,
        refresh_tokens: remove("refresh_tokens", "idle_expires_at")?,
        grants: remove("grants", "keep_until")?,
        sessions: remove("sessions", "expires_at")?,
        pushed: remove("pushed", "keep_until")?,
        access_tokens: remove("access_tokens", "expires_at")?,
        revoked_tokens: remove("revoked_tokens", "expires_at")?,
        consents: remove("consents", "expires_at")?,
    };
    let counts = [
        swept.refresh_tokens,
        swept.grants,
        swept.sessions,
        swept.pushed,
        swept.device_codes,
        swept.access_tokens,
        swept.revoked_tokens,
        swept.consents,
    ];
    super::client::sweep(connection, now)?;
    let more = counts.contains(&BATCH);
    Ok((swept, more))
}
