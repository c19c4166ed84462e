//! The logout token (OpenID Connect Back-Channel Logout §2.4): what an issuer sends to the clients of a session that has
//! ended, and what a client checks (§2.6).

use crate::audience::Audience;
use crate::identifier::{ClientId, Issuer};
use keybound_dpop::jose::json::{Object, Value, WrongType};
use keybound_dpop::jose::jws::{self, VerifiedJwt};
use keybound_dpop::jose::signer::{SignError, Signer};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use serde_json::json;

/// `typ` of a logout token: what keeps it apart from an ID token by the same key (§4).
pub const TYPE: &str = "logout+jwt";

/// The member of `events` that makes a JWT a logout token.
pub const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The parameter that it is posted in (§2.5).
pub const PARAMETER: &str = "logout_token";

/// What an issuer puts into a logout token. There is no `nonce`: with one it could be taken for an ID token.
#[derive(Clone, Copy, Debug)]
pub struct NewLogoutToken<'a> {
    /// `iss`
    pub iss: &'a Issuer,
    /// `aud`: the client.
    pub aud: &'a ClientId,
    /// `iat`
    pub iat: UnixTime,
    /// `exp`
    pub exp: UnixTime,
    /// `jti`
    pub jti: &'a str,
    /// `sub`, as the client knows the user.
    pub sub: &'a str,
    /// `sid`, as the client's ID tokens have it.
    pub sid: &'a str,
}

impl NewLogoutToken<'_> {
    /// Signs the token.
    ///
    /// # Errors
    /// [`SignError`] where the signer cannot sign.
    pub fn sign(&self, signer: &impl Signer, kid: Option<&str>) -> Result<Secret, SignError> {
        jws::sign(signer, TYPE, kid, self.claims().to_string().as_bytes()).map(Secret::new)
    }

    fn claims(&self) -> serde_json::Value {
        json!({
            "iss": self.iss.as_str(),
            "aud": self.aud.as_str(),
            "iat": self.iat.as_secs(),
            "exp": self.exp.as_secs(),
            "jti": self.jti,
            "events": { EVENT: {} },
            "sub": self.sub,
            "sid": self.sid,
        })
    }
}

/// Which sign-ins a client has to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// That session: the one whose ID tokens have this `sid`.
    Session {
        /// `sid`
        sid: String,
        /// `sub`, where the issuer tells it too.
        sub: Option<String>,
    },
    /// All of the user.
    User {
        /// `sub`
        sub: String,
    },
}

/// The claims of a logout token that a client goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutTokenClaims {
    /// What has ended.
    pub ended: Ended,
    /// `jti`: a client that has seen it lately may refuse it (§2.6, 8).
    pub jti: String,
    /// `iat`
    pub iat: UnixTime,
    /// `exp`: for how long to remember the `jti`.
    pub exp: UnixTime,
}

/// What a client knows when a logout token arrives.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The issuer that the client trusts.
    pub issuer: &'a Issuer,
    /// The client itself.
    pub client_id: &'a ClientId,
    /// The time.
    pub now: UnixTime,
    /// By how much clocks may differ.
    pub skew_secs: u64,
}

/// Why a logout token is refused; to be answered with 400 (§2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoutTokenError {
    /// The payload or header cannot be read.
    #[error("the logout token cannot be read")]
    Malformed,
    /// A claim has another type than its definition says.
    #[error("in the logout token {0}")]
    WrongType(#[from] WrongType),
    /// `typ` is not [`TYPE`].
    #[error("the token's `typ` is not that of a logout token")]
    OtherKind,
    /// A claim that must be there is not.
    #[error("the logout token has no `{0}`")]
    Missing(&'static str),
    /// A claim is not what was expected.
    #[error("the logout token's `{0}` is not the expected one")]
    Mismatch(&'static str),
    /// `nonce` is there: somebody may want an ID token to pass for a logout token.
    #[error("the logout token has a `nonce`")]
    Nonce,
    /// `exp` has passed.
    #[error("the logout token has expired")]
    Expired,
    /// `iat` is ahead of our clock.
    #[error("the logout token is of the future; compare the clocks")]
    Future,
}

/// Checks a logout token whose signature has been verified with the issuer's keys (§2.6).
///
/// # Errors
/// [`LogoutTokenError`] names the first thing that is wrong.
pub fn check(jwt: &VerifiedJwt, expected: &Expected<'_>) -> Result<LogoutTokenClaims, LogoutTokenError> {
    check_type(&jwt.header().map_err(|_| LogoutTokenError::Malformed)?)?;
    let claims = jwt.claims().map_err(|_| LogoutTokenError::Malformed)?;
    let iss = claims.string("iss")?.ok_or(LogoutTokenError::Missing("iss"))?;
    if iss != expected.issuer.as_str() {
        return Err(LogoutTokenError::Mismatch("iss"));
    }
    let aud = Audience::read(&claims)?.ok_or(LogoutTokenError::Missing("aud"))?;
    if !aud.contains(expected.client_id.as_str()) {
        return Err(LogoutTokenError::Mismatch("aud"));
    }
    let (iat, exp) = check_times(&claims, expected)?;
    check_event(&claims)?;
    if claims.has("nonce") {
        return Err(LogoutTokenError::Nonce);
    }
    let text = |name| claims.string(name).map(|text| text.filter(|text| !text.is_empty()).map(str::to_owned));
    let ended = match (text("sid")?, text("sub")?) {
        (Some(sid), sub) => Ended::Session { sid, sub },
        (None, Some(sub)) => Ended::User { sub },
        (None, None) => return Err(LogoutTokenError::Missing("sub")),
    };
    let jti = text("jti")?.ok_or(LogoutTokenError::Missing("jti"))?;
    Ok(LogoutTokenClaims { ended, jti, iat, exp })
}

/// RFC 7515 §4.1.9: `application/` may be left out, and media types are the same in any case.
fn check_type(header: &Object<'_>) -> Result<(), LogoutTokenError> {
    let typ = header.string("typ")?.unwrap_or_default();
    let typ =
        typ.split_once('/').map_or(typ, |(kind, rest)| match kind.eq_ignore_ascii_case("application") {
            true => rest,
            false => typ,
        });
    if typ.eq_ignore_ascii_case(TYPE) { Ok(()) } else { Err(LogoutTokenError::OtherKind) }
}

fn check_times(
    claims: &Object<'_>,
    expected: &Expected<'_>,
) -> Result<(UnixTime, UnixTime), LogoutTokenError> {
    let iat = claims.numeric_date("iat")?.ok_or(LogoutTokenError::Missing("iat"))?;
    let exp = claims.numeric_date("exp")?.ok_or(LogoutTokenError::Missing("exp"))?;
    if exp.plus_secs(expected.skew_secs) <= expected.now {
        return Err(LogoutTokenError::Expired);
    }
    if iat > expected.now.plus_secs(expected.skew_secs) {
        return Err(LogoutTokenError::Future);
    }
    Ok((iat, exp))
}

/// `events` is an object with [`EVENT`] in it, itself an object.
fn check_event(claims: &Object<'_>) -> Result<(), LogoutTokenError> {
    let Some(events) = claims.get("events") else { return Err(LogoutTokenError::Missing("events")) };
    let Value::Object(events) = events else { return Err(LogoutTokenError::Mismatch("events")) };
    match events.get(EVENT) {
        Some(Value::Object(_)) => Ok(()),
        _ => Err(LogoutTokenError::Mismatch("events")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
    use keybound_dpop::jose::jws::UnverifiedJwt;
    use keybound_dpop::jose::signer::SigningKey;

    const NOW: UnixTime = UnixTime::from_secs(10_000);

    struct World {
        key: SigningKey,
        issuer: Issuer,
        client_id: ClientId,
    }

    impl World {
        fn new() -> Self {
            Self {
                key: SigningKey::generate(Algorithm::Es256).expect("a key"),
                issuer: Issuer::parse("https://id.example").expect("an issuer"),
                client_id: ClientId::parse("app").expect("a client"),
            }
        }

        fn token(&self) -> NewLogoutToken<'_> {
            let (iss, aud) = (&self.issuer, &self.client_id);
            NewLogoutToken { iss, aud, iat: NOW, exp: NOW.plus_secs(120), jti: "j-1", sub: "u-1", sid: "s-1" }
        }

        fn check(&self, compact: &str) -> Result<LogoutTokenClaims, LogoutTokenError> {
            let accepted = AlgorithmSet::of(&Algorithm::ALL);
            let jwt = UnverifiedJwt::parse(compact).expect("a JWT");
            let verified = jwt.verify(accepted, [self.key.public_jwk()].into_iter()).expect("verified");
            let (issuer, client_id) = (&self.issuer, &self.client_id);
            check(&verified, &Expected { issuer, client_id, now: NOW, skew_secs: 10 })
        }

        /// Checks a token with that `typ` and with a claim changed; `null` removes it.
        fn check_with(
            &self,
            typ: &str,
            name: &str,
            value: &serde_json::Value,
        ) -> Result<LogoutTokenClaims, LogoutTokenError> {
            let mut claims = self.token().claims();
            let members = claims.as_object_mut().expect("an object");
            members.remove(name);
            if !value.is_null() {
                members.insert(name.to_owned(), value.clone());
            }
            self.check(&jws::sign(&self.key, typ, None, claims.to_string().as_bytes()).expect("signed"))
        }
    }

    #[test]
    fn oidc_lg2_01_what_is_written_is_accepted() {
        let world = World::new();
        let compact = world.token().sign(&world.key, Some("k")).expect("signed");
        let ended = Ended::Session { sid: "s-1".to_owned(), sub: Some("u-1".to_owned()) };
        let claims = LogoutTokenClaims { ended, jti: "j-1".to_owned(), iat: NOW, exp: NOW.plus_secs(120) };
        assert_eq!(world.check(compact.reveal()), Ok(claims));
    }

    #[test]
    fn oidc_lg2_01_every_wrong_claim_is_refused() {
        use LogoutTokenError::{Expired, Future, Mismatch, Missing, Nonce};
        use serde_json::Value;
        let world = World::new();
        let secs = NOW.as_secs();
        for (name, value, error) in [
            ("iss", json!("https://id.example/"), Mismatch("iss")),
            ("iss", Value::Null, Missing("iss")),
            ("aud", json!("other"), Mismatch("aud")),
            ("aud", Value::Null, Missing("aud")),
            ("iat", json!(secs + 11), Future),
            ("iat", Value::Null, Missing("iat")),
            ("exp", json!(secs - 10), Expired),
            ("exp", Value::Null, Missing("exp")),
            ("jti", json!(""), Missing("jti")),
            ("jti", Value::Null, Missing("jti")),
            ("events", Value::Null, Missing("events")),
            ("events", json!([EVENT]), Mismatch("events")),
            ("events", json!({}), Mismatch("events")),
            ("events", json!({ EVENT: true }), Mismatch("events")),
            ("nonce", json!("n"), Nonce),
            ("nonce", json!(""), Nonce),
        ] {
            assert_eq!(world.check_with(TYPE, name, &value), Err(error), "{name} {value}");
        }
        for (name, value) in [("iss", json!(1)), ("sub", json!(1)), ("sid", json!([])), ("exp", json!("x"))] {
            let refused = world.check_with(TYPE, name, &value);
            assert!(matches!(refused, Err(LogoutTokenError::WrongType(_))), "{name} {value}");
        }
        for (name, value) in [
            ("aud", json!(["other", "app"])),
            ("iat", json!(secs + 10)),
            ("exp", json!(secs - 9)),
            ("events", json!({ EVENT: { "a": 1 }, "b": 1 })),
            ("trace_id", json!("t")),
        ] {
            assert!(world.check_with(TYPE, name, &value).is_ok(), "{name} {value}");
        }
    }

    #[test]
    fn oidc_lg2_01_a_session_or_a_user_must_be_named() {
        let world = World::new();
        let ended = |name| world.check_with(TYPE, name, &json!(null)).map(|claims| claims.ended);
        assert_eq!(ended("sid"), Ok(Ended::User { sub: "u-1".to_owned() }));
        assert_eq!(ended("sub"), Ok(Ended::Session { sid: "s-1".to_owned(), sub: None }));
        let mut claims = world.token().claims();
        for name in ["sub", "sid"] {
            claims.as_object_mut().expect("an object").remove(name);
        }
        let compact = jws::sign(&world.key, TYPE, None, claims.to_string().as_bytes()).expect("signed");
        assert_eq!(world.check(&compact), Err(LogoutTokenError::Missing("sub")));
    }

    #[test]
    fn oidc_lg2_01_no_other_kind_of_token_is_one() {
        let world = World::new();
        let of = |typ| world.check_with(typ, "x", &json!(null)).map(drop);
        for typ in ["logout+jwt", "LOGOUT+JWT", "application/logout+jwt"] {
            assert_eq!(of(typ), Ok(()), "{typ}");
        }
        for typ in ["JWT", "at+jwt", "", "text/logout+jwt", "logout+jwt/x"] {
            assert_eq!(of(typ), Err(LogoutTokenError::OtherKind), "{typ}");
        }
    }
}
