//! The proof of a request to an endpoint that issues (RFC 9449 §5): checked first, recorded later.

use crate::audit::{self, Event, Facts};
use crate::authenticate::AuthenticatedClient;
use crate::extract::Call;
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use keybound_dpop::header::ProofHeader;
use keybound_dpop::proof::check::{Expected, FreshProof, NotFresh, VerifiedProof, verify_by};
use keybound_dpop::proof::error::Refusal as ProofRefusal;
use keybound_dpop::replay::Recorded;
use keybound_dpop::time::Now;
use keybound_oauth::error::ErrorCode;

/// Checks the proof, if there is one. Records nothing.
///
/// # Errors
/// `invalid_dpop_proof` or `use_dpop_nonce`; a client that must bind its tokens needs a proof (RFC 9449 §5.2).
pub fn verify(
    provider: &Provider,
    client: &AuthenticatedClient,
    call: &Call,
    now: Now,
) -> Result<Option<VerifiedProof>, Denied> {
    match offered(provider, client, call, now)? {
        None if client.client.dpop_bound_access_tokens => Err(missing("AS-TOK-04").by(&client.client.id)),
        proof => Ok(proof),
    }
}

/// Checks the proof, if there is one, where none is needed. Records nothing.
///
/// # Errors
/// `invalid_dpop_proof` or `use_dpop_nonce`
pub fn offered(
    provider: &Provider,
    client: &AuthenticatedClient,
    call: &Call,
    now: Now,
) -> Result<Option<VerifiedProof>, Denied> {
    let header = ProofHeader::of(&call.headers);
    if header.is_absent() {
        return Ok(None);
    }
    let policy = provider.config.profile.of(&client.client).proofs(&provider.config.proof);
    let expected = Expected {
        method: call.method.as_str(),
        target: &call.target,
        token: None,
        nonce: provider.nonces_for(client.client.is_public()),
        policy: &policy,
    };
    let proof = verify_by(header, &expected, &client.client.proof_key, now.unix).map_err(|refusal| {
        let denied = Denied::from(refusal).by(&client.client.id);
        count(provider, &denied);
        denied
    })?;
    Ok(Some(proof))
}

/// The refusal of a request that lacks the proof which it needs.
#[must_use]
pub fn missing(row: &'static str) -> Denied {
    Denied { row, ..Denied::from(ProofRefusal::header_missing()) }
}

/// Records the assertion and the proof, each to be used once: after every check, before anything is spent.
///
/// # Errors
/// `invalid_client` or `invalid_dpop_proof` for one that was used before; 503 where the log is full.
pub fn record(
    provider: &Provider,
    client: &AuthenticatedClient,
    proof: Option<VerifiedProof>,
    now: Now,
) -> Result<Option<FreshProof>, Refusal> {
    if let Some(assertion) = &client.assertion {
        match provider.replay.record(assertion.entry, now) {
            Recorded::Fresh => {}
            Recorded::Replayed | Recorded::BeforeStart => {
                provider.metrics.replayed();
                let wire = "the client assertion may have been used before; make one for each request";
                let denied = Denied::new(ErrorCode::InvalidClient, "AS-CA-03", wire);
                return Err(denied.event(Event::Replayed).by(&client.client.id).into());
            }
            Recorded::Unavailable => return Err(log_is_full()),
        }
    }
    let Some(proof) = proof else { return Ok(None) };
    note_shared_key(client, &proof);
    let entry = proof.replay_entry(&provider.replay_salt, provider.config.issuer.as_str());
    match proof.after(provider.replay.record(entry, now)) {
        Ok(fresh) => {
            provider.metrics.proof_accepted(&fresh, now.unix);
            Ok(Some(fresh))
        }
        Err(NotFresh::Replayed(refusal)) => {
            provider.metrics.replayed();
            let denied = Denied::from(refusal).by(&client.client.id);
            count(provider, &denied);
            Err(denied.into())
        }
        Err(NotFresh::Unavailable) => Err(log_is_full()),
    }
}

fn log_is_full() -> Refusal {
    Refusal::Unavailable("the replay log is full".to_owned())
}

/// One key for two uses is weak practice, and allowed (AS-TOK-10).
fn note_shared_key(client: &AuthenticatedClient, proof: &VerifiedProof) {
    if client.assertion.is_some_and(|assertion| assertion.key == *proof.jkt()) {
        let client_id = Some(client.client.id.as_str());
        let facts = Facts { row: Some("AS-TOK-10"), client_id, jkt: Some(*proof.jkt()), ..Facts::default() };
        audit::write(Event::KeyUsedTwice, &facts);
    }
}

/// Counts a proof that did not hold (OPS-LOG-05).
fn count(provider: &Provider, denied: &Denied) {
    match denied.code {
        ErrorCode::UseDpopNonce => provider.metrics.nonce_challenged(),
        _ => provider.metrics.proof_refused(denied.row),
    }
}
