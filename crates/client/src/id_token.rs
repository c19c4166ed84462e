//! What a client does with an ID token (OpenID Connect Core §3.1.3.7): the signature by the issuer's keys, under an
//! algorithm that the issuer names, then the claims.

use crate::flow::authorization_code::ask::Parties;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::{JwtError, UnverifiedJwt};
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::claims_request::ClaimsRequest;
use keybound_oauth::id_token::{Expected, IdTokenClaims, IdTokenError, check};

/// By how much the issuer's clock and ours may differ.
pub(crate) const SKEW_SECS: u64 = 60;

/// An ID token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenRefused {
    /// `openid` was granted, and there is none.
    #[error("the authorization server granted `openid` and sent no ID token")]
    Missing,
    /// The signature does not hold.
    #[error("the ID token is refused: {0}")]
    Signature(#[from] JwtError),
    /// A claim is wrong.
    #[error(transparent)]
    Claim(#[from] IdTokenError),
}

/// What a login asked for that shows in its ID token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// The `nonce` that was sent.
    pub nonce: Option<&'a str>,
    /// The `max_age` that was sent.
    pub max_age_secs: Option<u64>,
    /// The `claims` that were sent; what is essential among them is insisted on.
    pub claims: Option<&'a ClaimsRequest>,
    /// The code that was redeemed, for `c_hash`.
    pub code: Option<&'a Secret>,
}

impl<'a> Asked<'a> {
    /// What an ID token is held against that came beside this access token.
    #[must_use]
    pub const fn expected(
        &self,
        parties: &Parties<'a>,
        access_token: &'a Secret,
        now: UnixTime,
    ) -> Expected<'a> {
        Expected {
            issuer: &parties.server.issuer,
            client_id: &parties.identity.client_id,
            nonce: self.nonce,
            access_token: Some(access_token),
            max_age_secs: self.max_age_secs,
            claims: self.claims,
            code: self.code,
            now,
            skew_secs: SKEW_SECS,
        }
    }
}

/// Verifies an ID token with the issuer's keys under one of these algorithms
/// ([`Parties::id_token_algorithms`]), and checks its claims.
///
/// # Errors
/// [`IdTokenRefused`]
pub fn verify(
    token: &Secret,
    accepted: AlgorithmSet,
    keys: &KeySet,
    expected: &Expected<'_>,
) -> Result<IdTokenClaims, IdTokenRefused> {
    let jwt = UnverifiedJwt::parse(token.reveal())?;
    let kid = jwt.kid()?;
    let named = jwt.header()?.string("alg").ok().flatten().and_then(Algorithm::parse);
    let algorithm = named.ok_or(JwtError::Algorithm)?;
    let verified = jwt.verify(accepted, keys.candidates(kid.as_deref(), algorithm))?;
    Ok(check(&verified, expected)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::jose::key_set::NamedKey;
    use keybound_dpop::jose::signer::{Signer, SigningKey};
    use keybound_dpop::jose::{base64url, jws};
    use keybound_oauth::id_token::at_hash;
    use keybound_oauth::identifier::{ClientId, Issuer};
    use serde_json::{Value, json};

    const NOW: u64 = 1_800_000_000;

    fn claims() -> Value {
        json!({
            "iss": "https://id.example", "sub": "ada", "aud": "app", "exp": NOW + 300, "iat": NOW, "nonce": "n",
            "auth_time": NOW - 5, "at_hash": at_hash(Algorithm::Es256, &Secret::new("token")),
        })
    }

    fn judge(key: &SigningKey, keys: &KeySet, claims: &Value) -> Result<IdTokenClaims, IdTokenRefused> {
        let token = jws::sign(key, "JWT", Some("k"), claims.to_string().as_bytes()).expect("signed");
        judge_text(&token, keys)
    }

    fn judge_text(token: &str, keys: &KeySet) -> Result<IdTokenClaims, IdTokenRefused> {
        let issuer = Issuer::parse("https://id.example").expect("an issuer");
        let (client_id, accepted) =
            (ClientId::parse("app").expect("a client"), AlgorithmSet::of(&[Algorithm::Es256]));
        let expected = Expected {
            issuer: &issuer,
            client_id: &client_id,
            nonce: Some("n"),
            access_token: Some(&Secret::new("token")),
            max_age_secs: Some(60),
            claims: None,
            code: None,
            now: UnixTime::from_secs(NOW),
            skew_secs: SKEW_SECS,
        };
        verify(&Secret::new(token), accepted, keys, &expected)
    }

    fn key_and_set(algorithm: Algorithm) -> (SigningKey, KeySet) {
        let key = SigningKey::generate(algorithm).expect("a key");
        let named = NamedKey { kid: Some("k".to_owned()), algorithm: None, key: key.public_jwk().clone() };
        (key, KeySet::of(vec![named]))
    }

    #[test]
    fn cl_flw_06_a_sound_id_token_is_taken() {
        let (key, keys) = key_and_set(Algorithm::Es256);
        assert_eq!(judge(&key, &keys, &claims()).expect("taken").sub, "ada");
    }

    #[test]
    fn cl_flw_06_every_wrong_claim_is_refused() {
        let (key, keys) = key_and_set(Algorithm::Es256);
        for (name, value) in [
            ("iss", json!("https://id.example/")),
            ("iss", Value::Null),
            ("sub", json!("")),
            ("aud", json!("other")),
            ("aud", json!(["app", "other"])),
            ("azp", json!("other")),
            ("exp", json!(NOW - 61)),
            ("exp", json!("soon")),
            ("iat", json!(NOW + 120)),
            ("nonce", json!("m")),
            ("at_hash", json!("AAAA")),
            ("auth_time", json!(NOW - 1000)),
        ] {
            let mut bad = claims();
            bad[name] = value.clone();
            let refused = judge(&key, &keys, &bad);
            assert!(matches!(refused, Err(IdTokenRefused::Claim(_))), "{name} {value}: {refused:?}");
        }
        for name in ["iss", "sub", "aud", "exp", "iat", "nonce", "auth_time"] {
            let mut bad = claims();
            bad.as_object_mut().expect("an object").remove(name);
            assert!(matches!(judge(&key, &keys, &bad), Err(IdTokenRefused::Claim(_))), "{name}");
        }
    }

    #[test]
    fn cl_flw_06_the_signature_and_its_algorithm_must_hold() {
        let (key, keys) = key_and_set(Algorithm::Es256);
        let (stranger, _) = key_and_set(Algorithm::Es256);
        let refused = |result: Result<_, IdTokenRefused>| result.expect_err("refused");
        let signature = refused(judge(&stranger, &keys, &claims()));
        assert_eq!(signature, IdTokenRefused::Signature(JwtError::Signature));
        let (other_kind, its_keys) = key_and_set(Algorithm::EdDsa);
        let algorithm = refused(judge(&other_kind, &its_keys, &claims()));
        assert_eq!(algorithm, IdTokenRefused::Signature(JwtError::Algorithm));
        let none = format!(
            "{}.{}.{}",
            base64url::encode(br#"{"alg":"none"}"#),
            base64url::encode(claims().to_string().as_bytes()),
            base64url::encode(b"x")
        );
        assert_eq!(refused(judge_text(&none, &keys)), IdTokenRefused::Signature(JwtError::Algorithm));
        assert!(judge(&key, &KeySet::default(), &claims()).is_err());
    }

    #[test]
    fn cl_flw_06_without_a_kid_every_key_of_the_algorithm_is_tried() {
        let (key, other) = (key_and_set(Algorithm::Es256).0, key_and_set(Algorithm::Es256).0);
        let named = |key: &SigningKey, kid: &str| NamedKey {
            kid: Some(kid.to_owned()),
            algorithm: None,
            key: key.public_jwk().clone(),
        };
        let keys = KeySet::of(vec![named(&other, "a"), named(&key, "b"), named(&other, "b")]);
        let token = jws::sign(&key, "JWT", None, claims().to_string().as_bytes()).expect("signed");
        assert!(judge_text(&token, &keys).is_ok());
        for (kid, is_taken) in [("b", true), ("a", false), ("c", false)] {
            let token = jws::sign(&key, "JWT", Some(kid), claims().to_string().as_bytes()).expect("signed");
            assert_eq!(judge_text(&token, &keys).is_ok(), is_taken, "{kid}");
        }
    }
}
