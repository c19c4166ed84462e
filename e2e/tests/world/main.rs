//! The provider's endpoints, in process, on a turned clock: one file a topic, one test a row.

mod access_tokens;
mod attacks;
mod audit;
mod client_auth;
mod codes;
mod cross_origin;
mod device;
mod errors;
mod fapi;
mod introspection;
mod limits;
mod logout;
mod logs;
mod metadata;
mod metrics;
mod nonces;
mod opaque;
mod proofs;
mod pushed;
mod request_objects;
mod revocation;
mod rich_requests;
mod signing_keys;
mod token;
mod token_exchange;
mod userinfo;
