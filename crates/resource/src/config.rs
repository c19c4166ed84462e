//! What a guard is told: whom it trusts, for which resource it stands, and what it takes.

use crate::demand::WithoutReplayLog;
use crate::introspection::Introspection;
use crate::keys::Keys;
use crate::metadata::MetadataUrls;
use crate::metrics::GuardMetrics;
use crate::replay::ReplayLog;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::crypto::{CryptoError, random};
use keybound_dpop::nonce::NonceKeys;
use keybound_dpop::proof::check::Policy;
use keybound_dpop::replay::{DEFAULT_CAPACITY, MemoryLog, Recorded, ReplayEntry, ReplaySalt};
use keybound_dpop::time::{Clock, Now};
use keybound_oauth::scope::Scope;
use std::sync::Arc;
use tracing::Instrument;

/// An authorization server whose access tokens are taken.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    /// Its issuer identifier, compared octet by octet with `iss`.
    pub issuer: String,
    /// Its keys; no other key is ever used for its tokens (RS-CHK-02).
    pub keys: Keys,
    /// The shape of its access tokens.
    pub tokens: TokenProfile,
    /// Which of them it is asked about.
    pub introspection: Introspection,
}

impl TrustedIssuer {
    /// An issuer whose tokens are believed by their signature.
    #[must_use]
    pub fn new(issuer: &str, keys: Keys, tokens: TokenProfile) -> Self {
        Self { issuer: issuer.to_owned(), keys, tokens, introspection: Introspection::Off }
    }
}

/// How the access tokens of an issuer are told from its other JWTs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenProfile {
    /// By their `typ`, `at+jwt` (RFC 9068 §4).
    Rfc9068,
    /// By what they are not: issuers that came before RFC 9068 write another `typ` or none (RS-CHK-01).
    Jwt,
}

/// Which tokens a resource takes (RFC 9728 §2, `dpop_bound_access_tokens_required`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DpopUse {
    /// Bound tokens only.
    Required,
    /// Bound tokens, and unbound ones as Bearer. A bound token is never taken as Bearer.
    Allowed,
}

/// Everything that a [`Guard`](crate::Guard) needs.
#[derive(Clone, Debug)]
pub struct GuardConfig {
    /// The authorization servers whose tokens are taken; at least one.
    pub issuers: Vec<TrustedIssuer>,
    /// The identifiers of this resource: `aud` must hold one of them. The first one names it in the replay log.
    pub audience: Vec<String>,
    /// Which tokens are taken, where a [`Demand`](crate::Demand) does not say.
    pub dpop: DpopUse,
    /// The keys of the nonces that proofs must carry; `None` where no nonce is asked for unless a
    /// [`Demand`](crate::Demand) says so. Never an authorization server's (RS-NON-04).
    pub nonce: Option<NonceKeys>,
    /// Where used proofs are recorded.
    pub replay: ReplayLog,
    /// The salt of what is recorded; the same for all nodes that share the log.
    pub replay_salt: ReplaySalt,
    /// What is taken of proofs.
    pub proof: Policy,
    /// The algorithms that access tokens may be signed with.
    pub token_algorithms: AlgorithmSet,
    /// `realm` in challenges.
    pub realm: Option<String>,
    /// `scope` in challenges that have no narrower one.
    pub scope: Option<Scope>,
    /// Where the metadata of its resources are published: challenges name the URL. Default: nowhere.
    pub metadata: MetadataUrls,
    /// How many access tokens' verdicts are remembered.
    pub remembered_tokens: usize,
    /// Where it counts.
    pub metrics: GuardMetrics,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Why a guard cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nobody's tokens would be taken.
    #[error("no issuer is trusted")]
    NoIssuer,
    /// Two entries for one issuer: which keys would count?
    #[error("an issuer is named twice")]
    IssuerTwice,
    /// Two issuers could be asked about one token. A token is never shown to somebody who has not issued it.
    #[error("two issuers have opaque tokens that cannot be told apart: give each a prefix")]
    OpaqueTwice,
    /// One issuer would vouch for another's tokens.
    #[error("an issuer other than the one that is trusted is asked about its tokens")]
    AnotherAsked,
    /// Any token would do.
    #[error("no audience: a token for any resource would be taken")]
    NoAudience,
    /// No proof or no token could ever be taken.
    #[error("the list of accepted algorithms is empty")]
    NoAlgorithm,
    /// No secret for nonces could be drawn.
    #[error("no random bits can be had")]
    Entropy(#[from] CryptoError),
}

impl GuardConfig {
    /// For one issuer and one resource identifier, with the strictest of each choice: bound tokens only, nonces asked
    /// for, used proofs recorded in this process's memory. Draws the secrets of nonces and records.
    ///
    /// # Errors
    /// [`CryptoError`] where the system has no entropy.
    pub fn new(issuer: TrustedIssuer, audience: &str, clock: Arc<dyn Clock>) -> Result<Self, CryptoError> {
        let log = MemoryLog::new(DEFAULT_CAPACITY, clock.now());
        Ok(Self {
            issuers: vec![issuer],
            audience: vec![audience.to_owned()],
            dpop: DpopUse::Required,
            nonce: Some(NonceKeys::new(random()?, format!("resource {audience}"), None)),
            replay: ReplayLog::Memory(Arc::new(log)),
            replay_salt: ReplaySalt::new(random()?),
            proof: Policy::default(),
            token_algorithms: default_token_algorithms(),
            realm: None,
            scope: None,
            metadata: MetadataUrls::default(),
            remembered_tokens: 10_000,
            metrics: GuardMetrics::default(),
            clock,
        })
    }

    /// Whether a token's signature is good there if it is good here, as long as its issuer has the same keys.
    pub(crate) fn verifies_tokens_like(&self, other: &Self) -> bool {
        let mut pairs = self.issuers.iter().zip(&other.issuers);
        self.issuers.len() == other.issuers.len()
            && pairs.all(|(one, other)| one.issuer == other.issuer && one.tokens == other.tokens)
            && self.token_algorithms == other.token_algorithms
            && self.remembered_tokens == other.remembered_tokens
    }

    /// A log in this process's memory is quicker than two looks at the clock: it is not timed.
    pub(crate) async fn record(&self, entry: ReplayEntry, now: Now, without: WithoutReplayLog) -> Recorded {
        if !self.replay.is_shared() {
            return self.replay.record(entry, now, without).await;
        }
        let begun = self.clock.monotonic();
        let span = tracing::trace_span!(target: "traces", "record_proof");
        let recorded = self.replay.record(entry, now, without).instrument(span).await;
        self.metrics.recorded(self.clock.monotonic().saturating_sub(begun));
        recorded
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let twice = |index: usize, entry: &TrustedIssuer| {
            self.issuers.iter().skip(index + 1).any(|other| other.issuer == entry.issuer)
        };
        if self.issuers.is_empty() {
            return Err(ConfigError::NoIssuer);
        }
        if self.issuers.iter().enumerate().any(|(index, entry)| twice(index, entry)) {
            return Err(ConfigError::IssuerTwice);
        }
        let overlap = |index: usize, entry: &TrustedIssuer| {
            self.issuers
                .iter()
                .skip(index + 1)
                .any(|other| entry.introspection.overlaps(&other.introspection))
        };
        if self.issuers.iter().enumerate().any(|(index, entry)| overlap(index, entry)) {
            return Err(ConfigError::OpaqueTwice);
        }
        if self.issuers.iter().any(|entry| entry.introspection.asks_another(&entry.issuer)) {
            return Err(ConfigError::AnotherAsked);
        }
        if self.audience.iter().all(String::is_empty) {
            return Err(ConfigError::NoAudience);
        }
        if self.proof.algorithms.is_empty() || self.token_algorithms.is_empty() {
            return Err(ConfigError::NoAlgorithm);
        }
        Ok(())
    }
}

/// Those for proofs, and RS256, which RFC 9068 §2.1 wants of every resource server.
pub(crate) fn default_token_algorithms() -> AlgorithmSet {
    let all: Vec<Algorithm> = AlgorithmSet::default().iter().chain([Algorithm::Rs256]).collect();
    AlgorithmSet::of(&all)
}
