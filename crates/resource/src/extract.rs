//! [`Access`] as an argument of axum's handlers.

use crate::access::Access;
use crate::require_scope::unguarded;
use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

/// No guard has looked at the request: the layers are in the wrong order, or one is missing. 500, and the handler does not
/// run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no guard stands in front of this handler")]
pub struct Unguarded;

impl<S: Send + Sync> FromRequestParts<S> for Access {
    type Rejection = Unguarded;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Unguarded> {
        parts.extensions.get::<Self>().cloned().ok_or(Unguarded)
    }
}

impl IntoResponse for Unguarded {
    fn into_response(self) -> Response {
        tracing::error!("a handler that takes an access has no guard in front");
        unguarded().map(Body::new)
    }
}
