//! The provider's endpoints, in process, on a turned clock: one file a topic, one test a row.

mod access_tokens;
mod attacks;
mod client_auth;
mod codes;
mod cross_origin;
mod errors;
mod introspection;
mod logs;
mod nonces;
mod opaque;
mod proofs;
mod pushed;
mod revocation;
mod signing_keys;
mod token;
mod userinfo;
