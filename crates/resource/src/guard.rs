//! The judgement of one request.

use crate::access::Access;
use crate::challenges;
use crate::config::{ConfigError, DpopUse, GuardConfig, TokenProfile};
use crate::credentials::{self, Scheme};
use crate::rejection::{Reason, Rejection};
use crate::replay::ReplayLog;
use crate::token::{self, Token, TokenError};
use http::header::{CACHE_CONTROL, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use keybound_dpop::confirmation::Confirmation;
use keybound_dpop::header::{DPOP_NONCE, ProofHeader};
use keybound_dpop::jose::jws;
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::nonce::Nonce;
use keybound_dpop::proof::check::{BoundToken, Expected, FreshProof, NotFresh, verify};
use keybound_dpop::replay::{Recorded, ReplayEntry};
use keybound_dpop::secret::Secret;
use keybound_dpop::target::Target;
use keybound_dpop::time::Now;
use keybound_dpop::token_hash::TokenHash;
use keybound_oauth::access_token::AccessTokenError;
use keybound_oauth::scope::Scope;
use quick_cache::sync::Cache;
use std::fmt;
use std::future::{Future, Ready};
use std::sync::Arc;

/// The guard of one protected resource. Share it: it remembers which tokens it has found good, never which proofs
/// (RS-CHK-08).
pub struct Guard {
    config: GuardConfig,
    verdicts: Arc<Cache<TokenHash, Arc<Verdict>>>,
}

/// A token that was found good, and under which keys. It holds as long as these are the issuer's keys.
struct Verdict {
    token: Arc<Token>,
    keys: Arc<KeySet>,
    issuer: usize,
    kid: Option<String>,
}

/// What is known of an opaque token: its claims where it is good; or why that cannot be found out.
pub type LookedUp = Result<Option<Vec<u8>>, String>;

/// What the token of a request was found to be, and what its proof is to be held against.
struct Presented<'a> {
    request: &'a Parts,
    target: &'a Target,
    hash: TokenHash,
    now: Now,
}

impl Guard {
    /// A guard.
    ///
    /// # Errors
    /// [`ConfigError`] where it would let through everybody, or nobody.
    pub fn new(config: GuardConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let verdicts = Arc::new(Cache::new(config.remembered_tokens));
        Ok(Self { config, verdicts })
    }

    /// A guard in the place of this one, which may go on meanwhile. What is remembered of tokens stays, if they are
    /// judged as before; of an issuer with other keys they are judged again.
    ///
    /// # Errors
    /// As for [`Guard::new`].
    pub fn succeeding(&self, config: GuardConfig) -> Result<Self, ConfigError> {
        let next = Self::new(config)?;
        if !self.config.judges_tokens_like(&next.config) {
            return Ok(next);
        }
        Ok(Self { verdicts: Arc::clone(&self.verdicts), ..next })
    }

    /// Judges a request by its head; its body is not read. `target` is the URI at which it arrived, from configuration
    /// (see [`PublicUrl`](crate::PublicUrl)).
    ///
    /// # Errors
    /// A [`Rejection`], which has been written to the audit log.
    pub async fn check(&self, request: &Parts, target: &Target) -> Result<Access, Rejection> {
        self.check_with_form(request, None, target).await
    }

    /// The same for an endpoint that has read a form: a token in it is not taken, and beside a token in
    /// `Authorization` it is a second one (RFC 6750 §2.2, RS-SCH-04).
    ///
    /// # Errors
    /// A [`Rejection`], which has been written to the audit log.
    pub async fn check_with_form(
        &self,
        request: &Parts,
        form: Option<&[u8]>,
        target: &Target,
    ) -> Result<Access, Rejection> {
        let nobody: Option<fn(Secret) -> Ready<LookedUp>> = None;
        self.check_any(request, form, target, nobody).await
    }

    /// The same for a service that knows what tokens stand for which are no JWTs: `look_up` gives the claims of one that
    /// is good, as the JSON that a JWT would hold (RFC 9068 §2.2), and none for any other. It is asked each time.
    ///
    /// # Errors
    /// A [`Rejection`], which has been written to the audit log.
    pub async fn check_known<F: Future<Output = LookedUp>>(
        &self,
        request: &Parts,
        target: &Target,
        look_up: impl FnOnce(Secret) -> F,
    ) -> Result<Access, Rejection> {
        self.check_any(request, None, target, Some(look_up)).await
    }

    /// Asks for a scope on top of a good token (RFC 6750 §3.1).
    ///
    /// # Errors
    /// A [`Rejection`] with `insufficient_scope`, which has been written to the audit log.
    pub fn require_scope(&self, access: &Access, needed: &Scope, request: &Parts) -> Result<(), Rejection> {
        if needed.is_subset_of(access.scope()) {
            return Ok(());
        }
        let scheme = if access.jkt().is_some() { Scheme::Dpop } else { Scheme::Bearer };
        let rejection = self.reject(Reason::Scope(needed.clone()), Some(scheme), self.config.clock.now());
        audit(&rejection, request);
        Err(rejection)
    }

    /// The refusal of a token that the service itself knows to be revoked (RS-CHK-04). It has been written to the audit
    /// log.
    #[must_use]
    pub fn refuse_revoked(&self, access: &Access, request: &Parts) -> Rejection {
        let scheme = if access.jkt().is_some() { Scheme::Dpop } else { Scheme::Bearer };
        let rejection =
            self.reject(Reason::Token(TokenError::Revoked), Some(scheme), self.config.clock.now());
        audit(&rejection, request);
        rejection
    }

    /// The refusal of a request whose target makes no URI. It has been written to the audit log.
    #[must_use]
    pub fn refuse_target(&self, request: &Parts) -> Rejection {
        let rejection = self.reject(Reason::Target, None, self.config.clock.now());
        audit(&rejection, request);
        rejection
    }

    /// Completes the answer to a request that was let through. A nonce where one is due, and never more than one
    /// (RFC 9449 §8.2, AS-NON-04); and nothing that a shared cache would keep, unless the service said so
    /// (RFC 9111 §3.5, OPS-CACHE-02, OPS-CACHE-03).
    pub fn complete(&self, access: &Access, headers: &mut HeaderMap) {
        if self.config.nonce.is_some() {
            headers.remove(DPOP_NONCE);
        }
        let nonce = self.nonce().filter(|_| access.wants_new_nonce());
        if let Some(nonce) = nonce.and_then(|nonce| HeaderValue::try_from(nonce.as_str()).ok()) {
            headers.insert(DPOP_NONCE, nonce);
        }
        if let Some(only) = headers.remove(DPOP_NONCE) {
            headers.insert(DPOP_NONCE, only);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        } else if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        }
        headers.append(VARY, HeaderValue::from_static("Authorization, DPoP"));
    }

    /// The nonce of now, where this guard asks for nonces.
    #[must_use]
    pub fn nonce(&self) -> Option<Nonce> {
        self.config.nonce.as_ref().map(|keys| keys.issue(self.config.clock.now().unix))
    }

    /// What the guard was told.
    #[must_use]
    pub const fn config(&self) -> &GuardConfig {
        &self.config
    }

    async fn check_any<F: Future<Output = LookedUp>>(
        &self,
        request: &Parts,
        form: Option<&[u8]>,
        target: &Target,
        look_up: Option<impl FnOnce(Secret) -> F>,
    ) -> Result<Access, Rejection> {
        let now = self.config.clock.now();
        let (scheme, judged) = match credentials::read(&request.headers, request.uri.query(), form) {
            Err(unreadable) => (unreadable.scheme, Err(unreadable.reason)),
            Ok(None) => (None, Err(Reason::NoCredentials)),
            Ok(Some(credentials)) => {
                let hash = TokenHash::of(credentials.token);
                let presented = Presented { request, target, hash, now };
                let token = match look_up {
                    Some(look_up) if jws::split(credentials.token).is_none() => {
                        self.known_token(look_up(Secret::new(credentials.token)).await, now)
                    }
                    _ => self.token(credentials.token, &presented).await,
                };
                let judged = match token {
                    Ok(token) => self.judge(token, credentials.scheme, &presented).await,
                    Err(reason) => Err(reason),
                };
                (Some(credentials.scheme), judged)
            }
        };
        self.counted(judged).map_err(|reason| {
            let rejection = self.reject(reason, scheme, now);
            audit(&rejection, request);
            rejection
        })
    }

    fn counted(&self, judged: Result<Access, Reason>) -> Result<Access, Reason> {
        match &judged {
            Ok(access) => self.config.metrics.accepted(access),
            Err(reason) => self.config.metrics.refused(reason),
        }
        judged
    }

    /// The token decides what has to be proven, never the scheme that the caller chose (RS-DWN-02).
    async fn judge(
        &self,
        token: Arc<Token>,
        scheme: Scheme,
        presented: &Presented<'_>,
    ) -> Result<Access, Reason> {
        match (token.claims.confirmation, scheme) {
            (Confirmation::Unusable(because), _) => Err(Reason::Unusable(because)),
            (Confirmation::Jkt(_), Scheme::Bearer) => Err(Reason::Downgrade),
            (Confirmation::None, Scheme::Dpop) => Err(Reason::Unbound),
            (Confirmation::None, Scheme::Bearer) if self.config.dpop == DpopUse::Required => {
                Err(Reason::BearerRefused)
            }
            (Confirmation::None, Scheme::Bearer) => {
                if !ProofHeader::of(&presented.request.headers).is_absent() {
                    tracing::info!(target: "audit", event = "stray_proof", row = "RS-SCH-08", "proof not looked at");
                }
                Ok(Access::new(token, None, false))
            }
            (Confirmation::Jkt(jkt), Scheme::Dpop) => {
                let proof = self.prove(jkt, presented).await?;
                Ok(Access::new(token, Some(*proof.jkt()), proof.wants_new_nonce()))
            }
        }
    }

    /// A token whose claims were looked up. Not remembered, so that its end is seen at once.
    fn known_token(&self, looked_up: LookedUp, now: Now) -> Result<Arc<Token>, Reason> {
        let claims = looked_up.map_err(Reason::TokensUnavailable)?;
        let claims = claims.ok_or(Reason::Token(TokenError::Unknown))?;
        let token =
            token::believe(&claims, TokenProfile::Rfc9068, &self.config.audience).map_err(unusable)?;
        let came = &token.claims.iss;
        if !self.config.issuers.iter().any(|trusted| trusted.issuer == *came) {
            return Err(Reason::Token(TokenError::Issuer { came: came.clone() }));
        }
        token.check_time(now.unix).map_err(Reason::Token)?;
        Ok(Arc::new(token))
    }

    async fn token(&self, text: &str, presented: &Presented<'_>) -> Result<Arc<Token>, Reason> {
        let remembered = self.remembered(&presented.hash).await;
        self.config.metrics.token_judged(remembered.is_some());
        let verdict = match remembered {
            Some(verdict) => verdict,
            None => self.verify_token(text, presented).await?,
        };
        verdict.token.check_time(presented.now.unix).map_err(|error| {
            self.verdicts.remove(&presented.hash);
            Reason::Token(error)
        })?;
        Ok(Arc::clone(&verdict.token))
    }

    /// A verdict holds while the issuer has the keys under which it was reached, or cannot be asked for them.
    async fn remembered(&self, hash: &TokenHash) -> Option<Arc<Verdict>> {
        let verdict = self.verdicts.get(hash)?;
        let issuer = self.config.issuers.get(verdict.issuer)?;
        match issuer.keys.for_kid(verdict.kid.as_deref()).await {
            Ok(keys) if !Arc::ptr_eq(&keys, &verdict.keys) => None,
            _ => Some(verdict),
        }
    }

    async fn verify_token(&self, text: &str, presented: &Presented<'_>) -> Result<Arc<Verdict>, Reason> {
        let jwt = token::read(text).map_err(Reason::Token)?;
        let came = token::claimed_issuer(&jwt).map_err(Reason::Token)?;
        let trusted = self.config.issuers.iter().enumerate().find(|(_, trusted)| trusted.issuer == came);
        let (index, issuer) = trusted.ok_or(Reason::Token(TokenError::Issuer { came }))?;
        let kid = jwt.kid().map_err(|error| Reason::Token(error.into()))?;
        let keys = issuer.keys.for_kid(kid.as_deref()).await;
        let keys = keys.map_err(|error| Reason::KeysUnavailable(error.0))?;
        let algorithms = self.config.token_algorithms;
        let token = token::verify(&jwt, issuer, &keys, &self.config.audience, algorithms);
        let token = Arc::new(token.map_err(unusable)?);
        let verdict = Arc::new(Verdict { token, keys, issuer: index, kid });
        self.verdicts.insert(presented.hash, Arc::clone(&verdict));
        Ok(verdict)
    }

    /// The proof, up to its signature; then, once everything else is known to be good, its record.
    async fn prove(&self, jkt: Thumbprint, presented: &Presented<'_>) -> Result<FreshProof, Reason> {
        let config = &self.config;
        let expected = Expected {
            method: presented.request.method.as_str(),
            target: presented.target,
            token: Some(BoundToken { hash: presented.hash, jkt }),
            nonce: config.nonce.as_ref(),
            policy: &config.proof,
        };
        let header = ProofHeader::of(&presented.request.headers);
        let proof = verify(header, &expected, presented.now.unix).map_err(Reason::Proof)?;
        let audience = config.audience.first().map_or("", String::as_str);
        let entry = proof.replay_entry(&config.replay_salt, audience);
        let recorded = self.record(entry, presented.now).await;
        let fresh = proof.after(recorded).map_err(|not_fresh| match not_fresh {
            NotFresh::Replayed(refusal) => Reason::Proof(refusal),
            NotFresh::Unavailable => Reason::ReplayLogUnavailable,
        })?;
        config.metrics.dated(fresh.iat(), presented.now.unix);
        Ok(fresh)
    }

    /// A log in this process's memory is quicker than two looks at the clock: it is not timed.
    async fn record(&self, entry: ReplayEntry, now: Now) -> Recorded {
        let GuardConfig { replay, metrics, clock, .. } = &self.config;
        if matches!(replay, ReplayLog::Memory(_)) {
            return replay.record(entry, now).await;
        }
        let begun = clock.now().monotonic;
        let recorded = replay.record(entry, now).await;
        metrics.recorded(clock.now().monotonic.saturating_sub(begun));
        recorded
    }

    fn reject(&self, reason: Reason, scheme: Option<Scheme>, now: Now) -> Rejection {
        let challenges = challenges::of(&self.config, &reason, scheme);
        let challenged = challenges.iter().any(|challenge| challenge.is("DPoP"));
        let keys = self.config.nonce.as_ref().filter(|_| challenged);
        Rejection::new(reason, challenges, keys.map(|keys| keys.issue(now.unix)))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.config).finish()
    }
}

/// A binding that cannot be relied on is told by itself (DPOP-CNF-05).
fn unusable(error: TokenError) -> Reason {
    match error {
        TokenError::Claims(AccessTokenError::Confirmation(because)) => Reason::Unusable(because),
        error => Reason::Token(error),
    }
}

/// One event for each refusal: what was broken and what came, escaped; never a token, a proof or a nonce.
fn audit(rejection: &Rejection, request: &Parts) {
    let reason = rejection.reason();
    let path: String = request.uri.path().chars().take(200).flat_map(char::escape_default).collect();
    tracing::warn!(
        target: "audit",
        event = reason.event(),
        row = reason.row(),
        status = rejection.status().as_u16(),
        method = %request.method.as_str().escape_default(),
        path,
        why = reason.for_log(),
        "access refused"
    );
}
