//! The thin driver between the halves of an exchange: sends what the first half made, hands the answer to the second.

use crate::answer::Answer;
use crate::destination::Destination;
use crate::discover::{self, DiscoverError};
use crate::error::ClientError;
use crate::middleware::Begun;
use crate::nonce_rule::{Next, Round};
use crate::outgoing::{Outgoing, OutgoingError};
use crate::prover::Prover;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Request, Response, StatusCode};
use keybound_dpop::nonce_cache::Role;
use keybound_fetch::{Body, FetchError, Fetcher, Streaming};
use keybound_oauth::identifier::Issuer;
use keybound_oauth::provider_metadata::ProviderMetadata;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;

/// Sends requests. Cheap to clone; clones share their connections. Redirects are never followed here.
#[derive(Clone, Debug)]
pub struct Transport {
    fetcher: Fetcher,
}

impl Transport {
    /// Over that HTTP client.
    #[must_use]
    pub const fn over(fetcher: Fetcher) -> Self {
        Self { fetcher }
    }

    /// The HTTP client.
    #[must_use]
    pub const fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// As a service that collects answers of at most that many bytes.
    pub(crate) fn collecting(&self, max_body_bytes: usize) -> Collecting {
        Collecting { fetcher: self.fetcher.clone(), max_body_bytes }
    }

    /// As a service whose answers are still coming.
    pub(crate) fn beginning(&self) -> Beginning {
        Beginning { fetcher: self.fetcher.clone() }
    }

    /// Sends what `make` makes; once more, made anew, where the server asks for a nonce, and once where its clock differs
    /// from ours.
    ///
    /// # Errors
    /// [`ClientError`] of `make`, of the network, or where the demand for a nonce cannot be met.
    pub async fn exchange(
        &self,
        prover: &Prover,
        role: Role,
        max_body_bytes: usize,
        make: impl Fn() -> Result<Outgoing, ClientError>,
    ) -> Result<Response<Bytes>, ClientError> {
        let mut round = Round::new(role);
        loop {
            let outgoing = make()?;
            let response = self.fetcher.send_capped(outgoing.request, max_body_bytes).await?;
            match round.answered(prover, &outgoing.to, outgoing.proof.as_ref(), &response)? {
                Next::Done => return Ok(response),
                Next::Again => {
                    tracing::debug!(server = outgoing.to.origin(), why = ?round.reason(), "sent again")
                }
            }
        }
    }

    /// The metadata of an issuer.
    ///
    /// # Errors
    /// [`ClientError`] where there is none, or it is not the issuer's.
    pub async fn discover(&self, issuer: &Issuer) -> Result<ProviderMetadata, ClientError> {
        let mut status = StatusCode::NOT_FOUND;
        for url in discover::metadata_urls(issuer) {
            let mut request = Request::new(Bytes::new());
            let to = Destination::parse(url.as_str()).map_err(OutgoingError::from)?;
            *request.uri_mut() = to.uri().clone();
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
            let response = self.fetcher.send(request).await?;
            status = response.status();
            if let Some(metadata) = discover::judge(issuer, &response).map_err(DiscoverError::from)? {
                return Ok(metadata);
            }
        }
        Err(DiscoverError::None { issuer: issuer.clone(), status }.into())
    }
}

/// Sends requests and collects the answers.
pub(crate) struct Collecting {
    fetcher: Fetcher,
    max_body_bytes: usize,
}

/// Sends requests; the bodies of the answers are still coming.
pub(crate) struct Beginning {
    fetcher: Fetcher,
}

type Sending<T> = Pin<Box<dyn Future<Output = Result<T, FetchError>> + Send>>;

impl<B> Service<Request<B>> for Collecting
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Sync + 'static,
{
    type Response = Response<Bytes>;
    type Error = FetchError;
    type Future = Sending<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (fetcher, limit) = (self.fetcher.clone(), self.max_body_bytes);
        Box::pin(async move { fetcher.send_capped(request.map(Body::wrap), limit).await })
    }
}

impl<B> Service<Request<B>> for Beginning
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Sync + 'static,
{
    type Response = Streaming;
    type Error = FetchError;
    type Future = Sending<Streaming>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let fetcher = self.fetcher.clone();
        Box::pin(async move { fetcher.send_streaming(request.map(Body::wrap)).await })
    }
}

impl<'a> From<&'a Streaming> for Answer<'a> {
    fn from(streaming: &'a Streaming) -> Self {
        Self::begun(streaming.status(), streaming.headers())
    }
}

impl Begun for Streaming {
    fn begun(&self) -> Answer<'_> {
        self.into()
    }
}
