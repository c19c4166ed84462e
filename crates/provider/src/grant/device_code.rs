//! The device code (RFC 8628 §3.4, §3.5). A poll that has to wait is noted in the decision that says so, and only
//! then: whoever is challenged for a nonce, or has the wrong key, has not polled (AS-DEV-05).

use super::agreed::{Agreed, outlives_sign_in};
use super::{Asker, DeviceRequest, Found, Granted, invalid_grant, settled};
use crate::prove;
use crate::provider::Provider;
use crate::reach::{Reach, Wanted};
use crate::refusal::{Denied, Refusal};
use crate::store::{Approval, Credential, DeviceCode, DeviceCodeState, Grant, Verdict, Write};
use keybound_dpop::secret::Secret;
use keybound_oauth::device::SLOW_DOWN_SECS;
use keybound_oauth::error::ErrorCode;
use serde_json::{Map, Value};

/// How much too early a poll may come: clients count from an answer that was some time on its way.
const TOLERANCE_SECS: u32 = 1;

pub(super) async fn find(
    provider: &Provider,
    device_code: &Secret,
    wanted: Wanted,
) -> Result<Found, Refusal> {
    let (id, hash) = Credential::parse(device_code.reveal()).ok_or_else(unknown)?;
    provider.store.find_device_code(id, &hash).await?.ok_or_else(unknown)?;
    Ok(Found::Device(DeviceRequest { id, hash, wanted }))
}

fn unknown() -> Denied {
    invalid_grant("AS-DEV-02", "the device code is unknown")
}

pub(super) async fn redeem(asker: Box<Asker>, request: DeviceRequest) -> Result<Granted, Refusal> {
    let (store, id, hash) = (asker.provider.store.clone(), request.id, request.hash);
    let decided =
        store.redeem_device_code(id, hash, move |code, grant| decide(&asker, &request, code, grant)).await?;
    settled(decided, unknown)
}

/// The rule: pure, quick, repeatable.
fn decide(
    asker: &Asker,
    request: &DeviceRequest,
    code: &DeviceCode,
    grant: Option<&Grant>,
) -> Verdict<Box<Granted>, Denied> {
    let now = asker.now.unix;
    if code.client_id != asker.client.id.as_str() {
        return Verdict::Leave(invalid_grant("AS-DEV-02", "the device code was issued to another client"));
    }
    if let Err(denied) = check_key(asker, code) {
        return Verdict::Leave(denied);
    }
    let revoked = grant.is_some_and(|grant| {
        // Back-Channel Logout §2.7, as with a code.
        grant.revoked_at.is_some() || grant.session_ended_at.is_some() && !outlives_sign_in(&code.scope)
    });
    match &code.state {
        DeviceCodeState::Taken(approval) => {
            // As with a code (RFC 6749 §4.1.2): it was handed to two parties, or the answer was lost.
            let wire = "the device code was used before; what came of it is revoked";
            let writes = vec![Write::RevokeGrant { id: approval.grant_id, at: now }];
            Verdict::Revoke { writes, denied: invalid_grant("AS-DEV-06", wire) }
        }
        _ if now >= code.expires_at || revoked => {
            Verdict::Leave(say(ErrorCode::ExpiredToken, "the device code has expired; begin anew"))
        }
        DeviceCodeState::Denied => Verdict::Leave(say(ErrorCode::AccessDenied, "the user said no")),
        DeviceCodeState::Pending => wait(asker, code),
        DeviceCodeState::Allowed(approval) => {
            let mut reach = Reach::kept(&code.scope, &code.resources, &code.authorization_details);
            reach.leave(&asker.provider.config, approval.authorization_details.clone());
            match agreed(code, approval, (&reach, &Map::new()), grant).grant_tokens(asker, &request.wanted) {
                Ok((granted, writes)) => Verdict::Take { writes, out: Box::new(granted) },
                Err(denied) => Verdict::Leave(denied),
            }
        }
    }
}

/// A device that sent a proof with its request polls with the same key (AS-DEV-04).
fn check_key(asker: &Asker, code: &DeviceCode) -> Result<(), Denied> {
    match (&code.dpop_jkt, &asker.proof) {
        (Some(_), None) => Err(prove::missing("AS-DEV-04")),
        (Some(jkt), Some(proof)) if *jkt != proof.jkt().to_string() => {
            Err(invalid_grant("AS-DEV-04", "the proof's key is not the key that the device code is bound to"))
        }
        _ => Ok(()),
    }
}

fn wait(asker: &Asker, code: &DeviceCode) -> Verdict<Box<Granted>, Denied> {
    let now = asker.now.unix;
    let earliest =
        code.polled_at.map(|at| at.plus_secs(code.interval_secs.saturating_sub(TOLERANCE_SECS).into()));
    let is_early = earliest.is_some_and(|earliest| now < earliest);
    let (interval_secs, denied) = match is_early {
        true => {
            let interval_secs = code.interval_secs.saturating_add(SLOW_DOWN_SECS);
            let wire = format!("wait {interval_secs} s between two requests from now on");
            (interval_secs, say(ErrorCode::SlowDown, &wire))
        }
        false => {
            let wire = "the user has not answered yet";
            (code.interval_secs, say(ErrorCode::AuthorizationPending, wire))
        }
    };
    Verdict::Revoke { writes: vec![Write::DevicePolled { id: code.id, at: now, interval_secs }], denied }
}

fn say(error: ErrorCode, wire: &str) -> Denied {
    Denied::new(error, "AS-DEV-02", wire)
}

fn agreed<'r>(
    code: &'r DeviceCode,
    approval: &'r Approval,
    (reach, claims): (&'r Reach, &'r Map<String, Value>),
    grant: Option<&Grant>,
) -> Agreed<'r> {
    Agreed {
        grant_id: approval.grant_id,
        subject: &approval.subject,
        scope: &code.scope,
        resources: &reach.resources,
        details: &reach.details,
        session_id: grant.and_then(|grant| grant.session_id),
        auth_time: approval.auth_time,
        nonce: None,
        acr: approval.acr.as_deref(),
        claims,
    }
}
