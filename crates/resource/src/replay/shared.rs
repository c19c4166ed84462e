//! A log that several nodes share: when it is asked, how long it must remember, and what is done while it is away.

use super::circuit::Circuit;
use super::meanwhile::Meanwhile;
use super::own::OwnLog;
#[cfg(feature = "postgres")]
use super::postgres::PostgresLog;
#[cfg(feature = "redis")]
use super::redis::RedisLog;
#[cfg(any(feature = "postgres", feature = "redis"))]
use super::{LogServer, ReplayLogError};
use crate::demand::WithoutReplayLog;
use keybound_dpop::replay::{Recorded, ReplayEntry, ReplayKey};
use keybound_dpop::time::Now;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How much longer than needed a record is kept: a node's clock may step back that far, or the server's forward
/// (OPS-REP-02, OPS-REP-10).
const SLACK_SECS: u64 = 600;
/// How many records of the time when the log was away are handed on with each request once it is back.
const OWED_AT_ONCE: usize = 16;

/// A log of used proofs that several nodes share. Cheap to clone; clones share everything.
///
/// Records end by the server's clock, which is told how long, never until when; no node's wall clock is needed for
/// that. What may have been forgotten is refused, by this node's monotonic clock.
#[derive(Clone)]
pub struct SharedLog(Arc<Inner>);

struct Inner {
    place: Place,
    circuit: Circuit,
    meanwhile: Meanwhile,
    started: Now,
}

enum Place {
    #[cfg(feature = "redis")]
    Redis(RedisLog),
    #[cfg(feature = "postgres")]
    Postgres(PostgresLog),
    Own(Arc<dyn OwnLog>),
}

impl SharedLog {
    /// In Redis or Valkey, one server or a cluster: `SET key NX PX`.
    ///
    /// Nothing is connected to yet: a node starts whether or not the server is there.
    ///
    /// # Errors
    /// [`ReplayLogError`] where the URL cannot be used, or would send the records in the clear.
    #[cfg(feature = "redis")]
    pub fn redis(server: &LogServer, now: Now) -> Result<Self, ReplayLogError> {
        Ok(Self::at(Place::Redis(RedisLog::new(server)?), now))
    }

    /// In PostgreSQL, or what speaks its protocol: a row for each proof in the table `keybound_replay`, which is made
    /// where it is not there.
    ///
    /// Nothing is connected to yet: a node starts whether or not the server is there.
    ///
    /// # Errors
    /// [`ReplayLogError`] where the URL cannot be used, or would send the records in the clear.
    #[cfg(feature = "postgres")]
    pub fn postgres(server: &LogServer, now: Now) -> Result<Self, ReplayLogError> {
        Ok(Self::at(Place::Postgres(PostgresLog::new(server)?), now))
    }

    /// Wherever you keep it. Mind what [`OwnLog`] must promise.
    #[must_use]
    pub fn own(log: Arc<dyn OwnLog>, now: Now) -> Self {
        Self::at(Place::Own(log), now)
    }

    fn at(place: Place, now: Now) -> Self {
        let (circuit, meanwhile) = (Circuit::default(), Meanwhile::new(now));
        Self(Arc::new(Inner { place, circuit, meanwhile, started: now }))
    }

    /// Whether the log counts as away: requests are refused, or taken without it, and it is tried twice a second.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.0.circuit.is_open()
    }

    pub(super) fn taken_without(&self) -> u64 {
        self.0.meanwhile.taken()
    }

    pub(super) async fn is_reachable(&self, now: Now) -> Result<(), String> {
        let log = &self.0;
        match log.place.reach().await {
            Ok(()) => {
                log.is_back(log.circuit.succeeded()).await;
                Ok(())
            }
            Err(reason) => {
                log.is_lost(&reason, now).await;
                Err(reason)
            }
        }
    }

    pub(super) async fn record(&self, entry: ReplayEntry, now: Now, without: WithoutReplayLog) -> Recorded {
        let log = &self.0;
        if log.may_have_forgotten(&entry, now) {
            return Recorded::Replayed;
        }
        if !log.circuit.admits(now.monotonic) {
            return Recorded::Unavailable;
        }
        match log.place.record(entry.key, log.keep(&entry, now)).await {
            Ok(is_new) => {
                log.is_back(log.circuit.succeeded()).await;
                if is_new && log.meanwhile.is_fresh(entry, now, without) {
                    Recorded::Fresh
                } else {
                    Recorded::Replayed
                }
            }
            Err(reason) => {
                log.is_lost(&reason, now).await;
                Recorded::Unavailable
            }
        }
    }

    pub(super) fn record_meanwhile(&self, entry: ReplayEntry, now: Now) -> Recorded {
        if self.0.may_have_forgotten(&entry, now) {
            return Recorded::Replayed;
        }
        self.0.meanwhile.record(entry, now)
    }
}

impl Inner {
    /// Seconds since 1970, by the monotonic clock from this node's start: a step of the wall clock does not move them.
    fn log_secs(&self, now: Now) -> u64 {
        let age = now.monotonic.saturating_sub(self.started.monotonic);
        self.started.unix.plus_secs(age.as_secs()).as_secs()
    }

    /// Ended so long ago that no record of it is left (OPS-REP-10).
    fn may_have_forgotten(&self, entry: &ReplayEntry, now: Now) -> bool {
        entry.until.as_secs().saturating_add(SLACK_SECS) < self.log_secs(now)
    }

    /// How long from now on: until the entry has ended by either clock, and the slack.
    fn keep(&self, entry: &ReplayEntry, now: Now) -> Duration {
        let earlier = self.log_secs(now).min(now.unix.as_secs());
        Duration::from_secs(entry.until.as_secs().saturating_sub(earlier).saturating_add(SLACK_SECS))
    }

    async fn is_lost(&self, reason: &str, now: Now) {
        if self.circuit.failed(now.monotonic) {
            tracing::error!(target: "audit", event = "replay_log_away", row = "RS-GW-09", reason, "the replay log is away");
            self.place.reset().await;
        } else {
            tracing::debug!(reason, "the replay log did not answer");
        }
    }

    /// What was taken without the log is told to it, some with each request.
    async fn is_back(&self, was_away: bool) {
        if was_away {
            tracing::warn!(target: "audit", event = "replay_log_back", row = "RS-GW-09", "the replay log is back");
        }
        for _ in 0..OWED_AT_ONCE {
            let Some(owed) = self.meanwhile.owed() else { return };
            // Until it has ended by its own date, and the slack: a little too long does no harm.
            let keep = Duration::from_secs(SLACK_SECS);
            if self.place.record(owed.key(), keep).await.is_err() {
                return;
            }
            owed.done();
        }
    }
}

impl Place {
    /// Whether the key was not there, and is now; or why that cannot be said.
    async fn record(&self, key: ReplayKey, keep: Duration) -> Result<bool, String> {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(log) => log.record(key, keep).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(log) => log.record(key, keep).await,
            Self::Own(log) => log.record(key, keep).await,
        }
    }

    /// Whether it answers.
    async fn reach(&self) -> Result<(), String> {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(log) => log.reach().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(log) => log.reach().await,
            Self::Own(log) => log.reach().await,
        }
    }

    /// Lets go of a connection that is of no use.
    async fn reset(&self) {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(log) => log.reset().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => (),
            Self::Own(_) => (),
        }
    }
}

impl fmt::Debug for SharedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.place {
            #[cfg(feature = "redis")]
            Place::Redis(_) => f.write_str("SharedLog(Redis)"),
            #[cfg(feature = "postgres")]
            Place::Postgres(_) => f.write_str("SharedLog(PostgreSQL)"),
            Place::Own(log) => write!(f, "SharedLog({log:?})"),
        }
    }
}
