//! The authorization endpoint and the pages behind it (RFC 6749 §3.1). No other origin may call it (RFC 9700 §2.6).

use crate::extract::form_body;
use crate::interaction::{self, Asked, Submission, Visitor};
use crate::page::{self, Language};
use crate::provider::Provider;
use crate::refusal::Refusal;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::routing::{get, post};
use http::Response;
use std::sync::Arc;

/// The routes for browsers, below the issuer's path.
pub fn routes() -> Router<Arc<Provider>> {
    Router::new()
        .route("/", get(front))
        .route(super::AUTHORIZE, get(ask).post(ask_by_post))
        .route(page::SIGN_IN, post(sign_in))
        .route(page::ACCOUNT, post(choose))
        .route(page::CONSENT, post(consent))
        .route(page::RETURN, post(carry_back))
        .route("/assets/{name}", get(asset))
}

pub(crate) async fn front(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    page::front(&provider.config, Language::of(&provider.config, &parts))
}

async fn asset(
    State(provider): State<Arc<Provider>>,
    Path(name): Path<String>,
    request: Request,
) -> Response<Body> {
    let (parts, _) = request.into_parts();
    page::asset(&provider.config, Language::of(&provider.config, &parts), &name)
}

async fn ask(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let (asked, word) = Asked::from_query(parts.uri.query().unwrap_or_default())?;
        let visitor = Visitor::of(&provider, language, &parts, asked.form.get("client_id")).await?;
        interaction::next_step(&provider, &visitor, &asked, word.as_deref()).await
    };
    finish(&provider, language, answer.await)
}

/// A request by POST (OpenID Connect Core §3.1.2.1) goes on as a GET: browsers keep `SameSite=Lax` cookies back from a
/// POST that another site makes, and send them after the redirect (BCP-UI-05).
async fn ask_by_post(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let asked = Asked::of(form_body(&parts.headers, body).await?)?;
        interaction::start_again(&provider, &asked)
    };
    finish(&provider, language, answer.await)
}

async fn sign_in(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let submission = Submission::read(&provider, language, parts, body).await?;
        interaction::sign_in(&provider, &submission).await
    };
    finish(&provider, language, answer.await)
}

async fn choose(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let submission = Submission::read(&provider, language, parts, body).await?;
        interaction::choose(&provider, &submission).await
    };
    finish(&provider, language, answer.await)
}

async fn consent(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let submission = Submission::read(&provider, language, parts, body).await?;
        interaction::consent(&provider, &submission).await
    };
    finish(&provider, language, answer.await)
}

async fn carry_back(State(provider): State<Arc<Provider>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let language = Language::of(&provider.config, &parts);
    let answer = async {
        let submission = Submission::read(&provider, language, parts, body).await?;
        interaction::carry_back(&provider, &submission).await
    };
    finish(&provider, language, answer.await)
}

/// The answer, or the page that says why there is none.
pub(super) fn finish(
    provider: &Provider,
    language: Language,
    answer: Result<Response<Body>, Refusal>,
) -> Response<Body> {
    answer.unwrap_or_else(|refusal| page::refusal(&provider.config, language, &refusal))
}
