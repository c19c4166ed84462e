//! The rules, in the order in which they run: cheap ones first, then nonce and time, the signature last (requirements
//! 0.5). The verifier stops at the first that fails; the inspector runs them all.

use super::check::{NonceUse, Policy};
use super::error::{Check, Refusal};
use super::parse::UnverifiedProof;
use crate::jose::algorithm::Algorithm;
use crate::jose::crypto;
use crate::jose::json::Value;
use crate::jose::jwk::{self, PublicJwk};
use crate::jose::thumbprint::Thumbprint;
use crate::nonce::{NonceKeys, NonceState, is_nqchar};
use crate::target::{Target, TargetError};
use crate::time::UnixTime;
use crate::token_hash::TokenHash;

/// What the proof is held against. A part that is `None` is not asked about.
pub(super) struct Question<'a> {
    pub(super) method: Option<&'a str>,
    pub(super) target: Option<&'a Target>,
    pub(super) hash: Option<TokenHash>,
    pub(super) jkt: Option<Thumbprint>,
    pub(super) nonce: Option<&'a NonceKeys>,
    pub(super) time: Option<UnixTime>,
    pub(super) policy: &'a Policy,
}

/// One rule.
pub(super) struct Step {
    pub(super) name: &'static str,
    /// The row that is shown where the rule holds.
    pub(super) check: Check,
    pub(super) run: fn(&UnverifiedProof<'_>, &Question<'_>) -> Result<Held, Refusal>,
}

/// A rule did not fail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// It was checked.
    Yes,
    /// There was nothing to hold the proof against.
    NotAsked,
}

/// `jti` longer than this is refused (DPOP-JTI-02).
const MAX_JTI_LEN: usize = 256;
/// With a nonce an authorization server still refuses an `iat` this far ahead (DPOP-IAT-04, requirements 0.5).
const IAT_CEILING_SECS: u64 = 60;

/// In the order of requirements 0.5.
pub(super) const STEPS: [Step; 15] = [
    Step { name: "no extension is critical", check: Check::Critical, run: critical },
    Step { name: "typ", check: Check::Typ, run: typ },
    Step { name: "alg", check: Check::AlgNotAccepted, run: alg },
    Step { name: "no private key", check: Check::JwkPrivate, run: jwk },
    Step { name: "alg and key fit", check: Check::AlgKey, run: alg_fits_key },
    Step { name: "jti", check: Check::JtiEmpty, run: jti },
    Step { name: "claims and their types", check: Check::WrongType, run: claims },
    Step { name: "htm", check: Check::Htm, run: htm },
    Step { name: "htu", check: Check::Htu, run: htu },
    Step { name: "ath", check: Check::Ath, run: ath },
    Step { name: "bound key", check: Check::KeyBinding, run: key_binding },
    Step { name: "nonce", check: Check::NonceUnknown, run: nonce },
    Step { name: "iat", check: Check::IatPast, run: iat },
    Step { name: "exp and nbf", check: Check::Validity, run: validity },
    Step { name: "signature", check: Check::Signature, run: signature },
];

fn critical(proof: &UnverifiedProof<'_>, _: &Question<'_>) -> Result<Held, Refusal> {
    if proof.header.has("b64") {
        return Err(Refusal::new(Check::Unencoded));
    }
    if proof.header.has("crit") {
        return Err(Refusal::new(Check::Critical));
    }
    Ok(Held::Yes)
}

fn typ(proof: &UnverifiedProof<'_>, _: &Question<'_>) -> Result<Held, Refusal> {
    match proof.header.get("typ") {
        None => Err(Refusal::new(Check::TypMissing).expected("dpop+jwt")),
        Some(Value::String(typ)) => {
            let short = match typ.split_at_checked("application/".len()) {
                Some((prefix, short)) if prefix.eq_ignore_ascii_case("application/") => short,
                _ => typ,
            };
            if short.eq_ignore_ascii_case("dpop+jwt") {
                Ok(Held::Yes)
            } else {
                Err(Refusal::new(Check::Typ).expected("dpop+jwt").came(typ))
            }
        }
        Some(_) => Err(Refusal::new(Check::Typ).expected("dpop+jwt")),
    }
}

/// The algorithm of a proof, if it is one that the policy takes.
pub(super) fn algorithm(proof: &UnverifiedProof<'_>, policy: &Policy) -> Result<Algorithm, Refusal> {
    let name = match proof.header.get("alg") {
        None => return Err(Refusal::new(Check::AlgMissing).expected(policy.algorithms.algs())),
        Some(Value::String(name)) => name,
        Some(_) => return Err(Refusal::new(Check::AlgUnknown).expected(policy.algorithms.algs())),
    };
    let check = match Algorithm::parse(name) {
        Some(algorithm) if policy.algorithms.contains(algorithm) => return Ok(algorithm),
        Some(_) => Check::AlgNotAccepted,
        None if name.eq_ignore_ascii_case("none") => Check::AlgNone,
        None if matches!(name.as_ref(), "HS256" | "HS384" | "HS512") => Check::AlgMac,
        None => Check::AlgUnknown,
    };
    Err(Refusal::new(check).expected(policy.algorithms.algs()).came(name))
}

fn alg(proof: &UnverifiedProof<'_>, question: &Question<'_>) -> Result<Held, Refusal> {
    algorithm(proof, question.policy).map(|_| Held::Yes)
}

fn public_key<'p>(proof: &'p UnverifiedProof<'_>) -> Result<&'p PublicJwk, Refusal> {
    proof.key.as_ref().map_err(Clone::clone)
}

/// The thumbprint of the proof's key.
pub(super) fn thumbprint(proof: &UnverifiedProof<'_>) -> Result<Thumbprint, Refusal> {
    let key = public_key(proof)?;
    Ok(*proof.jkt.get_or_init(|| key.thumbprint()))
}

fn jwk(proof: &UnverifiedProof<'_>, _: &Question<'_>) -> Result<Held, Refusal> {
    public_key(proof).map(|_| Held::Yes)
}

fn alg_fits_key(proof: &UnverifiedProof<'_>, question: &Question<'_>) -> Result<Held, Refusal> {
    let (algorithm, key) = (algorithm(proof, question.policy)?, public_key(proof)?);
    if !algorithm.fits(key) {
        return Err(Refusal::new(Check::AlgKey).came(&format!("{algorithm} with {}", key.describe())));
    }
    match proof.header.get("jwk") {
        Some(Value::Object(jwk)) if jwk::may_verify(jwk, algorithm) => Ok(Held::Yes),
        _ => Err(Refusal::new(Check::JwkUse)),
    }
}

/// A proof that lacks the nonce may lack the `jti` too: it gets the challenge (requirements 0.5).
fn jti(proof: &UnverifiedProof<'_>, question: &Question<'_>) -> Result<Held, Refusal> {
    match proof.claims.get("jti") {
        None if question.nonce.is_some() && !proof.claims.has("nonce") => Ok(Held::NotAsked),
        None => Err(Refusal::new(Check::MissingMember).expected("`jti`")),
        Some(Value::String(jti)) if jti.is_empty() => Err(Refusal::new(Check::JtiEmpty)),
        Some(Value::String(jti)) if jti.chars().any(char::is_control) => {
            Err(Refusal::new(Check::JtiEmpty).expected("no control characters"))
        }
        Some(Value::String(jti)) if jti.len() > MAX_JTI_LEN => {
            Err(Refusal::new(Check::JtiSize).came(&format!("{} octets", jti.len())))
        }
        Some(Value::String(_)) => Ok(Held::Yes),
        Some(_) => Err(Refusal::new(Check::JtiEmpty)),
    }
}

fn claims(proof: &UnverifiedProof<'_>, _: &Question<'_>) -> Result<Held, Refusal> {
    for name in ["htm", "htu"] {
        if proof.claim(name)?.is_none() {
            return Err(Refusal::new(Check::MissingMember).expected(format!("`{name}`")));
        }
    }
    if !proof.claims.has("iat") {
        return Err(Refusal::new(Check::MissingMember).expected("`iat`"));
    }
    issued_at(proof)?;
    proof.claim("ath")?;
    if proof.claim("nonce")?.is_some_and(|nonce| !is_nqchar(nonce)) {
        return Err(Refusal::new(Check::NonceSyntax));
    }
    Ok(Held::Yes)
}

/// `iat`, which must be a NumericDate.
pub(super) fn issued_at(proof: &UnverifiedProof<'_>) -> Result<UnixTime, Refusal> {
    match proof.claims.numeric_date("iat") {
        Ok(Some(iat)) => Ok(iat),
        Ok(None) => Err(Refusal::new(Check::MissingMember).expected("`iat`")),
        Err(wrong) => Err(Refusal::new(Check::IatForm).expected(wrong)),
    }
}

fn htm(proof: &UnverifiedProof<'_>, question: &Question<'_>) -> Result<Held, Refusal> {
    let Some(method) = question.method else { return Ok(Held::NotAsked) };
    match proof.claim("htm")? {
        Some(htm) if htm == method => Ok(Held::Yes),
        htm => Err(Refusal::new(Check::Htm).expected(method).came(htm.unwrap_or_default())),
    }
}

fn htu(proof: &UnverifiedProof<'_>, question: &Question<'_>) -> Result<Held, Refusal> {
    let claimed = proof.claim("htu")?.unwrap_or_default();
    if question.target.is_some_and(|target| target.as_str() == claimed) {
        return Ok(Held::Yes);
    }
    let htu = Target::parse(claimed).map_err(|error| match error {
        TargetError::NotAbsolute => Refusal::new(Check::HtuForm).came(claimed),
        TargetError::TooLong | TargetError::Character => Refusal::new(Check::HtuCharacters).came(claimed),
    })?;
    match question.target {
        None => Ok(Held::NotAsked),
        Some(target) if *target == htu => Ok(Held::Yes),
        Some(target) => Err(Refusal::new(Check::Htu).expected(target).came(claimed)),
    }
}

fn ath(proof: &UnverifiedProof<'_>, question: &Question<'_>) -> Result<Held, Refusal> {
    let Some(hash) = question.hash else { return Ok(Held::NotAsked) };
    match proof.claim("ath")? {
        Some(ath) if hash.is_ath(ath) => Ok(Held::Yes),
        Some(ath) => Err(Refusal::new(Check::Ath).came(ath)),
        None => Err(Refusal::new(Check::Ath).expected("`ath`").came("no `ath`")),
    }
}

fn key_binding(proof: &UnverifiedProof<'_>, question: &Question<'_>) -> Result<Held, Refusal> {
    let Some(jkt) = question.jkt else { return Ok(Held::NotAsked) };
    let shown = thumbprint(proof)?;
    if shown == jkt {
        return Ok(Held::Yes);
    }
    // Another key, or no key at all: nothing can be bound to a point beside the curve (DPOP-JWK-06).
    let check = if public_key(proof)?.is_on_curve() { Check::KeyBinding } else { Check::JwkPoint };
    Err(Refusal::new(check).came(&shown.to_string()))
}

/// What the nonce of a proof is worth to a server that asks for one.
pub(super) fn nonce_use(
    proof: &UnverifiedProof<'_>,
    keys: Option<&NonceKeys>,
    now: UnixTime,
) -> Result<NonceUse, Refusal> {
    let Some(keys) = keys else { return Ok(NonceUse::NotAsked) };
    let Some(nonce) = proof.claim("nonce")? else { return Err(Refusal::new(Check::NonceMissing)) };
    match *proof.nonce_state.get_or_init(|| keys.judge(nonce, now)) {
        NonceState::Accepted { current, until } => Ok(NonceUse::Accepted { current, until }),
        NonceState::Unknown => Err(Refusal::new(Check::NonceUnknown)),
    }
}

fn nonce(proof: &UnverifiedProof<'_>, question: &Question<'_>) -> Result<Held, Refusal> {
    let (Some(now), Some(_)) = (question.time, question.nonce) else { return Ok(Held::NotAsked) };
    nonce_use(proof, question.nonce, now).map(|_| Held::Yes)
}

fn iat(proof: &UnverifiedProof<'_>, question: &Question<'_>) -> Result<Held, Refusal> {
    let iat = issued_at(proof)?;
    let Some(now) = question.time else { return Ok(Held::NotAsked) };
    let at_resource = question.hash.is_some();
    let (past, future) = match question.nonce {
        // The nonce's step is the proof's age (RFC 9449 §4.3 item 11).
        Some(_) if at_resource => return Ok(Held::NotAsked),
        Some(_) => (None, IAT_CEILING_SECS),
        None => (Some(question.policy.past_window_secs), question.policy.future_window_secs),
    };
    let told = |check| {
        Refusal::new(check).expected(format!(
            "server time {}, your offset {} s",
            now.as_secs(),
            offset_secs(iat, now)
        ))
    };
    if iat > now.plus_secs(future) {
        return Err(told(Check::IatFuture));
    }
    if past.is_some_and(|past| iat.plus_secs(past) < now) {
        return Err(told(Check::IatPast));
    }
    Ok(Held::Yes)
}

/// How far ahead of us the caller is; negative where behind.
fn offset_secs(iat: UnixTime, now: UnixTime) -> i128 {
    i128::from(iat.as_secs()) - i128::from(now.as_secs())
}

fn validity(proof: &UnverifiedProof<'_>, question: &Question<'_>) -> Result<Held, Refusal> {
    let date = |name| {
        proof.claims.numeric_date(name).map_err(|wrong| Refusal::new(Check::WrongType).expected(wrong))
    };
    let (exp, nbf) = (date("exp")?, date("nbf")?);
    let Some(now) = question.time else { return Ok(Held::NotAsked) };
    let skew = question.policy.future_window_secs;
    let expired = exp.is_some_and(|exp| exp.plus_secs(skew) <= now);
    let early = nbf.is_some_and(|nbf| nbf > now.plus_secs(skew));
    if expired || early { Err(Refusal::new(Check::Validity)) } else { Ok(Held::Yes) }
}

fn signature(proof: &UnverifiedProof<'_>, question: &Question<'_>) -> Result<Held, Refusal> {
    let (algorithm, key) = (algorithm(proof, question.policy)?, public_key(proof)?);
    let expected_len = match algorithm {
        Algorithm::EdDsa | Algorithm::Ed25519 => Some(64),
        _ => algorithm.curve().map(|curve| 2 * curve.coordinate_len()),
    };
    if let Some(expected) = expected_len.filter(|expected| *expected != proof.signature.len()) {
        return Err(Refusal::new(Check::SignatureLength)
            .expected(format!("{expected} octets"))
            .came(&format!("{} octets", proof.signature.len())));
    }
    let verified = match proof.known {
        Some(known) => known.verify(proof.signed.as_bytes(), proof.signature),
        None => crypto::verify(algorithm, key, proof.signed.as_bytes(), proof.signature),
    };
    verified
        .map(|()| Held::Yes)
        .map_err(|_| Refusal::new(if key.is_on_curve() { Check::Signature } else { Check::JwkPoint }))
}
