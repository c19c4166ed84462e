//! The one outbound HTTP client: https, no redirects, no cookies, no proxy unless one is named, bounded in time and size (OPS-SSRF-01).
//!
//! | file | what |
//! |---|---|
//! | [`client`] | [`Fetcher`]: the client, for URLs that an operator wrote and for URLs that others chose |
//! | [`body`] | the body of a request |
//! | [`address`] | which addresses others may not send us to (RFC 6890) |
//! | [`proxy`] | [`Proxy`]: what lies between us and the servers that an operator named |
//! | `resolve` | names to addresses, looked up once and connected to as looked up |
//! | [`error`] | what went wrong, whose fault it is, what to do |
//! | [`jwks`] | [`JwksSource`]: the keys of an issuer or client, fetched when needed and kept |

pub mod address;
pub mod body;
pub mod client;
pub mod error;
pub mod jwks;
pub mod proxy;
mod resolve;
#[cfg(test)]
mod testing;

pub use body::Body;
pub use client::{ClientCertificate, Fetched, Fetcher, Roots, Settings, Streaming};
pub use error::{Culprit, FetchError};
pub use jwks::JwksSource;
pub use proxy::Proxy;
