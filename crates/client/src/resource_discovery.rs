//! From a resource to whoever issues tokens for it (RFC 9728): the metadata that its challenge names, or that stand at its
//! well-known URL. A stranger may have written all of it, so little is believed.

use crate::error::ClientError;
use crate::nonce_rule::challenges;
use crate::transport::Transport;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use keybound_fetch::Fetcher;
use keybound_oauth::identifier::{Issuer, ResourceId};
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::resource_metadata::{ResourceMetadata, ResourceMetadataError};
use url::Url;

/// The parameter of a challenge that says where the metadata are (RFC 9728 §5.1).
const RESOURCE_METADATA: &str = "resource_metadata";

/// Why a resource does not lead to an authorization server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceDiscoverError {
    /// The challenge names no URL, or several, and the resource's own identifier has no well-known one.
    #[error(
        "the resource does not say where its metadata are (`{RESOURCE_METADATA}`); name the authorization server"
    )]
    NoUrl,
    /// The HTTP client would go anywhere, and a stranger chose the URL (RFC 9728 §7.7).
    #[error(
        "metadata of resources are fetched with `Fetcher::for_strangers`, so that no URL leads inside; give one"
    )]
    NotForStrangers,
    /// There is nothing at the URL.
    #[error(
        "{host} answered {status} where the resource's metadata should be; name the authorization server"
    )]
    None {
        /// The host that was asked.
        host: String,
        /// The status.
        status: StatusCode,
    },
    /// The document is not that of the resource, or not metadata.
    #[error("{0}; if it is the API that you mean, name the resource as it names itself")]
    Metadata(#[from] ResourceMetadataError),
    /// The resource takes tokens of nobody whom the caller accepts.
    #[error(
        "the resource takes tokens of {}, and none of these is an issuer that you accept; name the one that you trust",
        list(.named)
    )]
    Issuer {
        /// Whom the resource names.
        named: Vec<Issuer>,
    },
}

/// A resource, and who issues tokens for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundResource {
    /// What the resource says of itself.
    pub resource: ResourceMetadata,
    /// What the authorization server says of itself.
    pub server: ProviderMetadata,
}

/// Where the metadata are: at the URL that the challenges of an answer name, else at the resource's well-known one.
///
/// # Errors
/// [`ResourceDiscoverError::NoUrl`]
pub fn metadata_url(resource: &ResourceId, answer: Option<&HeaderMap>) -> Result<Url, ResourceDiscoverError> {
    let challenges = answer.map(challenges).unwrap_or_default();
    let mut named = challenges.iter().filter_map(|challenge| challenge.get(RESOURCE_METADATA));
    let Some(first) = named.next() else {
        return resource.metadata_url().ok_or(ResourceDiscoverError::NoUrl);
    };
    // Several challenges may name it; they must agree.
    if named.any(|other| other != first) {
        return Err(ResourceDiscoverError::NoUrl);
    }
    Url::parse(first).map_err(|_| ResourceDiscoverError::NoUrl)
}

/// What an answer from there means: the metadata of exactly that resource, and the first of its authorization servers that
/// is acceptable.
///
/// # Errors
/// [`ResourceDiscoverError`]
pub fn judge(
    resource: &ResourceId,
    acceptable: &[Issuer],
    host: &str,
    response: &Response<Bytes>,
) -> Result<(ResourceMetadata, Issuer), ResourceDiscoverError> {
    if response.status() != StatusCode::OK {
        return Err(ResourceDiscoverError::None { host: host.to_owned(), status: response.status() });
    }
    let metadata = ResourceMetadata::parse(response.body(), resource)?;
    match metadata.authorization_servers.iter().find(|named| acceptable.contains(named)).cloned() {
        Some(issuer) => Ok((metadata, issuer)),
        None => Err(ResourceDiscoverError::Issuer { named: metadata.authorization_servers }),
    }
}

fn list(issuers: &[Issuer]) -> String {
    match issuers {
        [] => "nobody that it names".to_owned(),
        some => some.iter().map(Issuer::as_str).collect::<Vec<_>>().join(", "),
    }
}

/// Whether a URL is one of the resource's own origin.
#[must_use]
pub fn is_at(resource: &ResourceId, url: &Url) -> bool {
    Url::parse(resource.as_str()).is_ok_and(|resource| resource.origin() == url.origin())
}

impl Transport {
    /// Finds out who issues tokens for a resource. `answer` are the headers of its 401, if it was asked already.
    /// `strangers` is a [`Fetcher::for_strangers`], since whoever answered chose the URL. Where that is one at the resource's
    /// own origin, which the caller has named, any fetcher will do. The metadata of the authorization server, which the
    /// caller accepts, are fetched as always.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn discover_resource(
        &self,
        strangers: &Fetcher,
        resource: &ResourceId,
        answer: Option<&HeaderMap>,
        acceptable: &[Issuer],
    ) -> Result<FoundResource, ClientError> {
        let url = metadata_url(resource, answer)?;
        if !strangers.is_for_strangers() && !is_at(resource, &url) {
            return Err(ResourceDiscoverError::NotForStrangers.into());
        }
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url.as_str().parse().map_err(|_| ResourceDiscoverError::NoUrl)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = strangers.send(request).await?;
        let host = url.host_str().unwrap_or_default();
        let (resource, issuer) = judge(resource, acceptable, host, &response)?;
        let server = self.discover(&issuer).await?;
        Ok(FoundResource { resource, server })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_elsewhere_are_a_strangers() {
        let api = ResourceId::parse("https://api.example/a").expect("a name");
        let is_own = |url: &str| is_at(&api, &Url::parse(url).expect("a URL"));
        assert!(is_own("https://api.example/.well-known/oauth-protected-resource/a"));
        assert!(
            !is_own("https://api.example:444/a")
                && !is_own("http://api.example/a")
                && !is_own("https://x.example/")
        );
    }
}
