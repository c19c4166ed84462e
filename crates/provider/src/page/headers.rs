//! Pages and redirects on the wire: the one place that sets their headers (BCP-UI-01, 02, 03, 11, 12).

use super::Frame;
use crate::config::Config;
use crate::refusal::Refusal;
use askama::Template;
use axum::body::Body;
use data_encoding::BASE64;
use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, PRAGMA,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use keybound_dpop::jose::crypto::sha256;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Most pages are shorter.
const PAGE_OCTETS: usize = 4096;
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// What pages have no need of; passkeys are the only thing that they may use.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), display-capture=(), \
                           fullscreen=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), \
                           local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), \
                           screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()";

/// Where the place of a form cannot be written.
static NOTHING_ELSE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
);

/// What is on every page. They are checked when this is compiled, not for each page.
static ALWAYS: [(HeaderName, HeaderValue); 8] = [
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (OPENER_POLICY, HeaderValue::from_static("same-origin")),
    (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (PERMISSIONS_POLICY, HeaderValue::from_static(PERMISSIONS)),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (PRAGMA, HeaderValue::from_static("no-cache")),
];

/// A page. `form_target` is where a form on it may end besides here: the source expression of a validated redirect URI.
#[must_use]
pub fn respond(
    frame: Frame<'_>,
    status: StatusCode,
    page: &impl Template,
    form_target: Option<&str>,
) -> Response<Body> {
    respond_by(frame, status, page, policy(form_target, None))
}

/// The page with a form that sends itself to `form_target`: [`SUBMIT`](super::SUBMIT) is the one script that it may run.
#[must_use]
pub fn respond_with_script(frame: Frame<'_>, page: &impl Template, form_target: &str) -> Response<Body> {
    let hash = BASE64.encode(&sha256(super::SUBMIT.as_bytes()));
    respond_by(frame, StatusCode::OK, page, policy(Some(form_target), Some(&hash)))
}

fn respond_by(frame: Frame<'_>, status: StatusCode, page: &impl Template, policy: String) -> Response<Body> {
    let mut html = String::with_capacity(PAGE_OCTETS);
    let status = match page.render_into(&mut html) {
        Ok(()) => status,
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            html.clear();
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    let mut headers = frame.sheet.headers.clone();
    if let Some(length) = headers.get_mut(CONTENT_LENGTH) {
        *length = HeaderValue::from(html.len());
    }
    if let (Some(strictest), Ok(policy)) =
        (headers.get_mut(CONTENT_SECURITY_POLICY), HeaderValue::try_from(policy))
    {
        *strictest = policy;
    }
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// What pages in the language of that tag have. Their policy is the strictest, for where another cannot be written; the
/// length has its place already: a copy has no room for more fields.
pub(super) fn of_pages(tag: &str, is_https: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(VARY, HeaderValue::from_static("accept-language"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(CONTENT_LANGUAGE, tag);
    }
    harden(&mut headers, NOTHING_ELSE.clone(), is_https);
    headers
}

/// A redirect by 303, which makes the browser forget the form that it sent (RFC 9700 §4.12).
///
/// # Errors
/// [`Refusal::Unavailable`] where the location is no field value.
pub fn redirect(config: &Config, location: &str) -> Result<Response<Body>, Refusal> {
    let location = HeaderValue::try_from(location)
        .map_err(|_| Refusal::Unavailable("a location is not a field value".to_owned()))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, location);
    let policy = HeaderValue::try_from(policy(None, None)).unwrap_or_else(|_| NOTHING_ELSE.clone());
    harden(response.headers_mut(), policy, config.base.is_https());
    Ok(response)
}

/// The content security policy (CSP3). `script` is the SHA-256 of the one script that may run, in Base64.
fn policy(form_target: Option<&str>, script: Option<&str>) -> String {
    let script = script.map_or_else(String::new, |hash| ["script-src 'sha256-", hash, "'; "].concat());
    let (space, target) = form_target.map_or(("", ""), |target| (" ", target));
    let rest =
        "style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
    ["default-src 'none'; ", &script, rest, space, target].concat()
}

fn harden(headers: &mut HeaderMap, policy: HeaderValue, is_https: bool) {
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    for (name, value) in &ALWAYS {
        headers.insert(name, value.clone());
    }
    strict_transport(headers, is_https);
}

/// HSTS, where there is TLS at all.
pub(super) fn strict_transport(headers: &mut HeaderMap, is_https: bool) {
    if is_https {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}
