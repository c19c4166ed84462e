//! An OpenID Provider and OAuth authorization server that binds tokens to keys, at every endpoint.

pub mod clients;
pub mod config;
pub mod extract;
pub mod provider;
pub mod refusal;
pub mod respond;
pub mod signing_keys;
pub mod store;
