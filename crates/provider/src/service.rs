//! The provider as a tower service: routes, and what every answer carries.

use crate::callers::Callers;
use crate::config::RegistrationMode;
use crate::endpoint::{
    self, authorize, device, device_authorization, introspect, logout, metadata, pushed, register,
    register_management, revoke, token, userinfo, webfinger,
};
use crate::logout::deliver_due;
use crate::peer;
use crate::provider::Provider;
use crate::registration::logo;
use crate::store::Fault;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{any, get, post};
use futures_util::TryFutureExt;
use futures_util::future::MapOk;
use http::header::{STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// The provider as a service, to be run by a server or put into a [`Router`]. Its clones are the same provider.
#[derive(Clone, Debug)]
pub struct ProviderService {
    routes: Router,
    provider: Arc<Provider>,
}

/// What is done with every answer.
type Harden = fn(Response<Body>) -> Response<Body>;

impl Service<Request> for ProviderService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = MapOk<<Router as Service<Request>>::Future, Harden>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.routes, cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let config = &self.provider.config;
        peer::locate(&config.trusted_proxies, &mut request);
        let harden: Harden = if config.base.is_https() { harden_within_tls } else { harden };
        self.routes.call(request).map_ok(harden)
    }
}

impl From<ProviderService> for Router {
    fn from(service: ProviderService) -> Self {
        Self::new().fallback_service(service)
    }
}

/// The service of that provider, below the issuer's path.
pub fn service(provider: &Arc<Provider>) -> ProviderService {
    ProviderService { routes: routes(provider), provider: Arc::clone(provider) }
}

fn routes(provider: &Arc<Provider>) -> Router {
    let issuer = provider.config.issuer.clone();
    let below = |path: &str| format!("{}{path}", issuer.path());
    let for_clients = Router::new()
        .route(&below(endpoint::TOKEN), any(token::handle))
        .route(&below(endpoint::DEVICE_AUTHORIZATION), any(device_authorization::handle))
        .route(&below(endpoint::PUSHED), any(pushed::handle))
        .route(&below(endpoint::USERINFO), get(userinfo::handle).post(userinfo::handle))
        .route(&below(endpoint::REVOKE), any(revoke::handle))
        .route(&below(endpoint::KEYS), get(metadata::keys))
        .merge(registration(provider))
        .route(issuer.oauth_metadata_url().path(), get(metadata::handle))
        .route(issuer.openid_metadata_url().path(), get(metadata::handle))
        .layer(Callers::anywhere(provider))
        .with_state(Arc::clone(provider));
    let for_servers = Router::new()
        .route(&below(endpoint::INTROSPECT), any(introspect::handle))
        .layer(Callers::servers(provider))
        .with_state(Arc::clone(provider));
    // It says itself who may read it: everybody.
    let for_seekers =
        Router::new().route(webfinger::PATH, get(webfinger::handle)).with_state(Arc::clone(provider));
    let logos = Router::new().route(&format!("{}/{{name}}", endpoint::LOGO), get(logo::handle));
    let for_browsers = authorize::routes().merge(device::routes()).merge(logos).merge(logout::routes());
    let for_browsers = for_browsers.with_state(Arc::clone(provider));
    let for_browsers = match issuer.path() {
        "" => for_browsers,
        // The front page is below the path, with a slash and without.
        path => Router::new()
            .route(&format!("{path}/"), get(authorize::front).with_state(Arc::clone(provider)))
            .nest(path, for_browsers),
    };
    for_clients.merge(for_servers).merge(for_seekers).merge(for_browsers).fallback(not_found)
}

/// Where programs register themselves, if they may.
fn registration(provider: &Provider) -> Router<Arc<Provider>> {
    let path = format!("{}{}", provider.config.issuer.path(), endpoint::REGISTER);
    let one = get(register_management::read_one)
        .put(register_management::change)
        .delete(register_management::remove);
    match provider.config.registration.mode {
        RegistrationMode::Off => Router::new(),
        RegistrationMode::Token | RegistrationMode::Open => {
            Router::new().route(&path, post(register::handle)).route(&format!("{path}/{{client_id}}"), one)
        }
    }
}

/// What goes on beside the requests: expired rows leave, clients are told of logouts, signing keys are made, replaced and
/// taken out, and what another process changed is taken up.
pub async fn maintain(provider: Arc<Provider>) {
    const LOOK: Duration = Duration::from_secs(1);
    const LOOKS_BETWEEN_SWEEPS: u32 = 60;
    let mut version = None;
    let mut looks = 0_u32;
    loop {
        tokio::time::sleep(LOOK).await;
        looks += 1;
        if let Ok(current) = provider.store.version().await
            && version != Some(current)
        {
            provider.reload_keys().await;
            version = Some(current);
        }
        provider.tend_keys().await;
        tokio::spawn(deliver_due(Arc::clone(&provider)));
        if looks.is_multiple_of(LOOKS_BETWEEN_SWEEPS)
            && let Err(fault) = provider.store.sweep(provider.unix()).await
        {
            tracing::error!(reason = fault.reason(), "expired rows could not be removed");
        }
        if looks.is_multiple_of(LOOKS_BETWEEN_SWEEPS)
            && let Err(fault) = remember_uses(&provider).await
        {
            tracing::error!(reason = fault.reason(), "unused clients could not be forgotten");
        }
    }
}

/// Writes down which clients were used, and forgets those that were not for long (AS-DCR-12).
async fn remember_uses(provider: &Provider) -> Result<(), Fault> {
    let (used, now) = (provider.clients.take_used(), provider.unix());
    if !used.is_empty() {
        provider.store.touch_clients(used, now).await?;
    }
    if let Some(secs) = provider.config.registration.forget_after_secs {
        provider.store.forget_clients(now.minus_secs(secs), now).await?;
    }
    Ok(())
}

/// BCP-UI-11
fn harden(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The same, where there is TLS.
fn harden_within_tls(response: Response<Body>) -> Response<Body> {
    let mut response = harden(response);
    response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    response
}

async fn not_found() -> Response<Body> {
    let mut response = Response::new(Body::from("There is nothing here.\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
