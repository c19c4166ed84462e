//! `keybound agent` in front of a gateway over TLS, called by programs that know nothing of DPoP.

mod bounds;
mod recipes;
mod renewal;
mod stage;
mod ways;
