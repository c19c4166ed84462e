//! An axum service with the guard in front, as the documentation puts it there.

use super::caller::{AUDIENCE, ISSUER, PATH};
use crate::process::server::{Server, free_address};
use crate::process::serving::{Routes, serve};
use axum::Router;
use axum::routing::get;
use http::HeaderName;
use http::header::CONTENT_TYPE;
use keybound_bench::Failure;
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::time::SystemClock;
use keybound_resource::{Guard, GuardConfig, GuardLayer, Keys, PublicUrl, TokenProfile, TrustedIssuer};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Told this word, an address and a file with the issuer's keys, the program is this service.
pub(crate) const GUARDED: &str = "--serve-guarded";
/// What the API answers with.
pub(super) const ORDERS: &str = r#"{"page":2,"orders":[{"id":4711,"item":"teapot","count":1},{"id":4712,"item":"cup","count":6},{"id":4713,"item":"saucer","count":6}]}"#;

/// Starts it, with these keys of the issuer.
pub(super) fn start(jwks: &Path) -> Result<Server, Failure> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([GUARDED, &address.to_string()]).arg(jwks);
    Server::start(command, address)
}

/// Serves until it is stopped.
pub(crate) fn run(address: &str, jwks: &str) -> Result<(), Failure> {
    let keys = Keys::fixed(KeySet::parse(&std::fs::read(jwks)?)?);
    let issuer = TrustedIssuer::new(ISSUER, keys, TokenProfile::Rfc9068);
    let config = GuardConfig::new(issuer, AUDIENCE, Arc::new(SystemClock::start()))?;
    let public = PublicUrl::parse(&format!("http://{address}"))?;
    let layer = GuardLayer::new(Arc::new(Guard::new(config)?), public);
    serve(address, Routes(Router::new().route(PATH, get(orders)).layer(layer)))
}

async fn orders() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "application/json")], ORDERS)
}
