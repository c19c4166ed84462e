//! The provider's endpoints, in process, on a turned clock: one file a topic, one test a row.

mod access_tokens;
mod attacks;
mod client_auth;
mod codes;
mod cross_origin;
mod errors;
mod logs;
mod nonces;
mod proofs;
mod pushed;
mod signing_keys;
mod token;
mod userinfo;
