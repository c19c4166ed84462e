//! What a guard says of its resources to whoever asks (RFC 9728): derived from what it does, so that it is true.

use crate::config::{DpopUse, GuardConfig};
use crate::cors::Cors;
use crate::demand::Demand;
use crate::public_url::PublicUrl;
use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use keybound_dpop::target::Target;
use keybound_oauth::identifier::{Issuer, ResourceId};
use keybound_oauth::resource_metadata::ResourceMetadata;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");

impl GuardConfig {
    /// What is true of the resources of this guard, given what its routes ask for (none: what the guard asks for). One
    /// for each identifier that is a URL, in the order of the routes; what people should read of them is the caller's
    /// to add.
    #[must_use]
    pub fn metadata(&self, demands: &[Demand]) -> Vec<ResourceMetadata> {
        let own = [Demand::of(self)];
        let demands = if demands.is_empty() { &own } else { demands };
        let mut all: Vec<ResourceMetadata> = Vec::new();
        for name in demands.iter().flat_map(|demand| self.audience_of(demand)) {
            let resource = ResourceId::parse(name).ok();
            let Some((resource, url)) = resource.and_then(|id| id.metadata_url().map(|url| (id, url))) else {
                continue;
            };
            // `https://api.example` and `https://api.example/` share their document.
            if all.iter().all(|known| known.resource.metadata_url().as_ref() != Some(&url)) {
                let asked: Vec<&Demand> =
                    demands.iter().filter(|demand| self.audience_of(demand).contains(name)).collect();
                all.push(self.metadata_of(resource, &asked));
            }
        }
        all
    }

    fn metadata_of(&self, resource: ResourceId, asked: &[&Demand]) -> ResourceMetadata {
        let required = asked.iter().all(|demand| demand.dpop == DpopUse::Required);
        let scopes = self.scope.iter().chain(asked.iter().map(|demand| &demand.scope));
        let mut scopes_supported: Vec<String> =
            scopes.flat_map(|scope| scope.iter()).map(|token| token.to_string()).collect();
        scopes_supported.sort();
        scopes_supported.dedup();
        ResourceMetadata {
            authorization_servers: self
                .issuers
                .iter()
                .filter_map(|trusted| Issuer::parse(&trusted.issuer).ok())
                .collect(),
            scopes_supported,
            bearer_methods_supported: Some(if required { Vec::new() } else { vec!["header".to_owned()] }),
            dpop_signing_alg_values_supported: self
                .proof
                .algorithms
                .names()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            dpop_bound_access_tokens_required: Some(required),
            ..ResourceMetadata::new(resource)
        }
    }

    pub(crate) fn audience_of<'a>(&'a self, demand: &'a Demand) -> &'a [String] {
        demand.audience.as_ref().unwrap_or(&self.audience)
    }
}

/// The URLs of metadata that are published, by the resource's identifier; challenges name them (RFC 9728 §5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataUrls(Vec<(String, String)>);

impl MetadataUrls {
    /// That of the first identifier that has one.
    pub(crate) fn find(&self, audience: &[String]) -> Option<&str> {
        let known = |name: &String| self.0.iter().find(|(resource, _)| resource == name);
        audience.iter().find_map(known).map(|(_, url)| url.as_str())
    }
}

/// Answers at the well-known URLs of resources (RFC 9728 §3), to everybody and without a token. Put it beside the
/// guarded service, or ask it first by [`MetadataService::answer`]. Cheap to clone.
///
/// ```
/// use axum::{Router, routing::get};
/// use keybound_resource::{Guard, GuardConfig, GuardLayer, MetadataService, PublicUrl};
/// use std::sync::Arc;
///
/// # fn routes(mut config: GuardConfig) -> Result<Router, Box<dyn std::error::Error>> {
/// let public = PublicUrl::parse("https://api.example")?;
/// let metadata = MetadataService::new(&public, config.metadata(&[]));
/// config.metadata = metadata.urls();
/// let layer = GuardLayer::new(Arc::new(Guard::new(config)?), public);
/// let guarded = Router::new().route("/hello", get(|| async { "Hello" })).layer(layer);
/// let all = guarded.route_service("/.well-known/oauth-protected-resource", metadata);
/// # Ok(all)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MetadataService(Arc<[Document]>);

#[derive(Debug)]
struct Document {
    resource: String,
    url: String,
    /// Path and query.
    place: String,
    json: Bytes,
}

impl MetadataService {
    /// Publishes these. Those of another origin are left out: their place is there.
    #[must_use]
    pub fn new(public: &PublicUrl, all: impl IntoIterator<Item = ResourceMetadata>) -> Self {
        Self(all.into_iter().filter_map(|metadata| Document::of(public, &metadata)).collect())
    }

    /// Where they are: for [`GuardConfig::metadata`](crate::GuardConfig#structfield.metadata).
    #[must_use]
    pub fn urls(&self) -> MetadataUrls {
        MetadataUrls(self.0.iter().map(|known| (known.resource.clone(), known.url.clone())).collect())
    }

    /// The answer to a request for one of them; `None` for any other.
    #[must_use]
    pub fn answer(&self, request: &Parts) -> Option<Response<Full<Bytes>>> {
        let place = request.uri.path_and_query()?.as_str();
        let document = self.0.iter().find(|known| known.place == place)?;
        if let Some(preflight) = Cors::any().preflight(request) {
            return Some(preflight);
        }
        let mut response = Response::new(Full::default());
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
        if request.method == Method::GET || request.method == Method::HEAD {
            headers.insert(CONTENT_TYPE, JSON);
            headers.insert(CACHE_CONTROL, CACHE);
            *response.body_mut() = Full::from(document.json.clone());
        } else {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        }
        Some(response)
    }
}

impl Document {
    fn of(public: &PublicUrl, metadata: &ResourceMetadata) -> Option<Self> {
        let url = metadata.resource.metadata_url()?;
        let is_here = Target::parse(url.as_str()).is_ok_and(|target| target.origin() == public.origin());
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        is_here.then(|| Self {
            resource: metadata.resource.as_str().to_owned(),
            place: format!("{}{query}", url.path()),
            url: url.into(),
            json: Bytes::from(metadata.to_json()),
        })
    }
}

impl<B> Service<Request<B>> for MetadataService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// What is not here is 404.
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let parts = request.into_parts().0;
        ready(Ok(self.answer(&parts).unwrap_or_else(|| {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        })))
    }
}
