//! Token and proof for the requests of HTTP clients that are not ours: a tower layer for hyper and whatever else is a
//! `Service` of requests, and a client over `reqwest`. Both send by the same rules as [`Api`](crate::api::Api).
//!
//! - Every sending gets the token and a new proof. Nonces are learnt from every answer.
//! - One nonce challenge is followed. A token that is no longer good is renewed once, for all who share the session.
//! - A body is kept while it is sent, up to [`Rules::max_kept_bytes`], so that it can be sent again. One that may be
//!   longer, to a server that may ask for another nonce, follows a HEAD request to the same URL, which brings the nonce.
//!   Where that was not enough the caller is told ([`ResourceError::ResendNeeded`](crate::resource_exchange::ResourceError)).
//! - Redirects are the caller's: a proof is for one URL, and is never sent to another one.
//!
//! | file | what |
//! |---|---|
//! | `drive` | the loop between the rules and a service |
//! | [`layer`] | [`DpopLayer`]: the tower layer |
//! | `reqwest_client` | `DpopClient`: the client over `reqwest`, with the feature of that name |
//! | [`replay_body`] | [`ReplayBody`]: a body that can be sent again |

mod drive;
pub mod layer;
pub mod replay_body;
#[cfg(feature = "reqwest")]
pub mod reqwest_client;

#[cfg(feature = "agent")]
pub(crate) use drive::drive_round;
pub(crate) use drive::{Begun, drive};
pub use layer::{DpopLayer, DpopService};
pub use replay_body::ReplayBody;
#[cfg(feature = "reqwest")]
pub use reqwest_client::DpopClient;

use crate::error::ClientError;
use crate::resource_exchange::ResourceError;
use std::time::Duration;

/// How requests are sent.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rules {
    /// Bytes of a request's body that are kept, so that it can be sent again; 64 KiB.
    pub max_kept_bytes: usize,
    /// How long a nonce is taken to be good, before a request whose body cannot be sent twice; 30 s.
    pub nonces_are_good_for: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { max_kept_bytes: 64 * 1024, nonces_are_good_for: Duration::from_secs(30) }
    }
}

impl Rules {
    /// Keeps that many bytes of a body.
    #[must_use]
    pub const fn keeping(self, max_kept_bytes: usize) -> Self {
        Self { max_kept_bytes, ..self }
    }

    /// Takes nonces to be good for that long.
    #[must_use]
    pub const fn trusting_nonces_for(self, nonces_are_good_for: Duration) -> Self {
        Self { nonces_are_good_for, ..self }
    }
}

/// A request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError<E> {
    /// It could not be sent with this session, or the resource asks for what the session does not have.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The HTTP client below failed.
    #[error("{0}")]
    Http(E),
}

impl<E> From<ResourceError> for SendError<E> {
    fn from(error: ResourceError) -> Self {
        Self::Client(error.into())
    }
}
