//! The driver against servers on loopback that behave as odd servers do.

mod calls;
mod login;
mod mock;
mod nonces;
mod tokens;
