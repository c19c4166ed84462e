//! Everything that can go wrong for a client: what happened, and what to do. No text holds a secret.

use crate::client_auth::AuthMethodError;
use crate::discover::{AlgorithmError, DiscoverError};
use crate::endpoint_error::EndpointError;
use crate::flow::authorization_code::{LoginImpossible, RedirectRefused};
use crate::flow::device::DeviceError;
use crate::flow::pushed::PushedError;
use crate::flow::refresh::RotateKeyError;
use crate::flow::registration::RegistrationUnusable;
use crate::id_token::IdTokenRefused;
use crate::keystore::KeyStoreError;
use crate::loopback::LoopbackError;
use crate::middleware::SendError;
use crate::nonce_rule::NonceError;
use crate::outgoing::OutgoingError;
use crate::prover::ProveError;
use crate::resource_discovery::ResourceDiscoverError;
use crate::resource_exchange::ResourceError;
use crate::resource_refused::ResourceRefused;
use crate::session_store::SessionStoreError;
use crate::token_endpoint::TokenError;
use keybound_fetch::FetchError;
use keybound_oauth::userinfo::UserinfoError;

/// Why a client could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no answer.
    #[error("{0}; {advice}", advice = .0.advice())]
    Fetch(#[from] FetchError),
    /// The request could not be made.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// The server's demand for a nonce cannot be met.
    #[error(transparent)]
    Nonce(#[from] NonceError),
    /// The issuer's metadata cannot be had or relied on.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// The resource does not lead to an authorization server.
    #[error(transparent)]
    DiscoverResource(#[from] ResourceDiscoverError),
    /// There is no algorithm for proofs.
    #[error(transparent)]
    Algorithm(#[from] AlgorithmError),
    /// There is no way to authenticate that both sides know.
    #[error(transparent)]
    AuthMethod(#[from] AuthMethodError),
    /// The token endpoint gave no token that we take.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Another endpoint of the authorization server did not do what it was asked to.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The login on another device did not come to its end.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The login cannot go on under another key.
    #[error(transparent)]
    RotateKey(#[from] RotateKeyError),
    /// The registration does not yield what is asked of it.
    #[error(transparent)]
    Registration(#[from] RegistrationUnusable),
    /// What came from UserInfo is not used.
    #[error("{0}; it is not used: tell the server's operator")]
    Userinfo(#[from] UserinfoError),
    /// Nobody knows whose tokens these are.
    #[error(
        "this login has no ID token, so there is no telling whom UserInfo is about; log in with the scope `openid`"
    )]
    NoSubject,
    /// A login cannot begin.
    #[error(transparent)]
    Login(LoginImpossible),
    /// The server did not take a pushed request.
    #[error(transparent)]
    Pushed(#[from] PushedError),
    /// The browser came back with something else than a code for us.
    #[error(transparent)]
    Redirect(#[from] RedirectRefused),
    /// The ID token is refused.
    #[error(transparent)]
    IdToken(#[from] IdTokenRefused),
    /// The request may not go to that resource, or not with that key.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// The resource refused.
    #[error(transparent)]
    Refused(#[from] Box<ResourceRefused>),
    /// The browser did not come back.
    #[error(transparent)]
    Loopback(#[from] LoopbackError),
    /// A key cannot be used.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// A session cannot be kept or found.
    #[error(transparent)]
    SessionStore(#[from] SessionStoreError),
    /// There is nothing to get a new access token with.
    #[error("the access token is no longer good and there is no refresh token; log in again")]
    NoRefreshToken,
    /// The access token is no longer good, and another request that had it renewed meanwhile failed, as this says.
    #[error("{0}")]
    Renewal(String),
    /// The client that renews could not be had ([`crate::shared_session::FindClient`]).
    #[error("{0}")]
    Finding(Box<dyn std::error::Error + Send + Sync>),
    /// A task of ours ended before its time.
    #[error("a task of this program ended before its time; this is a fault of ours")]
    Task,
}

impl From<SendError<FetchError>> for ClientError {
    fn from(error: SendError<FetchError>) -> Self {
        match error {
            SendError::Client(error) => error,
            SendError::Http(error) => error.into(),
        }
    }
}

impl From<ProveError> for ClientError {
    fn from(error: ProveError) -> Self {
        Self::Outgoing(error.into())
    }
}
