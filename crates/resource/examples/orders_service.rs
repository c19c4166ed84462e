//! A service that listens, with the guard around it and the issuer's keys fetched; docs/guard-an-api.md calls it.
//!
//! `cargo run -p keybound-resource --features axum,jwks --example orders_service -- http://127.0.0.1:8081 http://127.0.0.1:8080`

use axum::Router;
use axum::routing::get;
use keybound_dpop::time::SystemClock;
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::identifier::Issuer;
use keybound_oauth::scope::Scope;
use keybound_resource::{
    Access, Guard, GuardConfig, GuardLayer, IssuerKeys, Keys, PublicUrl, RequireScopeLayer, TokenProfile,
    TrustedIssuer,
};
use std::env;
use std::sync::Arc;

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn orders(access: Access) -> String {
    format!("orders for {}\n", access.subject())
}

async fn admin(access: Access) -> String {
    format!("admin for {}\n", access.subject())
}

fn guarded(api: &str, issuer: &str) -> Result<Router, Failed> {
    let clock = Arc::new(SystemClock::start());
    let keys =
        IssuerKeys::new(Issuer::parse(issuer)?, Fetcher::for_operator(&Settings::default())?, clock.clone());
    let issuer = TrustedIssuer::new(issuer, Keys::Discovered(keys), TokenProfile::Rfc9068);
    let guard = Arc::new(Guard::new(GuardConfig::new(issuer, api, clock)?)?);

    let needs = |scope| Ok::<_, Failed>(RequireScopeLayer::new(Arc::clone(&guard), Scope::parse(scope)?));
    let app = Router::new()
        .route("/orders", get(orders).layer(needs("orders")?))
        .route("/admin", get(admin).layer(needs("admin")?));
    Ok(app.layer(GuardLayer::new(Arc::clone(&guard), PublicUrl::parse(api)?)))
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut args = env::args().skip(1);
    let (Some(api), Some(issuer)) = (args.next(), args.next()) else {
        return Err("say the URL of the API, and that of the issuer".into());
    };
    let listen = api.strip_prefix("http://").ok_or("without TLS the API is on loopback")?;
    let listener = tokio::net::TcpListener::bind(listen).await?;
    Ok(axum::serve(listener, guarded(&api, &issuer)?).await?)
}
