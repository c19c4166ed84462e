//! What guards an API, as processes: the layer in an axum service, and the gateway in front of another one, beside limits
//! that are measured in the same rounds: what the curve arithmetic and a bare handler or a bare proxy cost; and beside a
//! service on Node that checks with oauth4webapi.

mod bodies;
mod caller;
mod gateway;
mod guard;
pub(crate) mod guarded;
pub(crate) mod proxy;

pub(crate) use caller::{Caller, ISSUER, PATH};
pub(crate) use gateway::rows as gateway_rows;
pub(crate) use gateway::{Rest, start_upstream, train};
pub(crate) use guard::rows as guard_rows;

use crate::process::load::{Load, load, send_all};
use crate::process::node::Script;
use crate::process::server::Server;
use caller::AUDIENCE;
use keybound_bench::Failure;
use std::path::{Path, PathBuf};

const NODE: Script = Script {
    name: "oauth4webapi.mjs",
    text: include_str!("oauth4webapi.mjs"),
    package: "oauth4webapi/build/index.js",
};
/// Requests in a round: a second or two of each server's time.
const CHECKED: usize = 20_000;
const BARE: usize = 60_000;
const NODE_CHECKED: usize = 3_000;

/// The issuer's keys in a file.
pub(crate) fn keys_in(folder: &Path, caller: &Caller) -> Result<PathBuf, Failure> {
    let file = folder.join("jwks.json");
    std::fs::write(&file, caller.jwks())?;
    Ok(file)
}

/// The peer, with these keys of the issuer.
fn start_node(beside: &Path, folder: &Path, jwks: &Path) -> Result<Server, Failure> {
    let more = [jwks.as_ref(), ISSUER.as_ref(), AUDIENCE.as_ref(), guarded::ORDERS.as_ref()];
    NODE.start(beside, folder, &more)
}

/// Loads a server that checks proofs with new ones, signed before its time runs.
fn checked(caller: &mut Caller, server: &Server, count: usize) -> Result<Load, Failure> {
    let place = caller.place(server.address)?;
    let requests = caller.ask_often(&place, count)?;
    load(server, count, || send_all(server.address, &requests, 200))
}

/// Loads a server that checks nothing with the same request again and again.
fn bare(caller: &mut Caller, nonce_of: &Server, server: &Server) -> Result<Load, Failure> {
    let place = caller.place(nonce_of.address)?;
    let requests = vec![caller.ask(&place)?; BARE];
    load(server, BARE, || send_all(server.address, &requests, 200))
}
