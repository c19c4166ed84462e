//! The authorization code (RFC 6749 §4.1.3, RFC 7636 §4.6, RFC 9449 §10).

use super::agreed::{Agreed, outlives_sign_in};
use super::{Asker, CodeRequest, Found, Granted, invalid_grant, settled, stolen};
use crate::claims;
use crate::prove;
use crate::provider::Provider;
use crate::reach::Wanted;
use crate::refusal::{Denied, Refusal};
use crate::store::{Code, CodeState, Credential, Grant, Verdict, Write};
use keybound_dpop::secret::Secret;
use keybound_oauth::pkce::{CodeChallenge, CodeVerifier};

/// Refusals after which a code is of no more use (AS-COD-06).
const MAX_REFUSALS: u8 = 5;

pub(super) async fn find(
    provider: &Provider,
    code: &Secret,
    redirect_uri: Option<String>,
    verifier: Option<CodeVerifier>,
    wanted: Wanted,
) -> Result<Found, Refusal> {
    let unknown = || invalid_grant("AS-AUT-07", "the code is unknown or has expired");
    let (id, hash) = Credential::parse(code.reveal()).ok_or_else(unknown)?;
    let (_, grant) = provider.store.find_code(id, &hash).await?.ok_or_else(unknown)?;
    let claims = claims::for_id_token(provider, &grant).await?;
    Ok(Found::Code(CodeRequest { id, hash, redirect_uri, verifier, wanted, claims }))
}

pub(super) async fn redeem(asker: Box<Asker>, request: CodeRequest) -> Result<Granted, Refusal> {
    let (store, id, hash, now) = (asker.provider.store.clone(), request.id, request.hash, asker.now.unix);
    let decided =
        store.redeem_code(id, hash, now, move |code, grant| decide(&asker, &request, code, grant)).await?;
    settled(decided, || invalid_grant("AS-AUT-07", "the code is unknown or has expired"))
}

/// The rule: pure, quick, repeatable.
fn decide(asker: &Asker, request: &CodeRequest, code: &Code, grant: &Grant) -> Verdict<Box<Granted>, Denied> {
    let now = asker.now.unix;
    if code.client_id != asker.client.id.as_str() {
        return refuse(code, invalid_grant("AS-AUT-07", "the code was issued to another client"));
    }
    match code.state {
        CodeState::Redeemed { .. } => {
            // RFC 6749 §4.1.2: all tokens issued from a code that comes twice are revoked.
            let denied = invalid_grant("AS-AUT-08", "the code was used before; what came of it is revoked");
            return Verdict::Revoke { writes: stolen(grant, &code.subject, now), denied };
        }
        CodeState::Retired => {
            return Verdict::Leave(invalid_grant("AS-COD-06", "the code was refused too often"));
        }
        CodeState::Live if now >= code.expires_at || has_ended(code, grant) => {
            return Verdict::Leave(invalid_grant("AS-AUT-07", "the code is unknown or has expired"));
        }
        CodeState::Live => {}
    }
    if let Err(denied) = check(asker, request, code) {
        return refuse(code, denied);
    }
    match agreed(code, request).grant_tokens(asker, &request.wanted) {
        Ok((granted, writes)) => Verdict::Take { writes, out: Box::new(granted) },
        Err(denied) => Verdict::Leave(denied),
    }
}

/// Back-Channel Logout §2.7: nobody is signed in by a code that comes after the logout.
fn has_ended(code: &Code, grant: &Grant) -> bool {
    grant.revoked_at.is_some() || grant.session_ended_at.is_some() && !outlives_sign_in(&code.scope)
}

/// A refusal that guessing could explain is counted (AS-COD-06); a missing proof is not one.
fn refuse(code: &Code, denied: Denied) -> Verdict<Box<Granted>, Denied> {
    if denied.code != keybound_oauth::error::ErrorCode::InvalidGrant {
        return Verdict::Leave(denied);
    }
    let retire = code.refusals.saturating_add(1) >= MAX_REFUSALS;
    Verdict::Revoke { writes: vec![Write::CodeRefused { id: code.id, retire }], denied }
}

fn check(asker: &Asker, request: &CodeRequest, code: &Code) -> Result<(), Denied> {
    match &request.redirect_uri {
        Some(uri) if *uri != code.redirect_uri => {
            return Err(invalid_grant(
                "AS-AUT-10",
                "`redirect_uri` is not that of the authorization request",
            ));
        }
        // OAuth 2.1 §10.2: it may be left out where PKCE ties the two requests together.
        None if code.redirect_uri_sent && code.code_challenge.is_none() => {
            return Err(invalid_grant(
                "AS-AUT-10",
                "`redirect_uri` must be sent, as in the authorization request",
            ));
        }
        _ => {}
    }
    check_verifier(code.code_challenge.as_deref(), request.verifier.as_ref())?;
    match (&code.dpop_jkt, &asker.proof) {
        (Some(_), None) => Err(prove::missing("AS-COD-03")),
        (Some(jkt), Some(proof)) if *jkt != proof.jkt().to_string() => {
            Err(invalid_grant("AS-COD-02", "the proof's key is not the key that the code is bound to"))
        }
        _ => Ok(()),
    }
}

/// In constant time, and whatever else binds the code (AS-PKC-07).
fn check_verifier(challenge: Option<&str>, verifier: Option<&CodeVerifier>) -> Result<(), Denied> {
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (Some(challenge), Some(verifier))
            if CodeChallenge::parse(challenge).is_some_and(|challenge| challenge.accepts(verifier)) =>
        {
            Ok(())
        }
        (Some(_), Some(_)) => {
            Err(invalid_grant("AS-PKC-04", "`code_verifier` does not fit the code_challenge"))
        }
        (Some(_), None) => Err(invalid_grant("AS-PKC-04", "`code_verifier` is missing")),
        (None, Some(_)) => {
            Err(invalid_grant("AS-PKC-05", "there was no code_challenge for this `code_verifier`"))
        }
    }
}

fn agreed<'r>(code: &'r Code, request: &'r CodeRequest) -> Agreed<'r> {
    Agreed {
        grant_id: code.grant_id,
        subject: &code.subject,
        scope: &code.scope,
        resources: &code.resources,
        details: &code.authorization_details,
        session_id: code.session_id,
        auth_time: code.auth_time,
        nonce: code.nonce.as_deref(),
        acr: code.acr.as_deref(),
        claims: &request.claims,
    }
}
