//! Signed authorization responses (JWT Secured Authorization Response Mode, JARM): what a server writes, and what a client
//! checks (§2.4).

use crate::audience::Audience;
use crate::authorization::AuthorizationResponse;
use crate::error::ErrorBody;
use crate::identifier::{ClientId, Issuer};
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::json::{Object, WrongType};
use keybound_dpop::jose::jws::{self, JwtError, UnverifiedJwt};
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::jose::signer::{SignError, Signer};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;

/// The one parameter of a signed response.
pub const PARAMETER: &str = "response";

/// Seconds that a response may live at the most (§2.1).
pub const MAX_LIFE_SECS: u64 = 600;

/// Signs a response to a client. The parameters become claims; `iss` is the issuer, and stands nowhere else.
///
/// # Errors
/// [`SignError`] where the signer cannot sign.
pub fn sign(
    response: &AuthorizationResponse,
    issuer: &Issuer,
    client_id: &ClientId,
    exp: UnixTime,
    (signer, kid): (&impl Signer, Option<&str>),
) -> Result<Secret, SignError> {
    let mut claims = serde_json::Map::new();
    for (name, value) in response.parameters() {
        claims.insert(name.to_owned(), value.into());
    }
    claims.insert("iss".to_owned(), issuer.as_str().into());
    claims.insert("aud".to_owned(), client_id.as_str().into());
    claims.insert("exp".to_owned(), exp.as_secs().into());
    let claims = serde_json::Value::Object(claims).to_string();
    jws::sign(signer, "JWT", kid, claims.as_bytes()).map(Secret::new)
}

/// What a client knows when a signed response arrives.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// The issuer that was asked.
    pub issuer: &'a Issuer,
    /// The client itself.
    pub client_id: &'a ClientId,
    /// The algorithm that is registered for it.
    pub algorithm: Algorithm,
    /// The issuer's keys.
    pub keys: &'a KeySet,
    /// The time.
    pub now: UnixTime,
    /// By how much clocks may differ.
    pub skew_secs: u64,
}

/// Why a signed response is refused. The issuer's fault, or an attack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JarmError {
    /// Not a JWT under the issuer's key.
    #[error("the signed response cannot be verified: {0}")]
    Jwt(#[from] JwtError),
    /// A claim has another type than its definition says.
    #[error("in the signed response {0}")]
    WrongType(#[from] WrongType),
    /// A claim is missing or not what was expected.
    #[error("the signed response's `{0}` is not the expected one")]
    Mismatch(&'static str),
    /// `exp` has passed.
    #[error("the signed response has expired")]
    Expired,
}

/// Reads a signed response: signature, issuer, audience, time, and only then what it says (§2.4).
///
/// # Errors
/// [`JarmError`] names the first thing that is wrong.
pub fn verify(response: &Secret, expected: &Expected<'_>) -> Result<AuthorizationResponse, JarmError> {
    let jwt = UnverifiedJwt::parse(response.reveal())?;
    let kid = jwt.kid()?;
    let keys = expected.keys.candidates(kid.as_deref(), expected.algorithm);
    let verified = jwt.verify(AlgorithmSet::of(&[expected.algorithm]), keys)?;
    let claims = verified.claims()?;
    if claims.string("iss")? != Some(expected.issuer.as_str()) {
        return Err(JarmError::Mismatch("iss"));
    }
    let us = expected.client_id.as_str();
    if !Audience::read(&claims)?.is_some_and(|aud| aud.iter().all(|text| text == us) && aud.contains(us)) {
        return Err(JarmError::Mismatch("aud"));
    }
    let exp = claims.numeric_date("exp")?.ok_or(JarmError::Mismatch("exp"))?;
    if exp.plus_secs(expected.skew_secs) <= expected.now {
        return Err(JarmError::Expired);
    }
    read(&claims, expected.issuer)
}

fn read(claims: &Object<'_>, issuer: &Issuer) -> Result<AuthorizationResponse, JarmError> {
    let outcome = match (claims.string("code")?, claims.string("error")?) {
        (Some(code), None) => Ok(Secret::new(code)),
        (None, Some(error)) => {
            Err(ErrorBody::told(error, claims.string("error_description")?, claims.string("error_uri")?))
        }
        _ => return Err(JarmError::Mismatch("code")),
    };
    let state = claims.string("state")?.map(str::to_owned);
    Ok(AuthorizationResponse { outcome, state, iss: Some(issuer.as_str().to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use keybound_dpop::jose::key_set::NamedKey;
    use keybound_dpop::jose::signer::SigningKey;

    const NOW: UnixTime = UnixTime::from_secs(10_000);

    struct World {
        key: SigningKey,
        keys: KeySet,
        issuer: Issuer,
        client_id: ClientId,
    }

    fn world() -> World {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let named = NamedKey { kid: None, algorithm: None, key: key.public_jwk().clone() };
        World {
            keys: KeySet::of(vec![named]),
            key,
            issuer: Issuer::parse("https://id.example").expect("an issuer"),
            client_id: ClientId::parse("app").expect("a client"),
        }
    }

    impl World {
        fn response(&self, outcome: Result<Secret, ErrorBody>) -> AuthorizationResponse {
            let (state, iss) = (Some("s ü".to_owned()), Some(self.issuer.as_str().to_owned()));
            AuthorizationResponse { outcome, state, iss }
        }

        fn sign(&self) -> Secret {
            let response = self.response(Ok(Secret::new("code")));
            let exp = NOW.plus_secs(300);
            sign(&response, &self.issuer, &self.client_id, exp, (&self.key, None)).expect("signed")
        }

        fn expected(&self) -> Expected<'_> {
            Expected {
                issuer: &self.issuer,
                client_id: &self.client_id,
                algorithm: Algorithm::Es256,
                keys: &self.keys,
                now: NOW,
                skew_secs: 0,
            }
        }
    }

    #[test]
    fn fms_04_what_is_signed_is_read_back() {
        let world = world();
        for outcome in [Ok(Secret::new("code")), Err(ErrorBody::new(ErrorCode::AccessDenied, "no"))] {
            let response = world.response(outcome);
            let exp = NOW.plus_secs(300);
            let signed = sign(&response, &world.issuer, &world.client_id, exp, (&world.key, None));
            assert_eq!(verify(&signed.expect("signed"), &world.expected()), Ok(response));
        }
    }

    #[test]
    fn a_response_of_another_to_another_or_too_late_is_refused() {
        let world = world();
        let signed = world.sign();
        let other_issuer = Issuer::parse("https://evil.example").expect("an issuer");
        let other_client = ClientId::parse("other").expect("a client");
        let other_keys = self::world().keys;
        let good = world.expected();
        for (expected, error) in [
            (Expected { issuer: &other_issuer, ..good.clone() }, JarmError::Mismatch("iss")),
            (Expected { client_id: &other_client, ..good.clone() }, JarmError::Mismatch("aud")),
            (Expected { now: NOW.plus_secs(300), ..good.clone() }, JarmError::Expired),
            (Expected { keys: &other_keys, ..good.clone() }, JarmError::Jwt(JwtError::Signature)),
            (Expected { algorithm: Algorithm::Ps256, ..good.clone() }, JarmError::Jwt(JwtError::Algorithm)),
        ] {
            assert_eq!(verify(&signed, &expected), Err(error));
        }
        assert!(verify(&signed, &Expected { now: NOW.plus_secs(300), skew_secs: 1, ..good }).is_ok());
    }

    #[test]
    fn a_response_needs_a_code_or_an_error_and_not_both() {
        let world = world();
        for claims in [r#"{"state":"s"}"#, r#"{"code":"c","error":"e"}"#, r#"{"code":1}"#] {
            let mut claims: serde_json::Value = serde_json::from_str(claims).expect("JSON");
            claims["iss"] = "https://id.example".into();
            claims["aud"] = "app".into();
            claims["exp"] = 10_300.into();
            let signed = jws::sign(&world.key, "JWT", None, claims.to_string().as_bytes()).expect("signed");
            assert!(verify(&Secret::new(signed), &world.expected()).is_err(), "{claims}");
        }
    }
}
