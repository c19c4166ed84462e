//! The pages where people connect a device (RFC 8628 §3.3).

use super::authorize::finish;
use crate::interaction::{Asked, Submission, Visitor, device};
use crate::page::{self, Language};
use crate::provider::Provider;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::{get, post};
use http::Response;
use std::sync::Arc;

/// The routes, below the issuer's path.
pub fn routes() -> Router<Arc<Provider>> {
    Router::new()
        .route(super::DEVICE, get(begin).post(enter))
        .route(page::DEVICE_SIGN_IN, post(sign_in))
        .route(page::DEVICE_CONSENT, post(consent))
}

async fn begin(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let (asked, word) = Asked::from_query(parts.uri.query().unwrap_or_default())?;
        let visitor = Visitor::of(&provider, language, &parts, None).await?;
        device::begin(&provider, &visitor, &asked, word.as_deref()).await
    };
    finish(&provider, language, answer.await)
}

async fn enter(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let submission = Submission::read(&provider, language, parts, body).await?;
        device::enter(&provider, &submission).await
    };
    finish(&provider, language, answer.await)
}

async fn sign_in(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let submission = Submission::read(&provider, language, parts, body).await?;
        device::sign_in(&provider, &submission).await
    };
    finish(&provider, language, answer.await)
}

async fn consent(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let submission = Submission::read(&provider, language, parts, body).await?;
        device::consent(&provider, &submission).await
    };
    finish(&provider, language, answer.await)
}
