//! What was said of tokens, by the tokens' hashes, for a short while. Good answers and bad ones have rooms of their own, so
//! that whoever sends many tokens that are none pushes no good one out.

use super::IntrospectionConfig;
use super::told::Told;
use crate::token::TokenError;
use keybound_dpop::time::Now;
use keybound_dpop::token_hash::TokenHash;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Kept {
    good: Cache<TokenHash, (Duration, Arc<Told>)>,
    bad: Cache<TokenHash, (Duration, TokenError)>,
    staleness: Duration,
    negative: Duration,
}

impl Kept {
    pub(super) fn new(config: &IntrospectionConfig) -> Self {
        let IntrospectionConfig { staleness, negative, remembered_tokens, .. } = *config;
        let (good, bad) = (Cache::new(remembered_tokens), Cache::new(remembered_tokens));
        Self { good, bad, staleness, negative }
    }

    /// `now` is monotonic.
    pub(super) fn get(&self, hash: &TokenHash, now: Duration) -> Option<Result<Arc<Told>, TokenError>> {
        if let Some((until, told)) = self.good.get(hash) {
            if now < until {
                return Some(Ok(told));
            }
            self.good.remove(hash);
        }
        let (until, error) = self.bad.get(hash)?;
        if now < until {
            return Some(Err(error));
        }
        self.bad.remove(hash);
        None
    }

    /// A good answer ends with its token at the latest (RFC 7662 §4). `now` is when the question was asked.
    pub(super) fn keep(&self, hash: TokenHash, answer: Result<Arc<Told>, TokenError>, now: Now) {
        match answer {
            Ok(told) => {
                let left = told.exp().map(|exp| exp.as_secs().saturating_sub(now.unix.as_secs()));
                let life = left.map_or(self.staleness, |left| self.staleness.min(Duration::from_secs(left)));
                self.bad.remove(&hash);
                self.good.insert(hash, (now.monotonic.saturating_add(life), told));
            }
            Err(error) => {
                self.good.remove(&hash);
                self.bad.insert(hash, (now.monotonic.saturating_add(self.negative), error));
            }
        }
    }

    pub(super) fn forget(&self, hash: &TokenHash) {
        self.good.remove(hash);
        self.bad.remove(hash);
    }
}
