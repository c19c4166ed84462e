//! A log of the caller's own.

use keybound_dpop::replay::ReplayKey;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The answer of an [`OwnLog`]: whether the key was not there and is now; or why that cannot be said.
pub type OwnRecord<'a> = Pin<Box<dyn Future<Output = Result<bool, String>> + Send + 'a>>;

/// Whether an [`OwnLog`] can be reached; or why not.
pub type OwnReach<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// A log of used proofs that is kept elsewhere, by code of yours. It must promise this:
///
/// - Look and insert are **one atomic step**, over all nodes: of any number of callers with the same key, on whatever
///   nodes, exactly one is told `true`.
/// - A key is remembered **for `keep` at the least**, and never dropped before that to make room. A log that is full
///   answers with an error.
/// - It answers, or fails, **within a bounded time**, some hundred milliseconds: requests wait for it.
/// - What cannot be said is an **error**, never `true`. The request is then answered with 503.
///
/// A key is 128 bits that tell nothing; it covers the resource, so that several resources may share one log
/// (OPS-REP-08). After three errors in a row only one request in half a second asks the log, until it answers again.
pub trait OwnLog: fmt::Debug + Send + Sync {
    /// Inserts the key unless it is there.
    fn record(&self, key: ReplayKey, keep: Duration) -> OwnRecord<'_>;

    /// Whether it can be reached, for a check of readiness.
    fn reach(&self) -> OwnReach<'_>;
}
