//! Clients and guards of other people against our provider and our gateway. `cargo xtask setup` installs them below
//! `target/peers`; the scripts that play them are in `e2e/peers`.

mod client_credentials;
mod gate;
mod guards;
mod issuers;
mod legacy;
mod peer;
mod registered;
mod sign_in;
