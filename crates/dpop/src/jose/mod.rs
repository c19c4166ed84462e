//! Strict JOSE: just what proofs, tokens and assertions need, and nothing that a later version would have to forbid.

pub mod algorithm;
pub mod base64url;
pub mod crypto;
pub mod json;
pub mod jwk;
pub mod jws;
pub mod key_set;
pub mod known_key;
pub mod object_writer;
pub mod signer;
pub mod thumbprint;
