//! The decisions: look up, ask the rule, retire, write. Each runs inside the writer's transaction.

use super::read::Guarded;
use super::write;
use crate::store::id::{Id, SecretHash};
use crate::store::record::{Code, Grant, Pushed, RefreshToken, RefreshTokenState};
use crate::store::verdict::{Decided, Fault, Verdict, Write};
use keybound_dpop::time::UnixTime;
use rusqlite::Connection;

/// A code is redeemed once (RFC 6749 §4.1.2): `Take` marks it in the transaction that looked it up.
pub(super) fn redeem_code<T, D>(
    connection: &Connection,
    id: Id,
    secret_hash: &SecretHash,
    now: UnixTime,
    decide: impl Fn(&Code, &Grant) -> Verdict<T, D>,
) -> Result<Decided<T, D>, Fault> {
    let Some((code, grant)) = <(Code, Grant)>::open(connection, id, secret_hash)? else {
        return Ok(Decided::Unknown);
    };
    carry_out(connection, decide(&code, &grant), || write::mark_redeemed(connection, id, now))
}

/// A refresh token of a family that has ended is never taken, whatever the rule says (RFC 9700 §4.14.2).
pub(super) fn use_refresh_token<T, D>(
    connection: &Connection,
    id: Id,
    secret_hash: &SecretHash,
    decide: impl Fn(&RefreshToken, &Grant) -> Verdict<T, D>,
) -> Result<Decided<T, D>, Fault> {
    let Some((token, grant)) = <(RefreshToken, Grant)>::open(connection, id, secret_hash)? else {
        return Ok(Decided::Unknown);
    };
    carry_out(connection, decide(&token, &grant), || match token.state {
        RefreshTokenState::Live | RefreshTokenState::Rotated { .. } => Ok(()),
        RefreshTokenState::Revoked => Err(Fault::because("a rule took a refresh token that was revoked")),
    })
}

/// A pushed request is answered once (RFC 9126 §7.3): `Take` marks it in the transaction that looked it up.
pub(super) fn redeem_pushed<T, D>(
    connection: &Connection,
    id: Id,
    secret_hash: &SecretHash,
    now: UnixTime,
    decide: impl Fn(&Pushed) -> Verdict<T, D>,
) -> Result<Decided<T, D>, Fault> {
    let Some(pushed) = Pushed::open(connection, id, secret_hash)? else { return Ok(Decided::Unknown) };
    carry_out(connection, decide(&pushed), || write::mark_used(connection, id, now))
}

/// Writes what the verdict asks for; `mark` retires what was taken.
pub(super) fn carry_out<T, D>(
    connection: &Connection,
    verdict: Verdict<T, D>,
    mark: impl FnOnce() -> Result<(), Fault>,
) -> Result<Decided<T, D>, Fault> {
    match verdict {
        Verdict::Take { writes, out } => {
            mark()?;
            written(connection, &writes, Decided::Taken(out))
        }
        Verdict::Leave(denied) => Ok(Decided::Denied(denied)),
        Verdict::Revoke { writes, denied } => written(connection, &writes, Decided::Denied(denied)),
    }
}

fn written<R>(connection: &Connection, writes: &[Write], result: R) -> Result<R, Fault> {
    write::apply_all(connection, writes).map(|()| result)
}
