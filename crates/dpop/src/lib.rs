//! DPoP proofs (RFC 9449): make, check and inspect them. No I/O, no clock, no async.

pub mod challenge;
pub mod confirmation;
pub mod header;
pub mod jose;
pub mod nonce;
pub mod secret;
pub mod target;
pub mod time;
pub mod token_hash;
