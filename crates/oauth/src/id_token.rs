//! The ID token (OpenID Connect Core §2): what an issuer writes, and what a client checks (§3.1.3.7).

use crate::audience::Audience;
use crate::claims_request::ClaimsRequest;
use crate::identifier::{ClientId, Issuer};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::json::{Object, Value, WrongType};
use keybound_dpop::jose::jws::{self, VerifiedJwt};
use keybound_dpop::jose::signer::{SignError, Signer};
use keybound_dpop::jose::{base64url, crypto};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use serde_json::Map;

/// What an issuer puts into an ID token.
#[derive(Clone, Debug)]
pub struct NewIdToken<'a> {
    /// `iss`
    pub iss: &'a Issuer,
    /// `sub`
    pub sub: &'a str,
    /// `aud`: the client.
    pub aud: &'a ClientId,
    /// `exp`
    pub exp: UnixTime,
    /// `iat`
    pub iat: UnixTime,
    /// `nonce`, as the authorization request had it.
    pub nonce: Option<&'a str>,
    /// `auth_time`
    pub auth_time: Option<UnixTime>,
    /// `acr`
    pub acr: Option<&'a str>,
    /// `amr`: how the user signed in (RFC 8176); left out where it is empty.
    pub amr: &'a [&'a str],
    /// Claims of the user that were asked for by name (§5.5): never instead of one of those above.
    pub claims: Option<&'a Map<String, serde_json::Value>>,
    /// `sid`: the session at the issuer.
    pub sid: Option<&'a str>,
    /// The access token that is issued with it; becomes `at_hash`.
    pub access_token: Option<&'a Secret>,
}

impl NewIdToken<'_> {
    /// Signs the token.
    ///
    /// # Errors
    /// [`SignError`] where the signer cannot sign.
    pub fn sign(&self, signer: &impl Signer, kid: Option<&str>) -> Result<Secret, SignError> {
        let claims = self.claims(signer.algorithm());
        jws::sign(signer, "JWT", kid, claims.to_string().as_bytes()).map(Secret::new)
    }

    fn claims(&self, algorithm: Algorithm) -> serde_json::Value {
        let mut claims = self.claims.cloned().unwrap_or_default();
        let mut put = |name: &str, value: serde_json::Value| claims.insert(name.to_owned(), value);
        put("iss", self.iss.as_str().into());
        put("sub", self.sub.into());
        put("aud", self.aud.as_str().into());
        put("exp", self.exp.as_secs().into());
        put("iat", self.iat.as_secs().into());
        if let Some(auth_time) = self.auth_time {
            put("auth_time", auth_time.as_secs().into());
        }
        for (name, text) in [("nonce", self.nonce), ("acr", self.acr), ("sid", self.sid)] {
            if let Some(text) = text {
                put(name, text.into());
            }
        }
        if !self.amr.is_empty() {
            put("amr", self.amr.into());
        }
        if let Some(token) = self.access_token {
            put("at_hash", at_hash(algorithm, token).into());
        }
        serde_json::Value::Object(claims)
    }
}

/// The left half of the access token's hash (OpenID Connect Core §3.1.3.6). The hash is the one in the algorithm's
/// name; for Ed25519 it is SHA-512.
#[must_use]
pub fn at_hash(algorithm: Algorithm, access_token: &Secret) -> String {
    let bytes = access_token.reveal().as_bytes();
    let hash = match algorithm {
        Algorithm::Es256 | Algorithm::Ps256 | Algorithm::Rs256 => crypto::sha256(bytes).to_vec(),
        Algorithm::Es384 | Algorithm::Ps384 | Algorithm::Rs384 => crypto::sha384(bytes),
        Algorithm::Es512 | Algorithm::Ps512 | Algorithm::Rs512 | Algorithm::EdDsa | Algorithm::Ed25519 => {
            crypto::sha512(bytes)
        }
    };
    base64url::encode(hash.get(..hash.len() / 2).unwrap_or_default())
}

/// The claims of an ID token that a client goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTokenClaims {
    /// `sub`
    pub sub: String,
    /// `exp`
    pub exp: UnixTime,
    /// `iat`
    pub iat: UnixTime,
    /// `auth_time`
    pub auth_time: Option<UnixTime>,
    /// `acr`
    pub acr: Option<String>,
    /// `sid`
    pub sid: Option<String>,
}

/// What a client knows when an ID token arrives.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// The issuer that was asked.
    pub issuer: &'a Issuer,
    /// The client itself.
    pub client_id: &'a ClientId,
    /// The `nonce` that was sent, if one was.
    pub nonce: Option<&'a str>,
    /// The access token that came with the ID token.
    pub access_token: Option<&'a Secret>,
    /// The `max_age` that was sent, if one was.
    pub max_age_secs: Option<u64>,
    /// The `claims` that were sent, if any were: what is essential of `acr`, `auth_time` and `sub` is insisted on.
    pub claims: Option<&'a ClaimsRequest>,
    /// The code that was redeemed; is held against `c_hash`.
    pub code: Option<&'a Secret>,
    /// The time.
    pub now: UnixTime,
    /// By how much clocks may differ.
    pub skew_secs: u64,
}

/// Why an ID token is refused. The issuer's fault, or an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// The payload or header cannot be read.
    #[error("the ID token cannot be read")]
    Malformed,
    /// A claim has another type than its definition says.
    #[error("in the ID token {0}")]
    WrongType(#[from] WrongType),
    /// A claim that must be there is not.
    #[error("the ID token has no `{0}`")]
    Missing(&'static str),
    /// A claim is not what was expected.
    #[error("the ID token's `{0}` is not the expected one")]
    Mismatch(&'static str),
    /// `exp` has passed.
    #[error("the ID token has expired")]
    Expired,
    /// `iat`, or `nbf`, is ahead of our clock.
    #[error("the ID token is of the future; compare the clocks")]
    Future,
    /// The user signed in longer ago than `max_age` allows.
    #[error("the user's sign-in is older than `max_age` allows")]
    TooOld,
}

/// Checks the claims of an ID token whose signature has been verified with the issuer's keys.
///
/// # Errors
/// [`IdTokenError`] names the first claim that is wrong.
pub fn check(jwt: &VerifiedJwt, expected: &Expected<'_>) -> Result<IdTokenClaims, IdTokenError> {
    let claims = jwt.claims().map_err(|_| IdTokenError::Malformed)?;
    check_parties(&claims, expected)?;
    let (exp, iat) = check_times(&claims, expected)?;
    if let Some(nonce) = expected.nonce {
        match claims.string("nonce")? {
            None => return Err(IdTokenError::Missing("nonce")),
            Some(came) if came != nonce => return Err(IdTokenError::Mismatch("nonce")),
            Some(_) => {}
        }
    }
    check_hash(jwt, &claims, ("at_hash", expected.access_token))?;
    check_hash(jwt, &claims, ("c_hash", expected.code))?;
    check_essential(&claims, expected)?;
    let text = |name| claims.string(name).map(|value| value.map(str::to_owned));
    Ok(IdTokenClaims {
        sub: text("sub")?.filter(|sub| !sub.is_empty()).ok_or(IdTokenError::Missing("sub"))?,
        exp,
        iat,
        auth_time: claims.numeric_date("auth_time")?,
        acr: text("acr")?,
        sid: text("sid")?,
    })
}

/// `iss` is the issuer; `aud` is us and nobody else; `azp`, where it is there, is us too.
fn check_parties(claims: &Object<'_>, expected: &Expected<'_>) -> Result<(), IdTokenError> {
    let iss = claims.string("iss")?.ok_or(IdTokenError::Missing("iss"))?;
    if iss != expected.issuer.as_str() {
        return Err(IdTokenError::Mismatch("iss"));
    }
    let aud = Audience::read(claims)?.ok_or(IdTokenError::Missing("aud"))?;
    let us = expected.client_id.as_str();
    if !aud.contains(us) || aud.iter().any(|audience| audience != us) {
        return Err(IdTokenError::Mismatch("aud"));
    }
    match claims.string("azp")? {
        Some(azp) if azp != us => Err(IdTokenError::Mismatch("azp")),
        _ => Ok(()),
    }
}

fn check_times(claims: &Object<'_>, expected: &Expected<'_>) -> Result<(UnixTime, UnixTime), IdTokenError> {
    let exp = claims.numeric_date("exp")?.ok_or(IdTokenError::Missing("exp"))?;
    let iat = claims.numeric_date("iat")?.ok_or(IdTokenError::Missing("iat"))?;
    if exp.plus_secs(expected.skew_secs) <= expected.now {
        return Err(IdTokenError::Expired);
    }
    // RFC 7519 §4.1.5: `nbf` holds where it is there, though OpenID Connect has no use for it.
    let ahead = expected.now.plus_secs(expected.skew_secs);
    if iat > ahead || claims.numeric_date("nbf")?.is_some_and(|nbf| nbf > ahead) {
        return Err(IdTokenError::Future);
    }
    if let Some(max_age) = expected.max_age_secs {
        let auth_time = claims.numeric_date("auth_time")?.ok_or(IdTokenError::Missing("auth_time"))?;
        if auth_time.plus_secs(max_age).plus_secs(expected.skew_secs) < expected.now {
            return Err(IdTokenError::TooOld);
        }
    }
    Ok((exp, iat))
}

/// `at_hash` and `c_hash`, where they are there, are those of the access token and the code.
fn check_hash(
    jwt: &VerifiedJwt,
    claims: &Object<'_>,
    (name, hashed): (&'static str, Option<&Secret>),
) -> Result<(), IdTokenError> {
    let (Some(came), Some(hashed)) = (claims.string(name)?, hashed) else { return Ok(()) };
    let header = jwt.header().map_err(|_| IdTokenError::Malformed)?;
    let algorithm = match header.get("alg") {
        Some(Value::String(name)) => Algorithm::parse(name),
        _ => None,
    };
    let algorithm = algorithm.ok_or(IdTokenError::Malformed)?;
    if at_hash(algorithm, hashed) == came { Ok(()) } else { Err(IdTokenError::Mismatch(name)) }
}

/// What was asked for as essential is there (OpenID Connect Core §5.5.1), and `sub`, where it was asked for with a value,
/// is that one.
fn check_essential(claims: &Object<'_>, expected: &Expected<'_>) -> Result<(), IdTokenError> {
    let Some(asked) = expected.claims.map(|claims| &claims.id_token) else { return Ok(()) };
    if asked.get("auth_time").is_some_and(|asked| asked.essential)
        && claims.numeric_date("auth_time")?.is_none()
    {
        return Err(IdTokenError::Missing("auth_time"));
    }
    for name in ["acr", "sub"] {
        let Some(asked) = asked.get(name).filter(|asked| asked.essential || name == "sub") else { continue };
        match claims.string(name)? {
            None => return Err(IdTokenError::Missing(name)),
            Some(came) if !asked.accepts(&came.into()) => return Err(IdTokenError::Mismatch(name)),
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
