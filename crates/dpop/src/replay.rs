//! The record of used proofs (RFC 9449 §11.1): what is recorded, and a log of it in memory.

mod memory;
#[cfg(test)]
mod memory_tests;
mod pages;
#[cfg(test)]
mod pages_tests;

pub use memory::{DEFAULT_CAPACITY, MemoryLog};

use crate::jose::crypto::HmacKey;
use crate::jose::thumbprint::Thumbprint;
use crate::target::Target;
use crate::time::UnixTime;
use std::fmt;

/// The salt of replay keys: one for each deployment, shared by the nodes that share a log.
#[derive(Clone)]
pub struct ReplaySalt(HmacKey);

impl ReplaySalt {
    /// From 256 random bits.
    #[must_use]
    pub fn new(salt: [u8; 32]) -> Self {
        Self(HmacKey::new(&salt))
    }

    /// The key of something that may be used once: the first 128 bits of
    /// HMAC-SHA-256(salt, audience ‖ 0 ‖ jkt ‖ 0 ‖ htu ‖ 0 ‖ jti) (DPOP-JTI-05).
    #[must_use]
    pub fn proof_key(&self, audience: &str, jkt: &Thumbprint, htu: &Target, jti: &str) -> ReplayKey {
        let (audience, htu, jti) = (audience.as_bytes(), htu.as_str().as_bytes(), jti.as_bytes());
        self.key(&[audience, b"\0", jkt.as_bytes(), b"\0", htu, b"\0", jti])
    }

    /// The same for a client assertion, which is used once for each client (RFC 7523 §3, item 7).
    #[must_use]
    pub fn assertion_key(&self, audience: &str, client_id: &str, jti: &str) -> ReplayKey {
        let (audience, client_id) = (audience.as_bytes(), client_id.as_bytes());
        self.key(&[b"assertion\0", audience, b"\0", client_id, b"\0", jti.as_bytes()])
    }

    /// A secret for nonces, for whoever shares the salt: where nonces have none of their own.
    #[must_use]
    pub fn nonce_secret(&self) -> [u8; 32] {
        self.0.mac(&[b"nonces\0"])
    }

    fn key(&self, parts: &[&[u8]]) -> ReplayKey {
        let mac = self.0.mac(parts);
        ReplayKey(mac.first_chunk().map_or(0, |first| u128::from_be_bytes(*first)))
    }
}

impl fmt::Debug for ReplaySalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplaySalt")
    }
}

/// What stands for one proof in a log: 128 bits that tell nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplayKey(pub u128);

/// One thing to record, and how long it must be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayEntry {
    /// The key.
    pub key: ReplayKey,
    /// The first moment at which the thing could have been accepted, as its own date has it. `None` where a nonce of
    /// this run of the server vouches for its age.
    pub from: Option<UnixTime>,
    /// From this moment on the thing is refused for its age alone.
    pub until: UnixTime,
}

/// What a log answers. Only `Fresh` lets a request go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It was not there, and is now.
    Fresh,
    /// It was there, or may have been.
    Replayed,
    /// It may have been used before this log began: the server has just started (OPS-REP-09).
    BeforeStart,
    /// The log is full or out of reach: the request is refused with 503.
    Unavailable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_rep_07_dpop_jti_05_keys_tell_everything_apart_and_hold_no_jti() {
        let salt = ReplaySalt::new([1; 32]);
        let jkt = |text| Thumbprint::parse(text).expect("a thumbprint");
        let (a, b) = (
            jkt("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
            jkt("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        );
        let htu = |text| Target::parse(text).expect("a target");
        let (x, y) = (htu("https://h/x"), htu("https://h/y"));
        let key = salt.proof_key("rs", &a, &x, "1");
        assert_eq!(key, salt.proof_key("rs", &a, &htu("https://H:443/x?q"), "1"));
        for other in [
            salt.proof_key("as", &a, &x, "1"),
            salt.proof_key("rs", &b, &x, "1"),
            salt.proof_key("rs", &a, &y, "1"),
            salt.proof_key("rs", &a, &x, "2"),
            ReplaySalt::new([2; 32]).proof_key("rs", &a, &x, "1"),
        ] {
            assert_ne!(key, other);
        }
    }

    #[test]
    fn debug_tells_nothing_of_the_salt() {
        assert_eq!(format!("{:?}", ReplaySalt::new([1; 32])), "ReplaySalt");
    }
}
