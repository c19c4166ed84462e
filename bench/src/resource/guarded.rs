//! An axum service with the guard in front, as the documentation puts it there.

use super::caller::{AUDIENCE, ISSUER, PATH};
use crate::process::server::{LOAD_CORE, Server, free_address};
use crate::process::serving::{Routes, serve};
use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::{HeaderName, StatusCode};
use keybound_bench::Failure;
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::time::SystemClock;
use keybound_resource::{Guard, GuardConfig, GuardLayer, Keys, PublicUrl, TokenProfile, TrustedIssuer};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Told this word, an address and a file with the issuer's keys, the program is this service.
pub(crate) const GUARDED: &str = "--serve-guarded";
/// Told this word, it counts the requests that it refuses.
pub(crate) const COUNTING: &str = "--serve-counting";
/// Where it tells how many those were.
pub(crate) const CHALLENGES: &str = "/challenges";
/// What the API answers with.
pub(crate) const ORDERS: &str = r#"{"page":2,"orders":[{"id":4711,"item":"teapot","count":1},{"id":4712,"item":"cup","count":6},{"id":4713,"item":"saucer","count":6}]}"#;

/// Starts it, with these keys of the issuer.
pub(super) fn start(jwks: &Path) -> Result<Server, Failure> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([GUARDED, &address.to_string()]).arg(jwks);
    Server::start(command, address)
}

/// Starts one that counts how often it challenges, on the core of whoever loads servers.
pub(crate) fn start_counting(jwks: &Path) -> Result<Server, Failure> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([COUNTING, &address.to_string()]).arg(jwks);
    Server::start_on(LOAD_CORE, command, address)
}

/// Serves until it is stopped.
pub(crate) fn run(address: &str, jwks: &str) -> Result<(), Failure> {
    serve(address, Routes(guarded(address, jwks)?))
}

/// The same, and tells at [`CHALLENGES`] how many requests it has refused.
pub(crate) fn run_counting(address: &str, jwks: &str) -> Result<(), Failure> {
    let refused = Arc::<AtomicU64>::default();
    let told = Arc::clone(&refused);
    let told = get(move || async move { told.load(Relaxed).to_string() });
    let count = move |response: Response| {
        refused.fetch_add(u64::from(response.status() == StatusCode::UNAUTHORIZED), Relaxed);
        async move { response }
    };
    let routes = guarded(address, jwks)?.layer(map_response(count)).route(CHALLENGES, told);
    serve(address, Routes(routes))
}

fn guarded(address: &str, jwks: &str) -> Result<Router, Failure> {
    let keys = Keys::fixed(KeySet::parse(&std::fs::read(jwks)?)?);
    let issuer = TrustedIssuer::new(ISSUER, keys, TokenProfile::Rfc9068);
    let config = GuardConfig::new(issuer, AUDIENCE, Arc::new(SystemClock::start()))?;
    let public = PublicUrl::parse(&format!("http://{address}"))?;
    let layer = GuardLayer::new(Arc::new(Guard::new(config)?), public);
    Ok(Router::new().route(PATH, get(orders)).layer(layer))
}

async fn orders() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "application/json")], ORDERS)
}
