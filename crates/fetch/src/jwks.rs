//! The keys that somebody publishes (RFC 7517 §5), fetched when first needed and kept (OPS-KEY-07).
//!
//! - Fresh for 5 minutes, or as long as `Cache-Control: max-age` says, within 1 minute and 1 hour. In the last fifth of
//!   that time they are fetched again beside the requests that use them.
//! - A `kid` that is not among them has them fetched again, once for all who ask, at most every 10 seconds; one that
//!   was not there after that is not asked for again for a minute.
//! - While their publisher is away, the old ones are served, for a day at the most.

use crate::client::{Fetched, Fetcher, without_query};
use crate::error::FetchError;
use http::header::CACHE_CONTROL;
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::time::Clock;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;
use url::Url;

/// Bytes in a JWK set, at the most.
const MAX_BYTES: usize = 64 * 1024;
/// How long keys are fresh where their publisher does not say.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// The least and the most that we let the publisher say.
const FRESH_LEAST: Duration = Duration::from_secs(60);
const FRESH_MOST: Duration = Duration::from_secs(60 * 60);
/// How long old keys are served while the publisher is away.
const STALE_MOST: Duration = Duration::from_secs(24 * 60 * 60);
/// Between two fetches, where there are keys.
const REFETCH: Duration = Duration::from_secs(10);
/// Between two fetches, where there are none yet.
const REFETCH_WITHOUT_KEYS: Duration = Duration::from_secs(1);
/// How long a `kid` that was not there is not asked for again.
const UNKNOWN: Duration = Duration::from_secs(60);
/// How many such are remembered.
const MAX_UNKNOWN: usize = 1024;
/// And up to which length.
const MAX_KID_BYTES: usize = 256;

/// The keys at one URL. Cheap to clone; clones share the keys.
#[derive(Clone, Debug)]
pub struct JwksSource {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    fetcher: Fetcher,
    url: Url,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
    /// Held by whoever fetches.
    fetching: tokio::sync::Mutex<()>,
}

/// All times are the clock's monotonic ones.
#[derive(Debug, Default)]
struct Kept {
    keys: Option<Arc<KeySet>>,
    fetched_at: Duration,
    fresh_for: Duration,
    last_try: Option<Duration>,
    last_error: Option<FetchError>,
    unknown_until: HashMap<String, Duration>,
}

/// What to do for one caller.
enum Step {
    /// These will do.
    Serve(Arc<KeySet>),
    /// These will do; new ones are due.
    ServeAndFetch(Arc<KeySet>),
    /// New ones are needed; these, if any, will do if there are none to be had.
    Fetch,
    /// There are none, and asking again so soon would not help.
    Fail(FetchError),
}

impl JwksSource {
    /// The keys at `url`. Nothing is fetched yet.
    #[must_use]
    pub fn new(fetcher: Fetcher, url: Url, clock: Arc<dyn Clock>) -> Self {
        let kept = Mutex::default();
        Self {
            shared: Arc::new(Shared { fetcher, url, clock, kept, fetching: tokio::sync::Mutex::default() }),
        }
    }

    /// Where the keys are.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.shared.url
    }

    /// The keys, for a token with that `kid`. Whether the `kid` is among them is for the caller to see.
    ///
    /// # Errors
    /// [`FetchError`] where there are no keys, or only ones that are too old.
    pub async fn keys(&self, kid: Option<&str>) -> Result<Arc<KeySet>, FetchError> {
        match self.shared.step(kid) {
            Step::Serve(keys) => Ok(keys),
            Step::ServeAndFetch(keys) => {
                if self.shared.fetching.try_lock().is_ok() {
                    self.spawn_fetch(None);
                }
                Ok(keys)
            }
            Step::Fail(error) => Err(error),
            Step::Fetch => {
                // A task of its own, so that a caller who goes away takes nothing from those who wait.
                if self.spawn_fetch(kid.map(str::to_owned)).await.is_err() {
                    tracing::error!(url = %self.shared.url, "the task that fetches keys has died");
                }
                self.shared.whatever_is_kept()
            }
        }
    }

    /// Why there are no keys that could be used. None where there are some, and where nobody has asked for any.
    #[must_use]
    pub fn failure(&self) -> Option<FetchError> {
        let (kept, now) = (self.shared.kept.lock(), self.shared.clock.monotonic());
        let usable = kept.keys.is_some() && kept.age(now) <= STALE_MOST;
        kept.last_error.clone().filter(|_| !usable)
    }

    fn spawn_fetch(&self, kid: Option<String>) -> tokio::task::JoinHandle<()> {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { shared.fetch_once(kid.as_deref()).await }.in_current_span())
    }
}

impl Shared {
    fn step(&self, kid: Option<&str>) -> Step {
        self.kept.lock().step(kid, self.clock.monotonic())
    }

    /// Fetches, unless somebody else has done so while we waited for our turn.
    async fn fetch_once(&self, kid: Option<&str>) {
        let _turn = self.fetching.lock().await;
        if !matches!(self.step(kid), Step::Fetch | Step::ServeAndFetch(_)) {
            return;
        }
        self.kept.lock().last_try = Some(self.clock.monotonic());
        let outcome = self.fetch().await;
        let now = self.clock.monotonic();
        let mut kept = self.kept.lock();
        match outcome {
            Ok((keys, fresh_for)) => {
                kept.replace(keys, fresh_for, now);
                kept.remember_unknown(kid, now);
            }
            Err(error) => {
                let advice = error.advice();
                tracing::warn!(url = %without_query(&self.url), %error, advice, "keys cannot be fetched");
                kept.last_error = Some(error);
            }
        }
    }

    async fn fetch(&self) -> Result<(KeySet, Duration), FetchError> {
        let fetched = self.fetcher.get_capped(&self.url, MAX_BYTES).await?;
        let unusable = |detail: String| FetchError::Document { url: without_query(&self.url), detail };
        let keys = KeySet::parse(&fetched.body).map_err(|error| unusable(error.to_string()))?;
        Ok((keys, fresh_for(&fetched)))
    }

    fn whatever_is_kept(&self) -> Result<Arc<KeySet>, FetchError> {
        let kept = self.kept.lock();
        match &kept.keys {
            Some(keys) if kept.age(self.clock.monotonic()) <= STALE_MOST => Ok(Arc::clone(keys)),
            _ => Err(kept.failure(&self.url)),
        }
    }
}

impl Kept {
    fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.fetched_at)
    }

    fn failure(&self, url: &Url) -> FetchError {
        let never = || FetchError::Document {
            url: without_query(url),
            detail: "it has not been fetched yet".to_owned(),
        };
        self.last_error.clone().unwrap_or_else(never)
    }

    fn step(&self, kid: Option<&str>, now: Duration) -> Step {
        let since_last_try = self.last_try.map(|at| now.saturating_sub(at));
        let may_try = |interval| since_last_try.is_none_or(|since| since >= interval);
        let usable = self.keys.as_ref().filter(|_| self.age(now) <= STALE_MOST);
        let Some(keys) = usable.map(Arc::clone) else {
            return match &self.last_error {
                Some(error) if !may_try(REFETCH_WITHOUT_KEYS) => Step::Fail(error.clone()),
                _ => Step::Fetch,
            };
        };
        let is_unknown = kid.is_some_and(|kid| !keys.has_kid(kid) && !self.is_known_to_be_unknown(kid, now));
        let age = self.age(now);
        if !may_try(REFETCH) {
            Step::Serve(keys)
        } else if is_unknown || age >= self.fresh_for {
            Step::Fetch
        } else if age >= self.fresh_for / 5 * 4 {
            Step::ServeAndFetch(keys)
        } else {
            Step::Serve(keys)
        }
    }

    fn is_known_to_be_unknown(&self, kid: &str, now: Duration) -> bool {
        self.unknown_until.get(kid).is_some_and(|until| now < *until)
    }

    fn replace(&mut self, keys: KeySet, fresh_for: Duration, now: Duration) {
        self.unknown_until.retain(|kid, until| now < *until && !keys.has_kid(kid));
        self.keys = Some(Arc::new(keys));
        self.fetched_at = now;
        self.fresh_for = fresh_for;
        self.last_error = None;
    }

    fn remember_unknown(&mut self, kid: Option<&str>, now: Duration) {
        let Some(kid) = kid else { return };
        let is_there = self.keys.as_ref().is_some_and(|keys| keys.has_kid(kid));
        if !is_there && self.unknown_until.len() < MAX_UNKNOWN && kid.len() <= MAX_KID_BYTES {
            self.unknown_until.insert(kid.to_owned(), now.saturating_add(UNKNOWN));
        }
    }
}

/// `max-age` (RFC 9111 §5.2.2.1) within our bounds.
fn fresh_for(fetched: &Fetched) -> Duration {
    let lines = fetched.headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let directives = lines.flat_map(|line| line.split(','));
    let seconds = directives
        .filter_map(|directive| directive.trim().split_once('='))
        .filter(|(name, _)| name.eq_ignore_ascii_case("max-age"))
        .find_map(|(_, value)| value.trim_matches('"').parse().ok());
    seconds.map_or(FRESH, Duration::from_secs).clamp(FRESH_LEAST, FRESH_MOST)
}

#[cfg(test)]
mod tests;
