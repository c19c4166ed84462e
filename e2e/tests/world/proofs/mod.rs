//! Part A of the requirements, row by row: each is shown at the token endpoint and at UserInfo, one test a row. Beside
//! the bad proof everything in a request is good, and after each row a good proof is let through at both.

pub mod algorithms;
pub mod api;
mod binding;
mod header;
mod keys;
mod nonces;
mod replay;
mod request;
mod signatures;
pub mod stage;
pub mod structure;
mod time;
mod weak_salt;
