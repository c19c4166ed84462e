//! What nodes that share a log must have in common besides it.

use super::{ReplayLog, ReplayLogError, SharedLog};
use crate::config::GuardConfig;
use keybound_dpop::jose::crypto::hkdf_sha256;
use keybound_dpop::nonce::NonceKeys;
use keybound_dpop::replay::ReplaySalt;
use keybound_dpop::secret::Secret;

/// 256 bits take this many characters of base64, and more in hexadecimal.
const SECRET_LEN: usize = 43;

impl GuardConfig {
    /// Records used proofs in this log, which other nodes use too. The nonces that they all take and the salt of what
    /// they record come from one secret: 256 random bits or more as text, such as 64 hexadecimal digits, the same for
    /// all nodes (OPS-NON-01, DPOP-JTI-05). A node that starts again takes the nonces from before, and the log refuses
    /// the proofs from before.
    ///
    /// Nonces are asked for from now on; say `nonce = None` afterwards where none shall be.
    ///
    /// # Errors
    /// [`ReplayLogError`] where the secret is too short.
    pub fn share(&mut self, log: SharedLog, secret: &Secret) -> Result<(), ReplayLogError> {
        let text = secret.reveal().trim();
        if text.len() < SECRET_LEN {
            return Err(ReplayLogError(format!(
                "the secret of nonces needs 256 random bits: {SECRET_LEN} characters of base64, or 64 hexadecimal digits"
            )));
        }
        let derive = |label: &[u8]| hkdf_sha256(text.as_bytes(), label);
        let audience = self.audience.first().map_or("", String::as_str);
        let nonces = derive(b"keybound resource nonces");
        self.nonce = Some(NonceKeys::new(nonces, format!("resource {audience}"), None));
        self.replay_salt = ReplaySalt::new(derive(b"keybound resource replay salt"));
        self.replay = ReplayLog::Shared(log);
        Ok(())
    }
}
