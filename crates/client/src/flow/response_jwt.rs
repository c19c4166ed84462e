//! Signed authorization responses (JARM), as a client reads them: nothing in one is used before its signature, issuer,
//! audience and time are good (§2.4).

use crate::id_token::SKEW_SECS;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::{JwtError, UnverifiedJwt};
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization::AuthorizationResponse;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::jarm::{Expected, JarmError, verify};

/// What a signed response is held against, besides the login that it answers.
#[derive(Clone, Copy, Debug)]
pub struct SignedBy<'a> {
    /// The issuer's keys.
    pub keys: &'a KeySet,
    /// The algorithms that are taken
    /// ([`Parties::response_algorithms`](crate::flow::authorization_code::Parties::response_algorithms)).
    pub algorithms: AlgorithmSet,
    /// The time.
    pub now: UnixTime,
}

/// The `kid` of a response, to get the issuer's keys by.
///
/// # Errors
/// [`JarmError`] where it is no JWT.
pub fn kid(response: &Secret) -> Result<Option<String>, JarmError> {
    Ok(UnverifiedJwt::parse(response.reveal())?.kid()?)
}

/// Reads a response.
///
/// # Errors
/// [`JarmError`]
pub fn read(
    response: &Secret,
    (issuer, client_id): (&Issuer, &ClientId),
    signed_by: &SignedBy<'_>,
) -> Result<AuthorizationResponse, JarmError> {
    let jwt = UnverifiedJwt::parse(response.reveal())?;
    let named = jwt.header()?.string("alg").ok().flatten().and_then(Algorithm::parse);
    let algorithm = named.filter(|named| signed_by.algorithms.contains(*named)).ok_or(JwtError::Algorithm)?;
    let (keys, now) = (signed_by.keys, signed_by.now);
    verify(response, &Expected { issuer, client_id, algorithm, keys, now, skew_secs: SKEW_SECS })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::authorization_code::tests::{World, ask, sent};
    use crate::flow::authorization_code::{PendingLogin, RedirectRefused};
    use keybound_dpop::jose::base64url;
    use keybound_dpop::jose::jws;
    use keybound_dpop::jose::key_set::NamedKey;
    use keybound_dpop::jose::signer::{Signer, SigningKey};
    use keybound_oauth::form::FormWriter;
    use keybound_oauth::response_mode::ResponseMode;
    use serde_json::{Value, json};

    const NOW: u64 = 1_800_000_000;

    struct Signed {
        login: PendingLogin,
        state: String,
        key: SigningKey,
        keys: KeySet,
    }

    impl Signed {
        fn new() -> Self {
            let world = World::new(&json!({ "response_modes_supported": ["query.jwt"] }));
            let mut ask = ask();
            ask.response = ResponseMode::QueryJwt;
            let login = world.ready(ask);
            let state = sent(&login).state.expect("a state");
            let key = SigningKey::generate(Algorithm::Es256).expect("a key");
            let named =
                NamedKey { kid: Some("k".to_owned()), algorithm: None, key: key.public_jwk().clone() };
            Self { login, state, key, keys: KeySet::of(vec![named]) }
        }

        fn claims(&self) -> Value {
            json!({ "iss": "https://id.example", "aud": "app", "exp": NOW + 60, "code": "c", "state": self.state })
        }

        fn sign(&self, claims: &Value) -> String {
            jws::sign(&self.key, "JWT", Some("k"), claims.to_string().as_bytes()).expect("signed")
        }

        fn judge(&self, jwt: &str) -> Result<(), RedirectRefused> {
            self.judge_answer(&FormWriter::new().pair("response", jwt).finish())
        }

        fn judge_answer(&self, answer: &str) -> Result<(), RedirectRefused> {
            let algorithms = AlgorithmSet::of(&[Algorithm::Es256, Algorithm::Ps256]);
            let signed_by = SignedBy { keys: &self.keys, algorithms, now: UnixTime::from_secs(NOW) };
            self.login.judge_signed(&Secret::new(answer), &signed_by).map(|_| ())
        }
    }

    #[test]
    fn cl_flw_08_a_signed_answer_is_taken_with_a_kid_or_without() {
        let signed = Signed::new();
        assert_eq!(signed.judge(&signed.sign(&signed.claims())), Ok(()));
        let bare = jws::sign(&signed.key, "JWT", None, signed.claims().to_string().as_bytes());
        assert_eq!(signed.judge(&bare.expect("signed")), Ok(()));
    }

    #[test]
    fn cl_flw_08_atk_119_a_forged_answer_is_refused() {
        let signed = Signed::new();
        for (name, value) in [
            ("iss", json!("https://evil.example")),
            ("iss", Value::Null),
            ("aud", json!("other")),
            ("aud", json!(["app", "other"])),
            ("aud", Value::Null),
            ("exp", json!(NOW - 60)),
            ("exp", Value::Null),
            ("exp", json!("never")),
            ("code", Value::Null),
            ("code", json!(7)),
        ] {
            let mut claims = signed.claims();
            claims[name] = value.clone();
            if value.is_null() {
                claims.as_object_mut().expect("an object").remove(name);
            }
            let refused = signed.judge(&signed.sign(&claims));
            assert!(matches!(refused, Err(RedirectRefused::Jwt(_))), "{name} {value}: {refused:?}");
        }
        for state in [json!("other"), Value::Null] {
            let mut claims = signed.claims();
            claims["state"] = state;
            assert!(signed.judge(&signed.sign(&claims)).is_err());
        }
        let stranger = Signed::new();
        let forged = jws::sign(&stranger.key, "JWT", Some("k"), signed.claims().to_string().as_bytes());
        let signature = RedirectRefused::Jwt(JarmError::Jwt(JwtError::Signature));
        assert_eq!(signed.judge(&forged.expect("signed")), Err(signature));
    }

    #[test]
    fn cl_flw_08_atk_119_none_and_unexpected_algorithms_are_refused() {
        let signed = Signed::new();
        let good = signed.sign(&signed.claims());
        let payload = good.split('.').nth(1).expect("a payload");
        for alg in ["none", "None", "HS256", "ES384", "RS256"] {
            let header = base64url::encode(json!({ "alg": alg, "kid": "k" }).to_string().as_bytes());
            let forged = format!("{header}.{payload}.{}", good.split('.').nth(2).expect("a signature"));
            let refused = signed.judge(&forged).expect_err(alg);
            assert_eq!(refused, RedirectRefused::Jwt(JarmError::Jwt(JwtError::Algorithm)), "{alg}");
        }
        let header = base64url::encode(br#"{"alg":"none"}"#);
        assert!(signed.judge(&format!("{header}.{payload}.")).is_err());
    }

    #[test]
    fn cl_flw_08_atk_119_plain_parameters_instead_of_a_signed_answer_are_refused() {
        let signed = Signed::new();
        let plain = format!("code=c&state={}&iss=https%3A%2F%2Fid.example", signed.state);
        assert_eq!(signed.judge_answer(&plain), Err(RedirectRefused::NotSigned));
        assert_eq!(signed.login.judge(&Secret::new(&plain)), Err(RedirectRefused::NotSigned));
        let mut denied = signed.claims();
        denied.as_object_mut().expect("an object").remove("code");
        denied["error"] = "access_denied".into();
        let both = format!("code=c&state={}&response={}", signed.state, signed.sign(&denied));
        assert!(matches!(signed.judge_answer(&both), Err(RedirectRefused::Denied(_))), "only the JWT counts");
        let unasked = World::new(&json!({})).ready(ask());
        let answer = Secret::new(format!("response={}", signed.sign(&signed.claims())));
        assert_eq!(unasked.judge(&answer), Err(RedirectRefused::Signed));
    }
}
