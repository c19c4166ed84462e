//! A proof under glass: every rule with its verdict, for a terminal, a page or a program. The same rules as
//! [`super::check::verify`] runs, none left out.

use super::check::Policy;
use super::error::{Check, Refusal};
use super::parse::{UnverifiedProof, decode};
use super::rules::{Held, Question, STEPS};
use crate::header::ProofHeader;
use crate::jose::thumbprint::Thumbprint;
use crate::nonce::NonceKeys;
use crate::target::Target;
use crate::time::UnixTime;
use crate::token_hash::TokenHash;

/// What to hold the proof against; what is left out is not asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Against<'a> {
    /// The method of the request.
    pub method: Option<&'a str>,
    /// The URI of the request.
    pub target: Option<&'a Target>,
    /// The access token beside it.
    pub token: Option<TokenHash>,
    /// The key that the token is bound to.
    pub jkt: Option<Thumbprint>,
    /// The server's nonces.
    pub nonce: Option<&'a NonceKeys>,
    /// The time at which the proof is judged.
    pub time: Option<UnixTime>,
}

/// What one rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not.
    Fails(Refusal),
    /// There was nothing to hold the proof against.
    NotAsked,
    /// The proof could not be read that far.
    NotReached,
}

/// One line of the report.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What the rule is about: `typ`, `htu`, `signature`, …
    pub name: &'static str,
    /// The check, which names row and item. Where a rule fails, the check that failed.
    pub check: Check,
    /// What was found.
    pub verdict: Verdict,
}

/// The whole report.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Every rule, in the order in which a server runs them.
    pub findings: Vec<Finding>,
    /// The header as JSON text, where it could be decoded. A private member makes it absent.
    pub header: Option<String>,
    /// The claims as JSON text, where they could be decoded.
    pub claims: Option<String>,
    /// The thumbprint of the key, where there is one.
    pub jkt: Option<Thumbprint>,
}

impl Inspection {
    /// Whether no rule failed.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| !matches!(finding.verdict, Verdict::Fails(_) | Verdict::NotReached))
    }
}

/// Runs every rule of RFC 9449 §4.3, whatever the others say. Records nothing, and does not know whether the proof was
/// used.
#[must_use]
pub fn inspect(header: ProofHeader<'_>, against: &Against<'_>, policy: &Policy) -> Inspection {
    const OUTER: &str = "one compact JWS";
    const INNER: &str = "JSON with distinct names";
    let decoded = match decode(header, policy.max_header_len) {
        Ok(decoded) => decoded,
        Err(refusal) => {
            let mut findings = vec![failed(OUTER, refusal), unreached(INNER, Check::Json)];
            findings.extend(STEPS.iter().map(|step| unreached(step.name, step.check)));
            return Inspection { findings, header: None, claims: None, jkt: None };
        }
    };
    let mut findings = vec![held(OUTER, Check::Segments)];
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let claims = text(decoded.payload());
    let proof = match UnverifiedProof::read(&decoded) {
        Ok(proof) => proof,
        Err(refusal) => {
            findings.push(failed(INNER, refusal));
            findings.extend(STEPS.iter().map(|step| unreached(step.name, step.check)));
            return Inspection { findings, header: None, claims, jkt: None };
        }
    };
    findings.push(held(INNER, Check::Json));
    let question = Question {
        method: against.method,
        target: against.target,
        hash: against.token,
        jkt: against.jkt,
        nonce: against.nonce,
        time: against.time,
        policy,
    };
    findings.extend(STEPS.iter().map(|step| match (step.run)(&proof, &question) {
        Ok(Held::Yes) => held(step.name, step.check),
        Ok(Held::NotAsked) => Finding { name: step.name, check: step.check, verdict: Verdict::NotAsked },
        Err(refusal) => failed(step.name, refusal),
    }));
    let holds_secret =
        matches!(&proof.key, Err(r) if matches!(r.check(), Check::JwkPrivate | Check::JwkSymmetric));
    let header = if holds_secret { None } else { text(decoded.header()) };
    let jkt = proof.key.as_ref().ok().map(|key| key.thumbprint());
    Inspection { findings, header, claims, jkt }
}

fn held(name: &'static str, check: Check) -> Finding {
    Finding { name, check, verdict: Verdict::Holds }
}

fn failed(name: &'static str, refusal: Refusal) -> Finding {
    Finding { name, check: refusal.check(), verdict: Verdict::Fails(refusal) }
}

fn unreached(name: &'static str, check: Check) -> Finding {
    Finding { name, check, verdict: Verdict::NotReached }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::algorithm::Algorithm;
    use crate::jose::signer::SigningKey;
    use crate::proof::create::NewProof;

    #[test]
    fn a_report_holds_where_no_rule_fails_and_all_were_reached() {
        let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
        let iat = UnixTime::from_secs(1_800_000_000);
        let new =
            NewProof { method: "GET", htu: "https://h/", token: None, nonce: None, entropy: [1; 16], iat };
        let proof = new.sign(&key).expect("signed");
        let look = |text: &str, against: &Against<'_>| {
            inspect(ProofHeader::One(text.as_bytes()), against, &Policy::default())
        };
        let report = look(&proof, &Against::default());
        assert!(report.holds() && report.jkt.is_some() && report.header.is_some() && report.claims.is_some());
        assert!(!look(&proof, &Against { method: Some("POST"), ..Against::default() }).holds());

        let dots = look("a.b", &Against::default());
        assert!(!dots.holds() && dots.findings.len() == report.findings.len());
        let Verdict::Fails(refusal) = &dots.findings[0].verdict else { panic!("{dots:?}") };
        assert!(refusal.for_log().ends_with("came 1 dots in 3 octets"), "{}", refusal.for_log());
    }
}
