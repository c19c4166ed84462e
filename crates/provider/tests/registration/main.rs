//! Clients that nobody has written down: by registration, and by the document at their `client_id`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails panics"
)]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod common;

mod consent;
mod documents;
mod fetched;
mod limits;
mod management;
mod program;
mod request;
mod site;
mod statement;
mod token;
