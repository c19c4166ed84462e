//! DPoP proofs (RFC 9449): make, check and inspect them. No I/O, no clock, no async.

pub mod jose;
pub mod secret;
pub mod time;
