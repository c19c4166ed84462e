//! What must hold before requests are welcome. Upstreams are not asked: whether one is up changes from one request to the
//! next, and what leads to the others must go on.

use crate::service::GatewayService;

impl GatewayService {
    /// Whether the keys of every issuer can be had, as far as anybody has asked for them. The reason is for the log.
    ///
    /// # Errors
    /// The first issuer without keys, and why.
    pub fn keys_are_known(&self) -> Result<(), String> {
        let gateway = self.0.gateway();
        let issuers = gateway.guard.config().issuers.iter();
        let failed = issuers.filter_map(|issuer| Some((&issuer.issuer, issuer.keys.failure()?))).next();
        match failed {
            Some((issuer, why)) => Err(format!("{issuer}: {why}")),
            None => Ok(()),
        }
    }

    /// Whether proofs are taken: where no nonce is asked for, none that may have been used before the start
    /// (OPS-REP-09).
    ///
    /// # Errors
    /// Why not yet.
    pub fn proofs_are_taken(&self) -> Result<(), String> {
        let (gateway, kept) = (self.0.gateway(), self.0.kept());
        let config = gateway.guard.config();
        let up = config.clock.now().monotonic.saturating_sub(kept.started).as_secs();
        if config.nonce.is_none() && up <= config.proof.future_window_secs {
            return Err("just started, and nonces are off".to_owned());
        }
        Ok(())
    }
}
