//! What must hold before requests are welcome. Upstreams are not asked: whether one is up changes from one request to the
//! next, and what leads to the others must go on.

use crate::service::GatewayService;

impl GatewayService {
    /// Whether the keys of an issuer can be had, as far as anybody has asked for them: while those of one can, its tokens
    /// are taken. The reason is for the log.
    ///
    /// # Errors
    /// The last issuer without keys, and why.
    pub fn keys_are_known(&self) -> Result<(), String> {
        let gateway = self.0.gateway();
        let issuers = gateway.guard.config().issuers.iter();
        let mut failed = Ok(());
        for issuer in issuers {
            match issuer.keys.failure() {
                Some(why) => failed = Err(format!("{}: {why}", issuer.issuer)),
                None => return Ok(()),
            }
        }
        failed
    }

    /// Whether proofs are taken: where no nonce is asked for, none that may have been used before the start
    /// (OPS-REP-09).
    ///
    /// # Errors
    /// Why not yet.
    pub fn proofs_are_taken(&self) -> Result<(), String> {
        let (gateway, kept) = (self.0.gateway(), self.0.kept());
        let config = gateway.guard.config();
        let up = config.clock.monotonic().saturating_sub(kept.started).as_secs();
        if config.nonce.is_none() && !config.replay.is_shared() && up <= config.proof.future_window_secs {
            return Err("just started, and nonces are off".to_owned());
        }
        Ok(())
    }
}
