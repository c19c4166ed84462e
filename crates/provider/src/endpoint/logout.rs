//! The end session endpoint (OpenID Connect RP-Initiated Logout §2), and the form behind it.

use super::authorize::finish;
use crate::extract::form_body;
use crate::interaction::{Asked, Submission, Visitor, logout};
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
    Router::new().route(super::LOGOUT, get(begin).post(begin_by_post)).route(page::LOGOUT, post(confirm))
}

async fn begin(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let (asked, _) = Asked::from_query(parts.uri.query().unwrap_or_default())?;
        let visitor = Visitor::of(&provider, language, &parts, None).await?;
        logout::begin(&provider, &visitor, &asked).await
    };
    finish(&provider, language, answer.await)
}

/// A request by POST goes on as a GET, with the cookies that browsers keep back from a POST of another site.
async fn begin_by_post(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let asked = Asked::of(form_body(&parts.headers, body).await?)?;
        logout::start_again(&provider, &asked)
    };
    finish(&provider, language, answer.await)
}

async fn confirm(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let submission = Submission::read(&provider, language, parts, body).await?;
        logout::confirm(&provider, &submission).await
    };
    finish(&provider, language, answer.await)
}
