//! Software statements (RFC 7591 §2.3): client metadata as a JWT, signed by somebody whom the operator trusts. What it says
//! wins over what the client says.

use crate::clients::KeyFetchers;
use crate::config::{Registration, StatementKeys};
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::algorithm::AlgorithmSet;
use keybound_dpop::jose::jws::UnverifiedJwt;
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::time::UnixTime;
use keybound_fetch::{FetchError, JwksSource};
use keybound_oauth::audience::Audience;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::registration::RegistrationRequest;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Claims that are the statement's own, and no metadata (RFC 7519 §4.1).
const OWN: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];
/// How far ahead `iat` and `nbf` may be.
const MAX_AHEAD_SECS: u64 = 60;

/// Those who may vouch, with their keys.
#[derive(Debug)]
pub struct Voucher {
    issuer: String,
    keys: VoucherKeys,
}

#[derive(Debug)]
enum VoucherKeys {
    Local(Arc<KeySet>),
    Remote(JwksSource),
}

impl Voucher {
    /// Those of the configuration.
    #[must_use]
    pub fn all(registration: &Registration, fetchers: &KeyFetchers) -> Vec<Self> {
        let one = |issuer: &crate::config::StatementIssuer| Self {
            issuer: issuer.issuer.clone(),
            keys: match &issuer.keys {
                StatementKeys::Local(keys) => VoucherKeys::Local(Arc::new(keys.clone())),
                StatementKeys::Remote(url) => VoucherKeys::Remote(fetchers.operators_keys(url.url())),
            },
        };
        registration.statement_issuers.iter().map(one).collect()
    }

    async fn keys(&self, kid: Option<&str>) -> Result<Arc<KeySet>, FetchError> {
        match &self.keys {
            VoucherKeys::Local(keys) => Ok(Arc::clone(keys)),
            VoucherKeys::Remote(source) => source.keys(kid).await,
        }
    }
}

fn invalid(wire: &str) -> Denied {
    Denied::new(ErrorCode::InvalidSoftwareStatement, "AS-DCR-08", wire)
}

fn unapproved(wire: &str) -> Denied {
    Denied::new(ErrorCode::UnapprovedSoftwareStatement, "AS-DCR-08", wire)
}

/// The metadata of the request, with those of its statement over them.
///
/// # Errors
/// `invalid_software_statement`, `unapproved_software_statement`; 503 where the keys of who vouches cannot be had.
pub async fn apply(
    provider: &Provider,
    request: &RegistrationRequest,
    now: UnixTime,
) -> Result<Map<String, Value>, Refusal> {
    let mut members = request.metadata.clone();
    let Some(statement) = &request.software_statement else {
        return match provider.config.registration.require_statement {
            false => Ok(members),
            true => {
                let wire = "`software_statement` must be there, from an issuer that is trusted here";
                Err(unapproved(wire).into())
            }
        };
    };
    for (name, value) in vouched(provider, statement, now).await? {
        if !OWN.contains(&name.as_str()) {
            members.insert(name, value);
        }
    }
    Ok(members)
}

async fn vouched(provider: &Provider, statement: &str, now: UnixTime) -> Result<Map<String, Value>, Refusal> {
    let malformed = || invalid("`software_statement` must be a signed JWT");
    let jwt = UnverifiedJwt::parse(statement).map_err(|_| malformed())?;
    let header = jwt.header().map_err(|_| malformed())?;
    let algorithm = header.string("alg").ok().flatten().and_then(Algorithm::parse).ok_or_else(malformed)?;
    let claimed = jwt.claims().map_err(|_| malformed())?;
    let iss = claimed.string("iss").ok().flatten().ok_or_else(|| invalid("the statement needs `iss`"))?;
    let voucher = provider.vouchers.iter().find(|known| known.issuer == iss);
    let voucher = voucher
        .ok_or_else(|| unapproved("the issuer of the software statement is not trusted here").log(iss))?;
    let kid = jwt.kid().map_err(|_| malformed())?;
    let keys = voucher.keys(kid.as_deref()).await.map_err(|error| {
        Refusal::Unavailable(format!("the keys of software statements cannot be fetched: {error}"))
    })?;
    let accepted = AlgorithmSet::of(provider.config.profile.signature_algorithms());
    let verified = jwt.verify(accepted, keys.candidates(kid.as_deref(), algorithm)).map_err(|error| {
        invalid("the signature of the software statement does not hold").log(&error.to_string())
    })?;
    let claims = verified.claims().map_err(|_| malformed())?;
    check_times(&claims, now)?;
    check_audience(provider, &claims)?;
    serde_json::from_slice(verified.payload()).map_err(|_| malformed().into())
}

/// A statement need not end; one that does has not ended.
fn check_times(claims: &keybound_dpop::jose::json::Object<'_>, now: UnixTime) -> Result<(), Denied> {
    let time = |name| {
        let wrong = |_| invalid("`exp`, `nbf` and `iat` of the software statement must be numbers");
        claims.numeric_date(name).map_err(wrong)
    };
    if time("exp")?.is_some_and(|exp| exp <= now) {
        return Err(invalid("the software statement has expired"));
    }
    let latest = now.plus_secs(MAX_AHEAD_SECS);
    if [time("nbf")?, time("iat")?].into_iter().flatten().any(|at| at > latest) {
        return Err(invalid("the software statement is not good yet"));
    }
    Ok(())
}

/// RFC 7519 §4.1.3: a statement for somebody else is not taken. It need not say for whom it is.
fn check_audience(provider: &Provider, claims: &keybound_dpop::jose::json::Object<'_>) -> Result<(), Denied> {
    let us = [provider.config.issuer.as_str(), provider.targets.register.as_str()];
    match Audience::read(claims) {
        Ok(None) => Ok(()),
        Ok(Some(aud)) if us.iter().any(|name| aud.contains(name)) => Ok(()),
        _ => Err(invalid("`aud` of the software statement must be our issuer identifier, or left out")),
    }
}
