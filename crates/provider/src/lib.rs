//! An OpenID Provider and OAuth authorization server that binds tokens to keys, at every endpoint.

pub mod store;
