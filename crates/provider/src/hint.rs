//! `id_token_hint`: an ID token that comes back to us, to say whom a request is about (OpenID Connect Core §3.1.2.1,
//! RP-Initiated Logout §2). Plain rules over its bytes: no I/O, no clock.

use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::json::{Object, WrongType};
use keybound_dpop::jose::jws::{JwtError, UnverifiedJwt};
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::secret::Secret;
use keybound_oauth::audience::Audience;
use keybound_oauth::identifier::{ClientId, Issuer};

/// What an ID token of ours says. It may have expired: it is a hint, not a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// `sub`, as the client knows the user.
    pub sub: String,
    /// `aud`: the clients that it was issued to.
    pub aud: Audience,
    /// `sid`: the session that it came from.
    pub sid: Option<String>,
}

impl Hint {
    /// Whether the token was issued to that client. One of another client says nothing about this one's user.
    #[must_use]
    pub fn is_for(&self, client_id: &ClientId) -> bool {
        self.aud.contains(client_id.as_str())
    }
}

/// Why a hint says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HintRefused {
    /// It may have been ours: no key that we still publish made it.
    #[error("the ID token was signed with a key that is not in our key set")]
    UnknownKey,
    /// It is no JWT, has an algorithm that is not ours, or its signature does not verify.
    #[error("the ID token was not issued by us: {0}")]
    Foreign(JwtError),
    /// Ours, but something else than an ID token.
    #[error("the token is not an ID token")]
    OtherKind,
    /// Its `iss` is not ours.
    #[error("the ID token's `iss` is not ours")]
    Issuer,
    /// A claim has another type than its definition says.
    #[error("in the ID token {0}")]
    WrongType(#[from] WrongType),
    /// A claim that every ID token has is not there.
    #[error("the ID token has no `{0}`")]
    Missing(&'static str),
}

impl From<JwtError> for HintRefused {
    fn from(error: JwtError) -> Self {
        match error {
            JwtError::UnknownKey => Self::UnknownKey,
            other => Self::Foreign(other),
        }
    }
}

/// Verifies that the token is an ID token that we issued. `keys` are those of [`KeyUse::Tokens`] that are published:
/// also those that sign no more. Its `exp` is not looked at (OpenID Connect Core §3.1.2.1).
///
/// [`KeyUse::Tokens`]: crate::signing_keys::KeyUse::Tokens
///
/// # Errors
/// [`HintRefused`] names the first thing that is wrong.
pub fn verify(token: &Secret, keys: &KeySet, issuer: &Issuer) -> Result<Hint, HintRefused> {
    let jwt = UnverifiedJwt::parse(token.reveal())?;
    let kid = jwt.kid()?;
    let named = jwt.header()?.string("alg").ok().flatten().and_then(Algorithm::parse);
    let algorithm = named.ok_or(JwtError::Algorithm)?;
    let accepted = AlgorithmSet::of(&crate::signing_keys::ALGORITHMS);
    let verified = jwt.verify(accepted, keys.candidates(kid.as_deref(), algorithm))?;
    check_type(&verified.header()?)?;
    let claims = verified.claims()?;
    if claims.string("iss")? != Some(issuer.as_str()) {
        return Err(HintRefused::Issuer);
    }
    let sub = claims.string("sub")?.filter(|sub| !sub.is_empty());
    Ok(Hint {
        sub: sub.ok_or(HintRefused::Missing("sub"))?.to_owned(),
        aud: Audience::read(&claims)?.ok_or(HintRefused::Missing("aud"))?,
        sid: claims.string("sid")?.map(str::to_owned),
    })
}

/// The keys of ID tokens sign access tokens too, and others: `typ` tells them apart (RFC 8725 §3.11).
fn check_type(header: &Object<'_>) -> Result<(), HintRefused> {
    match header.string("typ")? {
        Some(typ) if typ.eq_ignore_ascii_case("JWT") => Ok(()),
        _ => Err(HintRefused::OtherKind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::jose::jws;
    use keybound_dpop::jose::key_set::NamedKey;
    use keybound_dpop::jose::signer::{Signer, SigningKey};
    use keybound_dpop::time::UnixTime;
    use keybound_oauth::id_token::NewIdToken;
    use serde_json::{Value, json};

    fn issuer() -> Issuer {
        Issuer::parse("https://id.example").expect("an issuer")
    }

    fn key_and_set(algorithm: Algorithm) -> (SigningKey, KeySet) {
        let key = SigningKey::generate(algorithm).expect("a key");
        let named =
            NamedKey { kid: Some("k".to_owned()), algorithm: Some(algorithm), key: key.public_jwk().clone() };
        (key, KeySet::of(vec![named]))
    }

    fn claims() -> Value {
        json!({"iss": "https://id.example", "sub": "ada", "aud": "app", "exp": 1, "iat": 0, "sid": "s"})
    }

    fn judge(key: &SigningKey, keys: &KeySet, typ: &str, claims: &Value) -> Result<Hint, HintRefused> {
        let token = jws::sign(key, typ, Some("k"), claims.to_string().as_bytes()).expect("signed");
        verify(&Secret::new(token), keys, &issuer())
    }

    #[test]
    fn oidc_aut_15_what_we_issued_is_a_hint_however_old() {
        let (key, keys) = key_and_set(Algorithm::Es256);
        let (client_id, iss) = (ClientId::parse("app").expect("a client"), issuer());
        let token = NewIdToken {
            iss: &iss,
            sub: "ada",
            aud: &client_id,
            exp: UnixTime::from_secs(1),
            iat: UnixTime::from_secs(0),
            nonce: None,
            auth_time: None,
            acr: None,
            amr: &[],
            claims: None,
            sid: Some("s"),
            access_token: None,
        };
        let hint = verify(&token.sign(&key, Some("k")).expect("signed"), &keys, &iss).expect("a hint");
        assert_eq!((hint.sub.as_str(), hint.sid.as_deref()), ("ada", Some("s")));
        assert!(hint.is_for(&client_id) && !hint.is_for(&ClientId::parse("other").expect("a client")));
        let several = json!({"iss": "https://id.example", "sub": "ada", "aud": ["other", "app"]});
        assert!(judge(&key, &keys, "JWT", &several).expect("a hint").is_for(&client_id));
    }

    #[test]
    fn oidc_aut_15_what_others_made_is_none() {
        let (key, keys) = key_and_set(Algorithm::Es256);
        let (stranger, _) = key_and_set(Algorithm::Es256);
        let forged = judge(&stranger, &keys, "JWT", &claims());
        assert_eq!(forged, Err(HintRefused::Foreign(JwtError::Signature)));
        let gone = judge(&key, &KeySet::default(), "JWT", &claims());
        assert_eq!(gone, Err(HintRefused::UnknownKey));
        let (unused, its_keys) = key_and_set(Algorithm::Es384);
        let algorithm = judge(&unused, &its_keys, "JWT", &claims());
        assert_eq!(algorithm, Err(HintRefused::Foreign(JwtError::Algorithm)));
        for text in ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30.e30"] {
            let refused = verify(&Secret::new(text), &keys, &issuer());
            assert!(matches!(refused, Err(HintRefused::Foreign(_))), "{text}: {refused:?}");
        }
    }

    #[test]
    fn oidc_aut_15_what_we_made_for_another_purpose_is_none() {
        let (key, keys) = key_and_set(Algorithm::Es256);
        for typ in ["at+jwt", "logout+jwt", "dpop+jwt", ""] {
            assert_eq!(judge(&key, &keys, typ, &claims()), Err(HintRefused::OtherKind), "{typ}");
        }
        for (name, value, refused) in [
            ("iss", json!("https://id.example/"), HintRefused::Issuer),
            ("iss", Value::Null, HintRefused::WrongType(WrongType { name: "iss", expected: "a string" })),
            ("sub", json!(""), HintRefused::Missing("sub")),
        ] {
            let mut bad = claims();
            bad[name] = value;
            assert_eq!(judge(&key, &keys, "JWT", &bad), Err(refused), "{name}");
        }
        for (name, refused) in [
            ("iss", HintRefused::Issuer),
            ("sub", HintRefused::Missing("sub")),
            ("aud", HintRefused::Missing("aud")),
        ] {
            let mut bad = claims();
            bad.as_object_mut().expect("an object").remove(name);
            assert_eq!(judge(&key, &keys, "JWT", &bad), Err(refused), "{name}");
        }
    }
}
