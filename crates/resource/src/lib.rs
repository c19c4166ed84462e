//! The guard of a protected resource (RFC 9449 §7): access tokens, the keys they are bound to, and the proofs of those
//! keys. It works with any authorization server, and with any service that is a tower service.
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use keybound_dpop::{jose::key_set::KeySet, time::SystemClock};
//! use keybound_resource::{Access, Guard, GuardConfig, GuardLayer, Keys, PublicUrl, TokenProfile, TrustedIssuer};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let jwks = br#"{"keys":[]}"#;
//! let keys = Keys::fixed(KeySet::parse(jwks)?);
//! let issuer = TrustedIssuer::new("https://issuer.example", keys, TokenProfile::Rfc9068);
//! let config = GuardConfig::new(issuer, "https://api.example/", Arc::new(SystemClock::start()))?;
//! let layer = GuardLayer::new(Arc::new(Guard::new(config)?), PublicUrl::parse("https://api.example/")?);
//!
//! let hello = |Extension(access): Extension<Access>| async move { format!("Hello, {}", access.subject()) };
//! let app: Router = Router::new().route("/hello", get(hello)).layer(layer);
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `axum` the handler takes `access: Access` itself, and without a guard in front it does not run. With the
//! feature `introspect` an issuer is asked about tokens (RFC 7662). `docs/guard-rust.md` has the rest, and `examples/` whole
//! services.
//!
//! The order of judgement: `Authorization` syntax, the token, its `cnf` against the scheme, the proof up to its
//! signature, the replay record, how the user signed in, the scope, and only then the service. Only the guard makes an [`Access`]:
//!
//! ```compile_fail
//! let forged = keybound_resource::Access { jkt: None };
//! ```

mod access;
mod challenges;
mod config;
mod cors;
mod credentials;
mod demand;
mod denied;
#[cfg(feature = "jwks")]
mod discovered;
#[cfg(feature = "axum")]
mod extract;
mod guard;
#[cfg(feature = "introspect")]
mod introspect;
mod introspection;
mod judge;
mod keys;
mod layer;
mod metadata;
mod metrics;
mod observed;
mod public_url;
mod rate;
mod rejection;
mod replay;
mod require_scope;
mod token;

pub use access::Access;
pub use config::{ConfigError, DpopUse, GuardConfig, TokenProfile, TrustedIssuer};
pub use cors::{Cors, CorsError};
pub use credentials::Scheme;
pub use demand::{Authentication, Demand, WithoutReplayLog};
pub use denied::TokenId;
#[cfg(feature = "jwks")]
pub use discovered::IssuerKeys;
#[cfg(feature = "axum")]
pub use extract::Unguarded;
pub use guard::{Guard, LookedUp};
#[cfg(feature = "introspect")]
pub use introspect::{
    AnswerForm, IntrospectionAuth, IntrospectionConfig, IntrospectionEndpoint, Introspector,
};
pub use introspection::Introspection;
pub use keys::{Keys, KeysUnavailable, LocalKeys};
pub use layer::{GuardLayer, GuardService, GuardedBody};
pub use metadata::{MetadataService, MetadataUrls};
pub use metrics::{GuardMetrics, Histogram};
pub use observed::Observed;
pub use public_url::PublicUrl;
pub use rate::{Rate, subscriber};
pub use rejection::{Reason, Rejection};
#[cfg(any(feature = "postgres", feature = "redis"))]
pub use replay::LogServer;
pub use replay::{OwnLog, OwnReach, OwnRecord, ReplayLog, ReplayLogError, SharedLog};
pub use require_scope::{RequireScopeLayer, RequireScopeService};
pub use token::TokenError;
