//! The second listener: `/livez`, `/readyz` and `/metrics`, for those who run the service and nobody else.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tower_service::Service;

use crate::health::Readiness;

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The service of the administrators' listener. Bind it to loopback unless a network for administrators exists.
pub fn admin_service(registry: Arc<Registry>, readiness: Readiness) -> AdminService {
    AdminService { registry, readiness, pages: Arc::default() }
}

/// One more thing that those who run the service can look at.
#[derive(Clone)]
pub struct AdminPage {
    /// Where: a path.
    pub path: &'static str,
    /// What it says, as JSON.
    pub json: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Answers `/livez` (200 while the process runs), `/readyz` (200 or 503, a line for each check) and `/metrics`
/// (OpenMetrics text).
#[derive(Clone, Debug)]
pub struct AdminService {
    registry: Arc<Registry>,
    readiness: Readiness,
    pages: Arc<[AdminPage]>,
}

impl AdminService {
    /// The same with these pages.
    #[must_use]
    pub fn with_pages(self, pages: Vec<AdminPage>) -> Self {
        Self { pages: pages.into(), ..self }
    }

    async fn answer(self, method: Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET or HEAD\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/livez" => text(StatusCode::OK, PLAIN, "alive\n"),
            "/readyz" => {
                let report = self.readiness.report().await;
                let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                text(status, PLAIN, report.text)
            }
            "/metrics" => self.metrics(),
            _ => match self.pages.iter().find(|page| page.path == path) {
                Some(page) => text(StatusCode::OK, JSON, (page.json)()),
                None => text(StatusCode::NOT_FOUND, PLAIN, "/livez, /readyz or /metrics\n"),
            },
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let mut page = String::new();
        match encode(&mut page, &self.registry) {
            Ok(()) => text(StatusCode::OK, OPEN_METRICS, page),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, "a metric could not be written\n"),
        }
    }
}

impl<B> Service<Request<B>> for AdminService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Box::pin(async move { Ok(service.answer(method, uri.path()).await) })
    }
}

impl fmt::Debug for AdminPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AdminPage").field(&self.path).finish()
    }
}

fn text(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
