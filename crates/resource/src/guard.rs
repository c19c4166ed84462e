//! The judgement of one request.

use crate::access::Access;
use crate::challenges;
use crate::config::{ConfigError, GuardConfig};
use crate::credentials::Scheme;
use crate::demand::{Authentication, Demand};
use crate::denied::{Denied, TokenId};
use crate::judge::{Judged, Question};
use crate::layer::Asked;
use crate::observed::Observed;
use crate::rejection::{Reason, Rejection};
use crate::token::{Token, TokenError};
use http::header::{CACHE_CONTROL, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use keybound_dpop::header::DPOP_NONCE;
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::nonce::{Nonce, NonceKeys};
use keybound_dpop::secret::Secret;
use keybound_dpop::target::Target;
use keybound_dpop::time::{Now, UnixTime};
use keybound_dpop::token_hash::TokenHash;
use keybound_oauth::authorization_details::AuthorizationDetail;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::scope::Scope;
use quick_cache::sync::Cache;
use std::fmt;
use std::future::{Future, Ready};
use std::sync::Arc;

/// The guard of one protected resource. Share it: it remembers which tokens it has found good, never which proofs
/// (RS-CHK-08).
pub struct Guard {
    config: GuardConfig,
    demand: Demand,
    /// The configured keys, or else some for the routes that ask for nonces where the guard does not.
    pub(crate) nonces: NonceKeys,
    pub(crate) verdicts: Arc<Cache<TokenHash, Arc<Verdict>>>,
    pub(crate) denied: Arc<Denied>,
}

/// A token that was found good, and under which keys. It holds as long as these are the issuer's keys.
pub(crate) struct Verdict {
    pub(crate) token: Arc<Token>,
    pub(crate) keys: Arc<KeySet>,
    pub(crate) issuer: usize,
    pub(crate) kid: Option<String>,
}

/// What is known of an opaque token: its claims where it is good; or why that cannot be found out.
pub type LookedUp = Result<Option<Vec<u8>>, String>;

impl Guard {
    /// A guard.
    ///
    /// # Errors
    /// [`ConfigError`] where it would let through everybody, or nobody.
    pub fn new(config: GuardConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let nonces = match &config.nonce {
            Some(keys) => keys.clone(),
            None => {
                let audience = config.audience.first().map_or("", String::as_str);
                NonceKeys::new(config.replay_salt.nonce_secret(), format!("resource {audience}"), None)
            }
        };
        let verdicts = Arc::new(Cache::new(config.remembered_tokens));
        let denied = Arc::default();
        Ok(Self { demand: Demand::of(&config), config, nonces, verdicts, denied })
    }

    /// A guard in the place of this one, which may go on meanwhile. Tokens that were denied stay denied and nonces stay
    /// good; what is remembered of tokens stays, if their signatures are judged as before; of an issuer with other keys they are judged again.
    ///
    /// # Errors
    /// As for [`Guard::new`].
    pub fn succeeding(&self, config: GuardConfig) -> Result<Self, ConfigError> {
        let mut next = Self::new(config)?;
        next.denied = Arc::clone(&self.denied);
        if next.config.nonce.is_none() {
            next.nonces = self.nonces.clone();
        }
        if self.config.verifies_tokens_like(&next.config) {
            next.verdicts = Arc::clone(&self.verdicts);
        }
        Ok(next)
    }

    /// Judges a request by its head; its body is not read. `target` is the URI at which it arrived, from configuration
    /// (see [`PublicUrl`](crate::PublicUrl)).
    ///
    /// # Errors
    /// A [`Rejection`], which has been written to the audit log.
    pub async fn check(&self, request: &Parts, target: &Target) -> Result<Access, Rejection> {
        self.check_for(request, target, &self.demand).await
    }

    /// The same for a route that asks for more than the guard does, or for less: start from [`Guard::demand`].
    ///
    /// # Errors
    /// A [`Rejection`], which has been written to the audit log.
    pub async fn check_for(
        &self,
        request: &Parts,
        target: &Target,
        demand: &Demand,
    ) -> Result<Access, Rejection> {
        let question = self.question(request, target, demand);
        self.decide(question, nobody()).await
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
        let question = Question { form, ..self.question(request, target, &self.demand) };
        self.decide(question, nobody()).await
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
        let question = self.question(request, target, &self.demand);
        self.decide(question, Some(look_up)).await
    }

    /// Judges a request as [`Guard::check_for`] would, its proof's record included, and lets nobody in: for an operator
    /// who wants to know who would pass before anybody is turned away. Nothing is told to the caller, so that no proof
    /// can carry a nonce of ours: nonces are not looked at, and `iat` is judged as where none is asked for.
    ///
    /// What would have been refused is written to the audit log as `would_be_refused`.
    pub async fn observe(&self, request: &Parts, target: &Target, demand: &Demand) -> Observed {
        let question = Question { nonces: None, ..self.question(request, target, demand) };
        let Judged { scheme, token, verdict } = self.judge(question, nobody()).await;
        let observed = Observed::new(scheme, token, verdict.err());
        if let Some(reason) = observed.reason() {
            let (row, why, client) = (reason.row(), reason.for_log(), observed.client_id().map(escaped));
            let cause = reason.event();
            tracing::info!(target: "audit", event = "would_be_refused", cause, row, client, why, "observed");
        }
        observed
    }

    /// Asks for a scope on top of a good token (RFC 6750 §3.1).
    ///
    /// # Errors
    /// A [`Rejection`] with `insufficient_scope`, which has been written to the audit log.
    pub fn require_scope(&self, access: &Access, needed: &Scope, request: &Parts) -> Result<(), Rejection> {
        if needed.is_subset_of(access.scope()) {
            return Ok(());
        }
        Err(self.refuse(Reason::Scope(needed.clone()), Some(access), request))
    }

    /// Asks for a better or a later sign-in on top of a good token (RFC 9470 §3): where what is at stake shows only in the
    /// handler.
    ///
    /// # Errors
    /// A [`Rejection`] with `insufficient_user_authentication`, which has been written to the audit log.
    pub fn require_authentication(
        &self,
        access: &Access,
        needed: &Authentication,
        request: &Parts,
    ) -> Result<(), Rejection> {
        if needed.is_met_by(access.token(), self.config.clock.unix()) {
            return Ok(());
        }
        Err(self.refuse(Reason::Authentication(needed.clone()), Some(access), request))
    }

    /// Asks for an authorization in detail on top of a good token (RFC 9396 §9.1): the token must hold one of that type for
    /// which `is_enough` holds.
    ///
    /// # Errors
    /// A [`Rejection`] with `insufficient_scope`, which has been written to the audit log.
    pub fn require_detail(
        &self,
        access: &Access,
        detail_type: &str,
        is_enough: impl Fn(&AuthorizationDetail) -> bool,
        request: &Parts,
    ) -> Result<(), Rejection> {
        let details = access.authorization_details();
        if details.iter().any(|detail| detail.detail_type() == detail_type && is_enough(detail)) {
            return Ok(());
        }
        Err(self.refuse(Reason::Detail(detail_type.to_owned()), Some(access), request))
    }

    /// The refusal of a token that the service itself knows to be revoked (RS-CHK-04). It has been written to the audit
    /// log.
    #[must_use]
    pub fn refuse_revoked(&self, access: &Access, request: &Parts) -> Rejection {
        self.refuse(Reason::Token(TokenError::Revoked), Some(access), request)
    }

    /// Cuts a token off ([`Access::token_id`], or [`TokenId::of`] its text): from now on this guard refuses it, until
    /// `until`, which is its `exp` ([`Access::expires_at`]). For a service that learns of a revocation before its issuer
    /// would tell (RS-CHK-04).
    ///
    /// Whether there was room for it: 100 000 tokens are kept, each until its end.
    pub fn deny(&self, token: TokenId, until: UnixTime) -> bool {
        self.denied.add(token, until, self.config.clock.unix())
    }

    /// Whether a signed token was found good and is remembered: then a request with it costs one signature, its proof's.
    #[must_use]
    pub fn remembers(&self, token: &TokenHash) -> bool {
        self.verdicts.get(token).is_some()
    }

    /// Forgets what is known of a token: at its next use it is verified, and its issuer asked, anew.
    pub fn forget(&self, token: &TokenHash) {
        self.verdicts.remove(token);
        for issuer in &self.config.issuers {
            issuer.introspection.forget(token);
        }
    }

    /// The refusal of a request whose target makes no URI. It has been written to the audit log.
    #[must_use]
    pub fn refuse_target(&self, request: &Parts) -> Rejection {
        self.refuse(Reason::Target, None, request)
    }

    /// Completes the answer to a request that was let through. A nonce where one is due, and never more than one
    /// (RFC 9449 §8.2, AS-NON-04); and nothing that a shared cache would keep, unless the service said so
    /// (RFC 9111 §3.5, OPS-CACHE-02, OPS-CACHE-03).
    pub fn complete(&self, access: &Access, headers: &mut HeaderMap) {
        let of_service = headers.remove(DPOP_NONCE).filter(|_| !access.was_asked_for_nonce());
        let ours = access.wants_new_nonce().then(|| self.nonces.issue(self.config.clock.unix()));
        let ours = ours.and_then(|nonce| HeaderValue::try_from(nonce.as_str()).ok());
        if let Some(only) = ours.or(of_service) {
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
        self.config.nonce.as_ref().map(|keys| keys.issue(self.config.clock.unix()))
    }

    /// What the guard asks of a request where its route asks for nothing else.
    #[must_use]
    pub const fn demand(&self) -> &Demand {
        &self.demand
    }

    /// What the guard was told.
    #[must_use]
    pub const fn config(&self) -> &GuardConfig {
        &self.config
    }

    fn question<'a>(&'a self, request: &'a Parts, target: &'a Target, demand: &'a Demand) -> Question<'a> {
        let nonces = demand.nonces.then_some(&self.nonces);
        Question { request, form: None, target, demand, nonces, now: self.config.clock.now() }
    }

    async fn decide<F: Future<Output = LookedUp>>(
        &self,
        question: Question<'_>,
        look_up: Option<impl FnOnce(Secret) -> F>,
    ) -> Result<Access, Rejection> {
        let Judged { scheme, token, verdict } = self.judge(question, look_up).await;
        match &verdict {
            Ok(access) => self.config.metrics.accepted(access),
            Err(reason) => self.config.metrics.refused(reason),
        }
        verdict.map_err(|reason| {
            let rejection = self.reject(reason, scheme, question.demand, question.now);
            let rejection = rejection.for_caller(&question.request.headers);
            let client = token.as_ref().and_then(|token| token.client_id.as_deref());
            audit(&rejection, question.request, question.demand.route.as_deref(), client);
            rejection
        })
    }

    fn refuse(&self, reason: Reason, access: Option<&Access>, request: &Parts) -> Rejection {
        self.config.metrics.refused(&reason);
        let asked = request.extensions.get::<Asked>();
        let demand = asked.map_or(&self.demand, |Asked(demand)| demand);
        let scheme = access.map(scheme_of);
        let rejection = self.reject(reason, scheme, demand, self.config.clock.now());
        let rejection = rejection.for_caller(&request.headers);
        audit(&rejection, request, demand.route.as_deref(), access.and_then(Access::client_id));
        rejection
    }

    fn reject(&self, reason: Reason, scheme: Option<Scheme>, demand: &Demand, now: Now) -> Rejection {
        let challenges = challenges::of(&self.config, demand, &reason, scheme);
        let challenged = challenges.iter().any(|challenge| challenge.is("DPoP"));
        let asked = demand.nonces || reason.code() == Some(ErrorCode::UseDpopNonce);
        let nonce = (asked && challenged).then(|| self.nonces.issue(now.unix));
        Rejection::new(reason, challenges, nonce)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.config).finish()
    }
}

/// No one who looks tokens up.
fn nobody() -> Option<fn(Secret) -> Ready<LookedUp>> {
    None
}

fn scheme_of(access: &Access) -> Scheme {
    if access.jkt().is_some() { Scheme::Dpop } else { Scheme::Bearer }
}

/// One event for each refusal: what was broken and what came, escaped; never a token, a proof or a nonce. The client is
/// named where its token was good.
fn audit(rejection: &Rejection, request: &Parts, route: Option<&str>, client: Option<&str>) {
    let reason = rejection.reason();
    let path = escaped(request.uri.path());
    tracing::warn!(
        target: "audit",
        event = reason.event(),
        row = reason.row(),
        status = rejection.status().as_u16(),
        method = %request.method.as_str().escape_default(),
        route,
        path,
        client = client.map(escaped),
        why = reason.for_log(),
        "access refused"
    );
}

pub(crate) fn escaped(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_default).collect()
}
