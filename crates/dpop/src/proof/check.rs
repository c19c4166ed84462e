//! Checking a proof (RFC 9449 §4.3): from header to [`VerifiedProof`] to [`FreshProof`].

use super::error::Refusal;
use super::parse::{UnverifiedProof, decode};
use super::rules::{self, Question, STEPS};
use crate::header::ProofHeader;
use crate::jose::algorithm::{Algorithm, AlgorithmSet};
use crate::jose::known_key::KnownKey;
use crate::jose::thumbprint::Thumbprint;
use crate::nonce::NonceKeys;
use crate::replay::{Recorded, ReplayEntry, ReplaySalt};
use crate::target::Target;
use crate::time::UnixTime;
use crate::token_hash::TokenHash;

/// What a server takes, whatever the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The accepted algorithms.
    pub algorithms: AlgorithmSet,
    /// Without nonces: how old `iat` may be, in seconds (DPOP-IAT-02).
    pub past_window_secs: u64,
    /// Without nonces: how far ahead `iat` may be, in seconds (DPOP-IAT-03).
    pub future_window_secs: u64,
    /// How long the header may be, in octets (DPOP-HDR-10).
    pub max_header_len: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            algorithms: AlgorithmSet::default(),
            past_window_secs: 300,
            future_window_secs: 30,
            max_header_len: 8 * 1024,
        }
    }
}

/// What this request demands of its proof.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The method of the request, as it came.
    pub method: &'a str,
    /// The URI of the request, from configuration.
    pub target: &'a Target,
    /// At a resource, the token beside the proof; `None` at an authorization server.
    pub token: Option<BoundToken>,
    /// The keys of the nonces to ask for; `None` where no nonce is asked for.
    pub nonce: Option<&'a NonceKeys>,
    /// What the server takes.
    pub policy: &'a Policy,
}

/// An access token that is bound to a key: both must be the proof's (RFC 9449 §4.3 item 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundToken {
    /// The hash of the token as it came in `Authorization`.
    pub hash: TokenHash,
    /// `cnf.jkt` of the token.
    pub jkt: Thumbprint,
}

/// How the nonce of a proof was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceUse {
    /// None was asked for.
    NotAsked,
    /// It is good.
    Accepted {
        /// Whether it is of the current step; where not, the answer should bring a new one.
        current: bool,
        /// When it stops being good.
        until: UnixTime,
    },
}

/// A proof that passed every check but the record of its `jti`. Only [`verify`] makes one.
///
/// ```compile_fail
/// # use keybound_dpop::proof::check::VerifiedProof;
/// let forged = VerifiedProof { jti: String::new() };
/// ```
#[derive(Clone, Debug)]
pub struct VerifiedProof {
    jkt: Thumbprint,
    jti: String,
    iat: UnixTime,
    algorithm: Algorithm,
    nonce: NonceUse,
    target: Target,
    from: Option<UnixTime>,
    until: UnixTime,
}

/// A proof that passed every check and was not used before. Only this can bind or spend a token.
#[derive(Clone, Debug)]
pub struct FreshProof(VerifiedProof);

/// Why a verified proof is not a fresh one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFresh {
    /// It was used before.
    Replayed(Refusal),
    /// The log is full or out of reach: 503, with `Retry-After`.
    Unavailable,
}

/// Checks the proof of a request (RFC 9449 §4.3), to the first failure: cheap checks first, the signature last. Records
/// nothing: that is what [`VerifiedProof::replay_entry`] and [`VerifiedProof::after`] are for.
///
/// # Errors
/// The [`Refusal`] of the first check that failed.
pub fn verify(
    header: ProofHeader<'_>,
    expected: &Expected<'_>,
    now: UnixTime,
) -> Result<VerifiedProof, Refusal> {
    let decoded = decode(header, expected.policy.max_header_len)?;
    judge(&UnverifiedProof::read(&decoded)?, expected, now)
}

/// The same, and nothing less, for proofs that come with one token or from one client again and again: what `known` remembers
/// of their key need not be found out anew. A key that was shown with a good proof is remembered there.
///
/// # Errors
/// The [`Refusal`] of the first check that failed.
pub fn verify_by(
    header: ProofHeader<'_>,
    expected: &Expected<'_>,
    known: &KnownKey,
    now: UnixTime,
) -> Result<VerifiedProof, Refusal> {
    let decoded = decode(header, expected.policy.max_header_len)?;
    let proof = UnverifiedProof::read(&decoded)?.by(known);
    let verified = judge(&proof, expected, now)?;
    if let (None, Ok(key)) = (proof.known, &proof.key) {
        known.remember(key, verified.jkt);
    }
    Ok(verified)
}

fn judge(
    proof: &UnverifiedProof<'_>,
    expected: &Expected<'_>,
    now: UnixTime,
) -> Result<VerifiedProof, Refusal> {
    let question = Question {
        method: Some(expected.method),
        target: Some(expected.target),
        hash: expected.token.map(|token| token.hash),
        jkt: expected.token.map(|token| token.jkt),
        nonce: expected.nonce,
        time: Some(now),
        policy: expected.policy,
    };
    for step in &STEPS {
        (step.run)(proof, &question)?;
    }
    let iat = rules::issued_at(proof)?;
    let nonce = rules::nonce_use(proof, expected.nonce, now)?;
    let (from, until) = match nonce {
        NonceUse::Accepted { until, .. } => (None, until),
        NonceUse::NotAsked => (
            Some(iat.minus_secs(expected.policy.future_window_secs)),
            iat.plus_secs(expected.policy.past_window_secs.saturating_add(1)),
        ),
    };
    Ok(VerifiedProof {
        jkt: rules::thumbprint(proof)?,
        jti: proof.claim("jti")?.unwrap_or_default().to_owned(),
        iat,
        algorithm: rules::algorithm(proof, expected.policy)?,
        nonce,
        target: expected.target.clone(),
        from,
        until,
    })
}

impl VerifiedProof {
    /// What to record so that the proof is good once. `audience` is the issuer or the resource identifier.
    #[must_use]
    pub fn replay_entry(&self, salt: &ReplaySalt, audience: &str) -> ReplayEntry {
        let key = salt.proof_key(audience, &self.jkt, &self.target, &self.jti);
        ReplayEntry { key, from: self.from, until: self.until }
    }

    /// The proof after its [`ReplayEntry`] was given to a log.
    ///
    /// # Errors
    /// [`NotFresh`] where the log had it, or could not say.
    pub fn after(self, recorded: Recorded) -> Result<FreshProof, NotFresh> {
        match recorded {
            Recorded::Fresh => Ok(FreshProof(self)),
            Recorded::Replayed => Err(NotFresh::Replayed(Refusal::replayed())),
            Recorded::BeforeStart => Err(NotFresh::Replayed(Refusal::before_start())),
            Recorded::Unavailable => Err(NotFresh::Unavailable),
        }
    }

    /// The thumbprint of the proof's key.
    #[must_use]
    pub const fn jkt(&self) -> &Thumbprint {
        &self.jkt
    }

    /// How the nonce was judged.
    #[must_use]
    pub const fn nonce(&self) -> NonceUse {
        self.nonce
    }
}

impl FreshProof {
    /// The thumbprint of the proof's key, which a token can be bound to.
    #[must_use]
    pub const fn jkt(&self) -> &Thumbprint {
        &self.0.jkt
    }

    /// The proof's `jti`.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.0.jti
    }

    /// When the client says that it made the proof: `iat`, to the millisecond.
    #[must_use]
    pub const fn iat(&self) -> UnixTime {
        self.0.iat
    }

    /// The algorithm that the proof is signed with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// How the nonce was judged.
    #[must_use]
    pub const fn nonce(&self) -> NonceUse {
        self.0.nonce
    }

    /// Whether the answer should bring a new nonce (RFC 9449 §8.2): one was asked for, and what came is not of the
    /// current step.
    #[must_use]
    pub const fn wants_new_nonce(&self) -> bool {
        matches!(self.0.nonce, NonceUse::Accepted { current: false, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::base64url;
    use crate::jose::signer::{Signer, SigningKey};
    use crate::nonce::STEP_SECS;
    use crate::proof::create::NewProof;
    use crate::proof::error::Check;
    use crate::replay::MemoryLog;
    use crate::time::Now;
    use std::time::Duration;

    const T: UnixTime = UnixTime::from_secs(1_800_000_000);
    const HTU: &str = "https://server.example/token";

    /// A proof made at `T` with the nonce of that moment, judged `later` seconds after.
    fn fresh(key: &SigningKey, with_nonce: bool, later: u64) -> FreshProof {
        let keys = NonceKeys::new([7; 32], "server", None);
        let (nonce, target, policy) =
            (keys.issue(T), Target::parse(HTU).expect("a target"), Policy::default());
        let nonce_sent = with_nonce.then_some(&nonce);
        let new =
            NewProof { method: "POST", htu: HTU, token: None, nonce: nonce_sent, entropy: [9; 16], iat: T };
        let proof = new.sign(key).expect("signed");
        let nonce = with_nonce.then_some(&keys);
        let expected = Expected { method: "POST", target: &target, token: None, nonce, policy: &policy };
        let now = T.plus_secs(later);
        let verified = verify(ProofHeader::One(proof.as_bytes()), &expected, now).expect("verified");
        let log = MemoryLog::new(1, Now { unix: T.minus_secs(900), monotonic: Duration::ZERO });
        let now = Now { unix: now, monotonic: Duration::from_secs(900 + later) };
        let entry = verified.replay_entry(&ReplaySalt::new([1; 32]), "server");
        verified.after(log.record(entry, now)).expect("fresh")
    }

    #[test]
    fn a_fresh_proof_tells_what_was_verified() {
        let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
        let proof = fresh(&key, false, 10);
        assert_eq!(proof.jkt(), &key.public_jwk().thumbprint());
        assert_eq!(proof.jti(), base64url::encode(&[9; 16]));
        assert_eq!(
            (proof.iat(), proof.algorithm(), proof.nonce()),
            (T, Algorithm::EdDsa, NonceUse::NotAsked)
        );
    }

    #[test]
    fn dpop_sig_01_a_key_that_is_known_vouches_for_no_proof() {
        let [key, other] =
            [Algorithm::Es256, Algorithm::EdDsa].map(|one| SigningKey::generate(one).expect("a key"));
        let (target, policy, hash) =
            (Target::parse(HTU).expect("a target"), Policy::default(), TokenHash::of("token"));
        let known = KnownKey::default();
        let judge = |proof: &str, key: &SigningKey| {
            let token = Some(BoundToken { hash, jkt: key.public_jwk().thumbprint() });
            let expected = Expected { method: "POST", target: &target, token, nonce: None, policy: &policy };
            verify_by(ProofHeader::One(proof.as_bytes()), &expected, &known, T)
        };
        let prove = |key: &SigningKey, nth| {
            let token = Some(hash);
            let new = NewProof { method: "POST", htu: HTU, token, nonce: None, entropy: [nth; 16], iat: T };
            new.sign(key).expect("signed")
        };
        let proofs: Vec<String> = (0..4).map(|nth| prove(&key, nth)).collect();
        for proof in &proofs {
            assert_eq!(judge(proof, &key).expect("verified").jkt, key.public_jwk().thumbprint());
        }
        assert!(known.of(key.public_jwk()).is_some() && known.of(other.public_jwk()).is_none());
        let [(one, _), (_, signature)] =
            [&proofs[0], &proofs[1]].map(|proof| proof.rsplit_once('.').expect("three parts"));
        for (forged, owner, check) in [
            (format!("{one}.{signature}"), &key, Check::Signature),
            (format!("{one}.AAAA"), &key, Check::SignatureLength),
            (prove(&other, 9), &key, Check::KeyBinding),
            (proofs[0].clone(), &other, Check::KeyBinding),
        ] {
            assert_eq!(judge(&forged, owner).expect_err("refused").check(), check, "{forged}");
        }
        assert!(judge(&prove(&other, 9), &other).is_ok(), "a key that is not known is read");
    }

    #[test]
    fn as_non_08_a_new_nonce_is_wanted_once_the_step_has_changed() {
        let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
        assert!(!fresh(&key, false, 0).wants_new_nonce());
        assert!(!fresh(&key, true, 0).wants_new_nonce());
        assert!(fresh(&key, true, STEP_SECS).wants_new_nonce());
    }
}
