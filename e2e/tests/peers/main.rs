//! Clients and guards of other people against our provider and our gateway, and their servers against our client. `cargo xtask setup` installs them below
//! `target/peers`; the scripts that play them are in `e2e/peers`.

mod abroad;
mod atproto;
mod client_credentials;
mod gate;
mod guards;
mod issuers;
mod legacy;
mod oidc_provider;
mod peer;
mod program;
mod registered;
mod sign_in;
