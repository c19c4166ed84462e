//! WebFinger (RFC 7033), for the one thing that OpenID Connect asks of it: who is the issuer of somebody at this host
//! (Discovery §2). The answer is the same for every name, so that it does not tell who is there.

use crate::provider::Provider;
use crate::refusal::Denied;
use crate::respond;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use keybound_oauth::error::ErrorCode;
use keybound_oauth::identifier::Issuer;
use serde_json::json;
use std::sync::Arc;
use url::{Url, form_urlencoded};

/// The path, at the root of the issuer's host, whatever the issuer's own path is (RFC 7033 §10.1).
pub const PATH: &str = "/.well-known/webfinger";
/// The relation that is known (Discovery §2).
const ISSUER_RELATION: &str = "http://openid.net/specs/connect/1.0/issuer";

/// Answers a query.
pub async fn handle(State(provider): State<Arc<Provider>>, RawQuery(query): RawQuery) -> Response<Body> {
    let mut response = match answer(&provider.config.issuer, query.as_deref().unwrap_or_default()) {
        Ok(json) => respond::public_json(json),
        Err(denied) => respond::refusal(&denied.into(), None),
    };
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/jrd+json"));
    }
    // RFC 7033 §5: for every page, also where it does not say whose it is.
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn answer(issuer: &Issuer, query: &str) -> Result<String, Denied> {
    let denied =
        |status, wire: &str| Denied::new(ErrorCode::InvalidRequest, "OIDC-DSC-04", wire).status(status);
    // RFC 7033 §4.1: it is percent-encoded and no form, so a plus is a plus.
    let query = query.replace('+', "%2B");
    let values = |wanted: &'static str| {
        form_urlencoded::parse(query.as_bytes())
            .filter(move |(name, _)| name == wanted)
            .map(|(_, value)| value)
    };
    let resources: Vec<_> = values("resource").collect();
    let [resource] = resources.as_slice() else {
        return Err(denied(StatusCode::BAD_REQUEST, "`resource` must be there, once"));
    };
    match is_at(issuer, resource) {
        None => Err(denied(StatusCode::BAD_REQUEST, "`resource` must be an acct: URI or a URL")),
        Some(false) => Err(denied(StatusCode::NOT_FOUND, "`resource` must be at the host of the issuer")),
        Some(true) => {
            // §4.3: relations that were not asked for are left out.
            let is_wanted = values("rel").next().is_none() || values("rel").any(|rel| rel == ISSUER_RELATION);
            let link = is_wanted.then(|| json!({ "rel": ISSUER_RELATION, "href": issuer.as_str() }));
            Ok(json!({ "subject": resource, "links": link.as_slice() }).to_string())
        }
    }
}

/// Whether that is somebody, or something, at the issuer's host; none where it is no name of anything.
fn is_at(issuer: &Issuer, resource: &str) -> Option<bool> {
    let ours = issuer.url();
    if let Some(account) = resource.strip_prefix("acct:") {
        let (_, host) = account.rsplit_once('@').filter(|(name, _)| !name.is_empty())?;
        let theirs = Url::parse(&format!("{}://{host}/", ours.scheme())).ok()?;
        let is_bare = !host.contains(['/', '\\', '?', '#']);
        return is_bare.then(|| theirs.origin() == ours.origin());
    }
    let theirs = Url::parse(resource).ok().filter(Url::has_host)?;
    Some(theirs.origin() == ours.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_dsc_04_whose_issuer_we_are() {
        let issuer = Issuer::parse("https://id.example/tenant").expect("an issuer");
        for (resource, expected) in [
            ("acct:joe@id.example", Some(true)),
            ("acct:joe@ID.example:443", Some(true)),
            ("acct:joe%40mail.example@id.example", Some(true)),
            ("https://id.example/joe", Some(true)),
            ("https://id.example", Some(true)),
            ("acct:joe@id.example:8080", Some(false)),
            ("acct:joe@mail.example", Some(false)),
            ("http://id.example/joe", Some(false)),
            ("https://id.example.evil/joe", Some(false)),
            ("acct:@id.example", None),
            ("acct:joe", None),
            ("acct:joe@id.example/path", None),
            ("joe@id.example", None),
            ("mailto:joe@id.example", None),
            ("", None),
        ] {
            assert_eq!(is_at(&issuer, resource), expected, "{resource}");
        }
    }
}
