//! An OpenID Provider and OAuth authorization server that binds tokens to keys, at every endpoint.

pub mod access;
pub mod authenticate;
pub mod bind;
pub mod clients;
pub mod config;
pub mod device;
pub mod endpoint;
pub mod extract;
pub mod grant;
pub mod interaction;
pub mod issue;
pub mod page;
pub mod passwords;
pub mod profile;
pub mod prove;
pub mod provider;
pub mod reach;
pub mod refusal;
pub mod registry;
pub mod respond;
pub mod service;
pub mod signing_keys;
pub mod store;
