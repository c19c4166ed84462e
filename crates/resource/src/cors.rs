//! Cross-origin calls (Fetch §3.3). No cookie is ever read, so credentials mode is never allowed (OPS-CORS-04).

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use keybound_dpop::target::Target;

/// What every caller in a browser must be able to send and to read (OPS-CORS-02).
const ALLOWED: &str = "DPoP, Authorization, Content-Type";
const EXPOSED: [&str; 2] = ["DPoP-Nonce", "WWW-Authenticate"];
const MAX_AGE_SECS: u64 = 600;
/// Octets of `Access-Control-Request-Headers` that are answered.
const MAX_ASKED_LEN: usize = 1024;

/// The web origins whose pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors(Origins);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origins {
    Any,
    Only(Vec<String>),
}

/// A text is not a web origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a web origin such as https://app.example: scheme, host, and port where not the default"
)]
pub struct CorsError(String);

impl Cors {
    /// Pages of every origin.
    #[must_use]
    pub const fn any() -> Self {
        Self(Origins::Any)
    }

    /// Pages of these origins; `*` stands for every one.
    ///
    /// # Errors
    /// [`CorsError`] names a text that is no origin.
    pub fn only(origins: &[String]) -> Result<Self, CorsError> {
        if origins.iter().any(|origin| origin == "*") {
            return Ok(Self::any());
        }
        for text in origins {
            if !Target::parse(text).is_ok_and(|target| target.origin() == text) {
                return Err(CorsError(text.clone()));
            }
        }
        Ok(Self(Origins::Only(origins.to_vec())))
    }

    /// The answer to a preflight: an OPTIONS request that has both `Origin` and `Access-Control-Request-Method`. Any
    /// other OPTIONS request is a request like any other (OPS-CORS-01).
    #[must_use]
    pub fn preflight(&self, request: &Parts) -> Option<Response<Full<Bytes>>> {
        let origin = request.headers.get(ORIGIN)?;
        let method = request.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        if request.method != Method::OPTIONS {
            return None;
        }
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        if let (Some(allowed), Ok(_)) = (self.allows(origin), Method::from_bytes(method.as_bytes())) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(&request.headers));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE_SECS));
        }
        Some(response)
    }

    /// Lets the page that made the request read the answer, whatever its status (OPS-CORS-03). What the service itself
    /// exposes stays exposed.
    pub fn mark(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let Some(allowed) = origin.and_then(|origin| self.allows(origin)) else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        let theirs =
            headers.get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter().filter_map(|line| line.to_str().ok());
        let mut exposed: Vec<String> = EXPOSED.map(str::to_owned).to_vec();
        for name in theirs.flat_map(|line| line.split(',')).map(str::trim).filter(|name| !name.is_empty()) {
            if !exposed.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                exposed.push(name.to_owned());
            }
        }
        if let Ok(line) = HeaderValue::try_from(exposed.join(", ")) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, line);
        }
    }

    fn allows(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match &self.0 {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::Only(origins) => origins.iter().any(|known| origin == known).then(|| origin.clone()),
        }
    }
}

/// Ours, and what the page asks for: a header is no secret, and what it may do is the service's business.
fn allowed_headers(request: &HeaderMap) -> HeaderValue {
    let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|line| line.to_str().ok());
    let asked = asked.filter(|line| line.len() <= MAX_ASKED_LEN).unwrap_or_default();
    let mut names: Vec<&str> = ALLOWED.split(", ").collect();
    for name in asked.split(',').map(str::trim) {
        let is_name = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
        if is_name && !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static(ALLOWED))
}
