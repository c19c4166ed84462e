//! The log of used proofs, as it is configured.

use crate::config::{LogKind, ReplayConfig};
use crate::service::GatewayService;
use keybound_dpop::replay::MemoryLog;
use keybound_resource::{GuardConfig, ReplayLog, ReplayLogError, SharedLog};
use std::sync::Arc;

/// Gives the guards their log, and with a shared one the secrets that its nodes have in common.
pub(crate) fn install(config: &ReplayConfig, guard: &mut GuardConfig) -> Result<(), ReplayLogError> {
    let now = guard.clock.now();
    match config {
        ReplayConfig::Memory { capacity } => {
            guard.replay = ReplayLog::Memory(Arc::new(MemoryLog::new(*capacity, now)));
            Ok(())
        }
        ReplayConfig::Shared { kind, server, secret } => {
            let log = match kind {
                LogKind::Postgres => SharedLog::postgres(server, now)?,
                _ => SharedLog::redis(server, now)?,
            };
            guard.share(log, secret)
        }
    }
}

impl GatewayService {
    /// Whether the log of used proofs answers: for a check of readiness.
    ///
    /// # Errors
    /// Why not, for the log of the service.
    pub async fn replay_log_is_reachable(&self) -> Result<(), String> {
        let config = self.0.guard.config();
        config.replay.is_reachable(config.clock.now()).await
    }
}
