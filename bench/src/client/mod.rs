//! The client: what token and proof cost a program that has the library, and one that goes through the agent; beside the
//! bare signature, a bare proxy, and a loop on Node with openid-client.

mod agent;
mod bookkeeping;
pub(crate) mod calling;
mod loops;

pub(crate) use agent::{rows as agent_rows, train};

use crate::resource::{Caller, ISSUER};
use crate::table::Row;
use keybound_bench::Failure;
use keybound_client::session::Session;
use keybound_dpop::jose::signer::Signer;
use serde_json::json;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What the session and its key are called.
const NAME: &str = "default";

/// What the library costs.
pub(crate) fn rows() -> Result<Vec<Row>, Failure> {
    let mut rows = bookkeeping::rows()?;
    rows.extend(loops::rows()?);
    Ok(rows)
}

/// The caller's token as a session, to be sent to that origin.
fn session(caller: &Caller, origin: &str) -> Result<Session, Failure> {
    let session = json!({
        "version": 1,
        "issuer": ISSUER,
        "client_id": "app",
        "key": NAME,
        "jkt": caller.key().public_jwk().thumbprint().to_string(),
        "origins": [origin],
        "access_token": caller.token(),
        "token_type": "DPoP",
    });
    Ok(Session::parse(session.to_string().as_bytes())?)
}

/// Key and session where the program looks for them in its folder.
fn log_in(home: &Path, caller: &Caller, origin: &str) -> Result<(), Failure> {
    let key = caller.key().to_private_jwk()?;
    let session = session(caller, origin)?.to_json();
    for (folder, suffix, text) in
        [("keys", "jwk", key.as_bytes()), ("sessions", "session", session.as_bytes())]
    {
        let folder = home.join(folder);
        std::fs::create_dir_all(&folder)?;
        std::fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        let file = folder.join(format!("{NAME}.{suffix}"));
        std::fs::write(&file, text)?;
        std::fs::set_permissions(&file, Permissions::from_mode(0o600))?;
    }
    Ok(())
}
