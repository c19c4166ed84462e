//! The proof itself (RFC 9449 §4): parsed, checked against one table of rules, made, and looked at by people.
//!
//! The states are types. [`check::verify`] takes a header and gives a [`check::VerifiedProof`]; once its `jti` is
//! recorded that becomes a [`check::FreshProof`], and nothing else can bind or spend a token.

pub mod check;
pub mod create;
pub mod error;
pub mod inspect;
mod parse;
mod rules;
