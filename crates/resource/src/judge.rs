//! The steps of a judgement, in their order: credentials, token, binding, proof, record, authentication, scope.

use crate::access::Access;
use crate::config::{DpopUse, TokenProfile};
use crate::credentials::{self, Credentials, Scheme};
use crate::demand::{Demand, WithoutReplayLog};
use crate::denied::TokenId;
use crate::guard::{Guard, LookedUp, Verdict, escaped};
use crate::introspection::About;
use crate::rejection::Reason;
use crate::token::{self, Token, TokenError};
use http::request::Parts;
use keybound_dpop::confirmation::Confirmation;
use keybound_dpop::header::ProofHeader;
use keybound_dpop::jose::known_key::KnownKey;
use keybound_dpop::nonce::NonceKeys;
use keybound_dpop::proof::check::{
    BoundToken, Expected, FreshProof, NonceUse, NotFresh, VerifiedProof, verify, verify_by,
};
use keybound_dpop::proof::error::Refusal;
use keybound_dpop::replay::{Recorded, ReplayEntry};
use keybound_dpop::secret::Secret;
use keybound_dpop::target::Target;
use keybound_dpop::time::Now;
use keybound_dpop::token_hash::TokenHash;
use keybound_oauth::access_token::AccessTokenError;
use std::future::Future;
use std::sync::Arc;

/// One request, and what is asked of it.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) request: &'a Parts,
    /// A body that was read already.
    pub(crate) form: Option<&'a [u8]>,
    pub(crate) target: &'a Target,
    pub(crate) demand: &'a Demand,
    /// The keys of the nonces to ask for.
    pub(crate) nonces: Option<&'a NonceKeys>,
    pub(crate) now: Now,
}

/// What was found out about a request, up to the first failure.
pub(crate) struct Judged {
    pub(crate) scheme: Option<Scheme>,
    /// The token, where it is good, whatever became of the rest.
    pub(crate) token: Option<Arc<Token>>,
    pub(crate) verdict: Result<Access, Reason>,
}

impl Guard {
    pub(crate) async fn judge<F: Future<Output = LookedUp>>(
        &self,
        question: Question<'_>,
        look_up: Option<impl FnOnce(Secret) -> F>,
    ) -> Judged {
        let request = question.request;
        let failed = |scheme, reason| Judged { scheme, token: None, verdict: Err(reason) };
        let credentials = match credentials::read(&request.headers, request.uri.query(), question.form) {
            Err(unreadable) => return failed(unreadable.scheme, unreadable.reason),
            Ok(None) => return failed(None, Reason::NoCredentials),
            Ok(Some(credentials)) => credentials,
        };
        let scheme = Some(credentials.scheme);
        let hash = TokenHash::of(credentials.token);
        if self.denied.contains(credentials.token) {
            return failed(scheme, Reason::Token(TokenError::Revoked));
        }
        let audience = self.config().audience_of(question.demand);
        let is_guards = question.demand.audience.is_none();
        let about = About { text: credentials.token, hash, audience, is_guards, now: question.now };
        let token = match look_up {
            Some(look_up) if !token::is_jwt(credentials.token) => {
                self.known_token(look_up(Secret::new(credentials.token)).await)
            }
            _ => self.token(about).await,
        };
        let token = match token {
            Ok(token) => match self.check_token(&token, about).await {
                Ok(()) => token,
                Err(reason) => return failed(scheme, reason),
            },
            Err(reason) => return failed(scheme, reason),
        };
        let verdict = self.bind(&token, &credentials, &question, hash).await;
        let verdict = verdict.and_then(|access| enough(access, &question));
        Judged { scheme, token: Some(token), verdict }
    }

    /// What may be otherwise with each use of a token that its issuer vouches for.
    async fn check_token(&self, token: &Token, about: About<'_>) -> Result<(), Reason> {
        token.check_audience(about.audience, about.is_guards).map_err(Reason::Token)?;
        token.check_time(about.now.unix).map_err(|error| {
            self.verdicts.remove(&about.hash);
            Reason::Token(error)
        })?;
        match self.config().issuers.iter().find(|trusted| trusted.issuer == token.claims.iss) {
            Some(issuer) => issuer.introspection.confirm(about, token).await,
            None => Ok(()),
        }
    }

    /// The token decides what has to be proven, never the scheme that the caller chose (RS-DWN-02).
    async fn bind(
        &self,
        token: &Arc<Token>,
        credentials: &Credentials<'_>,
        question: &Question<'_>,
        hash: TokenHash,
    ) -> Result<Access, Reason> {
        match (token.claims.confirmation, credentials.scheme) {
            (Confirmation::Unusable(because), _) => Err(Reason::Unusable(because)),
            (Confirmation::Jkt(_), Scheme::Bearer) => Err(Reason::Downgrade),
            (Confirmation::None, Scheme::Dpop) => Err(Reason::Unbound),
            (Confirmation::None, Scheme::Bearer) if question.demand.dpop == DpopUse::Required => {
                Err(Reason::BearerRefused)
            }
            (Confirmation::None, Scheme::Bearer) => {
                if !ProofHeader::of(&question.request.headers).is_absent() {
                    tracing::info!(target: "audit", event = "stray_proof", row = "RS-SCH-08", "proof not looked at");
                }
                Ok(Access::of_bearer(Arc::clone(token), hash, question.nonces.is_some()))
            }
            (Confirmation::Jkt(jkt), Scheme::Dpop) => {
                let proof = self.prove(BoundToken { hash, jkt }, &token.key, question).await?;
                Ok(Access::of_proof(Arc::clone(token), hash, &proof))
            }
        }
    }

    /// The proof, up to its signature; then, once everything else is known to be good, its record.
    async fn prove(
        &self,
        bound: BoundToken,
        known: &KnownKey,
        question: &Question<'_>,
    ) -> Result<FreshProof, Reason> {
        let expected = Expected {
            method: question.request.method.as_str(),
            target: question.target,
            token: Some(bound),
            nonce: question.nonces,
            policy: &self.config().proof,
        };
        let header = ProofHeader::of(&question.request.headers);
        let proof = verify_by(header, &expected, known, question.now.unix).map_err(Reason::Proof)?;
        let (config, now, without) = (self.config(), question.now, question.demand.without_replay_log);
        let fresh = match (config.record(self.entry(&proof), now, without).await, without) {
            (Recorded::Unavailable, WithoutReplayLog::Nonce) if config.replay.is_shared() => {
                self.record_meanwhile(&expected, proof, question)
            }
            (recorded, _) => proof.after(recorded).map_err(not_fresh),
        }?;
        self.config().metrics.dated(fresh.iat(), now.unix);
        Ok(fresh)
    }

    /// While the log is away, a proof needs a nonce of the current step, and counts once at this node (RS-GW-09,
    /// OPS-REP-06).
    fn record_meanwhile(
        &self,
        expected: &Expected<'_>,
        mut proof: VerifiedProof,
        question: &Question<'_>,
    ) -> Result<FreshProof, Reason> {
        let (request, now) = (question.request, question.now);
        // Where no nonce is asked for once the log is back, the proof can come again for as long as its `iat` allows.
        let until = self.entry(&proof).until;
        if expected.nonce.is_none() {
            let expected = Expected { nonce: Some(&self.nonces), ..*expected };
            let header = ProofHeader::of(&request.headers);
            proof = verify(header, &expected, now.unix).map_err(Reason::Proof)?;
        }
        if !matches!(proof.nonce(), NonceUse::Accepted { current: true, .. }) {
            return Err(Reason::Proof(Refusal::nonce_not_current()));
        }
        let entry = self.entry(&proof);
        let entry = ReplayEntry { until: entry.until.max(until), ..entry };
        let recorded = self.config().replay.record_meanwhile(entry, now);
        let fresh = proof.after(recorded).map_err(not_fresh)?;
        self.config().metrics.degraded();
        let path = escaped(request.uri.path());
        let event = "proof_without_replay_log";
        tracing::warn!(target: "audit", event, row = "RS-GW-09", path, "taken with a nonce, recorded at this node alone");
        Ok(fresh)
    }

    fn entry(&self, proof: &VerifiedProof) -> ReplayEntry {
        let config = self.config();
        let audience = config.audience.first().map_or("", String::as_str);
        proof.replay_entry(&config.replay_salt, audience)
    }

    /// A token whose claims were looked up. Not remembered, so that its end is seen at once.
    fn known_token(&self, looked_up: LookedUp) -> Result<Arc<Token>, Reason> {
        let claims = looked_up.map_err(Reason::TokensUnavailable)?;
        let claims = claims.ok_or(Reason::Token(TokenError::Unknown))?;
        let token = token::believe(&claims, TokenProfile::Rfc9068).map_err(unusable)?;
        let came = &token.claims.iss;
        if !self.config().issuers.iter().any(|trusted| trusted.issuer == *came) {
            return Err(Reason::Token(TokenError::Issuer { came: came.clone() }));
        }
        Ok(Arc::new(token))
    }

    /// A JWT is judged by the keys of the issuer that it names; any other token by the issuer that is asked about such.
    async fn token(&self, about: About<'_>) -> Result<Arc<Token>, Reason> {
        if let Some(issuer) =
            self.config().issuers.iter().find(|one| one.introspection.is_asked_about(about.text))
            && !token::is_jwt(about.text)
        {
            token::check_length(about.text).map_err(Reason::Token)?;
            return issuer.introspection.opaque(about).await;
        }
        let remembered = self.remembered(&about.hash).await;
        self.config().metrics.token_judged(remembered.is_some());
        let verdict = match remembered {
            Some(verdict) => verdict,
            None => Box::pin(self.verify_token(about.text, about.hash)).await?,
        };
        Ok(Arc::clone(&verdict.token))
    }

    /// A verdict holds while the issuer has the keys under which it was reached, or cannot be asked for them.
    async fn remembered(&self, hash: &TokenHash) -> Option<Arc<Verdict>> {
        let verdict = self.verdicts.get(hash)?;
        let issuer = self.config().issuers.get(verdict.issuer)?;
        match issuer.keys.for_kid(verdict.kid.as_deref()).await {
            Ok(keys) if !Arc::ptr_eq(&keys, &verdict.keys) => None,
            _ => Some(verdict),
        }
    }

    async fn verify_token(&self, text: &str, hash: TokenHash) -> Result<Arc<Verdict>, Reason> {
        let jwt = token::read(text).map_err(Reason::Token)?;
        let came = token::claimed_issuer(&jwt).map_err(Reason::Token)?;
        let trusted = self.config().issuers.iter().enumerate().find(|(_, trusted)| trusted.issuer == came);
        let (index, issuer) = trusted.ok_or(Reason::Token(TokenError::Issuer { came }))?;
        let kid = jwt.kid().map_err(|error| Reason::Token(error.into()))?;
        let keys = issuer.keys.for_kid(kid.as_deref()).await;
        let keys = keys.map_err(|error| Reason::KeysUnavailable(error.0))?;
        let token = token::verify(&jwt, issuer, &keys, self.config().token_algorithms);
        let token = Arc::new(token.map_err(unusable)?.known_by(TokenId::of(text)));
        let verdict = Arc::new(Verdict { token, keys, issuer: index, kid });
        self.verdicts.insert(hash, Arc::clone(&verdict));
        Ok(verdict)
    }
}

/// Whether the user signed in as is asked, and the token reaches far enough. In that order: the challenge for a better
/// sign-in names the scope as well, so that the client asks for both at once.
fn enough(access: Access, question: &Question<'_>) -> Result<Access, Reason> {
    let demand = question.demand;
    let authentication = demand.authentication.as_ref();
    if let Some(missed) = authentication.filter(|asked| !asked.is_met_by(access.token(), question.now.unix)) {
        return Err(Reason::Authentication(missed.clone()));
    }
    if demand.scope.is_subset_of(access.scope()) {
        return Ok(access);
    }
    Err(Reason::Scope(demand.scope.clone()))
}

fn not_fresh(not_fresh: NotFresh) -> Reason {
    match not_fresh {
        NotFresh::Replayed(refusal) => Reason::Proof(refusal),
        NotFresh::Unavailable => Reason::ReplayLogUnavailable,
    }
}

/// A binding that cannot be relied on is told by itself (DPOP-CNF-05).
fn unusable(error: TokenError) -> Reason {
    match error {
        TokenError::Claims(AccessTokenError::Confirmation(because)) => Reason::Unusable(because),
        error => Reason::Token(error),
    }
}
