//! Which challenges an answer carries (RFC 9449 §7.1–7.2, RS-CHL-07, RS-CHL-09).

use crate::config::{DpopUse, GuardConfig};
use crate::credentials::Scheme;
use crate::demand::Demand;
use crate::rejection::Reason;
use keybound_dpop::challenge::Challenge;

/// The challenges for a request that came under `scheme`, or under none: DPoP first, and alone unless Bearer is an
/// answer as well.
pub(crate) fn of(
    config: &GuardConfig,
    demand: &Demand,
    reason: &Reason,
    scheme: Option<Scheme>,
) -> Vec<Challenge> {
    if reason.is_fault() {
        return Vec::new();
    }
    let plain = |scheme, reason| plain(config, demand, scheme, reason);
    let dpop = |reason| plain("DPoP", reason).with("algs", &config.proof.algorithms.algs());
    match (demand.dpop, scheme) {
        (DpopUse::Required, _) | (_, Some(Scheme::Dpop)) => vec![dpop(Some(reason))],
        (DpopUse::Allowed, Some(Scheme::Bearer)) => vec![dpop(None), plain("Bearer", Some(reason))],
        (DpopUse::Allowed, None) => vec![dpop(Some(reason)), plain("Bearer", Some(reason))],
    }
}

fn plain(config: &GuardConfig, demand: &Demand, scheme: &str, reason: Option<&Reason>) -> Challenge {
    let mut challenge = Challenge::new(scheme);
    if let Some(realm) = &config.realm {
        challenge = challenge.with("realm", realm);
    }
    if let Some((code, reason)) = reason.and_then(|reason| Some((reason.code()?, reason))) {
        let description = reason.for_wire().replace(['"', '\\'], "'");
        challenge = challenge.with("error", code.as_str()).with("error_description", &description);
    }
    if let Some(Reason::Authentication(asked)) = reason {
        if !asked.acr_values.is_empty() {
            challenge = challenge.with("acr_values", &asked.acr_values.join(" "));
        }
        if let Some(secs) = asked.max_age_secs {
            challenge = challenge.with("max_age", &secs.to_string());
        }
    }
    let scope = match reason {
        Some(Reason::Scope(needed)) => Some(needed),
        _ if !demand.scope.is_empty() => Some(&demand.scope),
        _ => config.scope.as_ref(),
    };
    if let Some(scope) = scope {
        challenge = challenge.with("scope", scope.as_str());
    }
    match config.metadata.find(config.audience_of(demand)) {
        Some(url) => challenge.with("resource_metadata", url),
        None => challenge,
    }
}
