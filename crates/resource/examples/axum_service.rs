//! A service in axum: who calls, which scope a route wants, and a route that wants the user to have signed in well.
//!
//! `cargo run -p keybound-resource --features axum --example axum_service`
#![expect(clippy::print_stdout, reason = "an example shows what it answers")]

mod common;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use common::{API, Failed, Others};
use http::{Method, Request, Response};
use keybound_dpop::time::SystemClock;
use keybound_oauth::scope::Scope;
use keybound_resource::{
    Access, Authentication, Demand, Guard, GuardConfig, GuardLayer, PublicUrl, RequireScopeLayer,
    TrustedIssuer,
};
use std::sync::Arc;
use tower::ServiceExt;

/// Who gets here has shown a token and the key that it is bound to.
async fn photos(access: Access) -> String {
    format!("the photos of {}", access.subject())
}

async fn print(access: Access) -> String {
    format!("printed for {}", access.client_id().unwrap_or_default())
}

fn service(issuer: TrustedIssuer) -> Result<Router, Failed> {
    let config = GuardConfig::new(issuer, API, Arc::new(SystemClock::start()))?;
    let guard = Arc::new(Guard::new(config)?);
    let layer = GuardLayer::new(Arc::clone(&guard), PublicUrl::parse(API)?);

    // Behind the guard: this route wants a scope (RFC 6750 section 3.1).
    let print_scope = RequireScopeLayer::new(Arc::clone(&guard), Scope::parse("print")?);
    let usual = Router::new()
        .route("/photos", get(photos))
        .route("/prints", post(print).layer(print_scope))
        .layer(layer.clone());

    // Instead of what the guard asks of all: a user who signed in with a passkey in the last five minutes (RFC 9470).
    let authentication = Authentication { acr_values: vec!["passkey".to_owned()], max_age_secs: Some(300) };
    let demand = Demand { authentication: Some(authentication), ..guard.demand().clone() };
    let strong = Router::new().route("/payments", post(print)).layer(layer.asking(demand));
    Ok(usual.merge(strong))
}

async fn call(app: &Router, request: Request<Body>) -> Result<Response<Body>, Failed> {
    let response = app.clone().oneshot(request).await?;
    println!("{} {:?}", response.status(), response.headers().get("www-authenticate"));
    Ok(response)
}

async fn run() -> Result<(), Failed> {
    let others = Others::new()?;
    let app = service(others.issuer())?;
    let token = others.token("photos")?;
    let request = |method: Method, path: &str, answer| {
        Ok::<_, Failed>(others.request(method, path, &token, answer)?.body(Body::empty())?)
    };

    let nobody = call(&app, Request::builder().uri("/photos").body(Body::empty())?).await?;
    let first = call(&app, request(Method::GET, "/photos", None)?).await?;
    let nonce = Some(first.headers());
    let second = call(&app, request(Method::GET, "/photos", nonce)?).await?;
    let narrow = call(&app, request(Method::POST, "/prints", nonce)?).await?;
    let weak = call(&app, request(Method::POST, "/payments", nonce)?).await?;

    let statuses = [&nobody, &first, &second, &narrow, &weak].map(|response| response.status().as_u16());
    match statuses {
        [401, 401, 200, 403, 401] => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

pub(crate) fn main() -> Result<(), Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}
