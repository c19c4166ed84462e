//! The access token as a JWT (RFC 9068), bound to a key where it says so (RFC 9449 §6.1).

use crate::audience::Audience;
use crate::authorization_details::AuthorizationDetails;
use crate::scope::Scope;
use keybound_dpop::confirmation::Confirmation;
use keybound_dpop::jose::json::{Object, Value, WrongType};
use keybound_dpop::jose::jws::{self, VerifiedJwt};
use keybound_dpop::jose::object_writer::ObjectWriter;
use keybound_dpop::jose::signer::{SignError, Signer};
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use serde_json::Map;

/// The `typ` of an access token (RFC 9068 §2.1).
pub const TYP: &str = "at+jwt";

/// What an issuer puts into an access token (RFC 9068 §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccessToken<'a> {
    /// `iss`
    pub iss: &'a str,
    /// `sub`: the user, or the client itself where it acts for itself.
    pub sub: &'a str,
    /// `aud`: the resources that the token is for.
    pub aud: &'a Audience,
    /// `exp`
    pub exp: UnixTime,
    /// `iat`
    pub iat: UnixTime,
    /// `jti`
    pub jti: &'a str,
    /// `client_id`
    pub client_id: &'a str,
    /// `scope`; left out of the token where it is empty.
    pub scope: &'a Scope,
    /// `cnf.jkt`: the key that the token is bound to.
    pub jkt: Option<Thumbprint>,
    /// `auth_time`
    pub auth_time: Option<UnixTime>,
    /// `acr`
    pub acr: Option<&'a str>,
    /// `authorization_details`; left out of the token where there are none (RFC 9396 §9.1).
    pub authorization_details: &'a AuthorizationDetails,
    /// `act`: who acts, where it is not the subject itself (RFC 8693 §4.1).
    pub act: Option<&'a serde_json::Value>,
    /// `may_act`: the `sub` of who may act for the subject (RFC 8693 §4.4).
    pub may_act: Option<&'a str>,
}

impl NewAccessToken<'_> {
    /// Signs the token.
    ///
    /// # Errors
    /// [`SignError`] where the signer cannot sign.
    pub fn sign(&self, signer: &impl Signer, kid: Option<&str>) -> Result<Secret, SignError> {
        jws::sign(signer, TYP, kid, self.to_json().as_bytes()).map(Secret::new)
    }

    /// The claims, for a token that is kept instead of signed.
    #[must_use]
    pub fn to_claims(&self) -> Map<String, serde_json::Value> {
        // What we have written is an object.
        serde_json::from_str(&self.to_json()).unwrap_or_default()
    }

    /// The claims as JSON.
    fn to_json(&self) -> String {
        let mut claims = ObjectWriter::with_room(512).text("iss", self.iss).text("sub", self.sub);
        claims = match self.aud {
            Audience::One(text) => claims.text("aud", text),
            Audience::Many(texts) => claims.json("aud", texts),
        };
        claims = claims.number("exp", self.exp.as_secs()).number("iat", self.iat.as_secs());
        claims = claims.text("jti", self.jti).text("client_id", self.client_id);
        if !self.scope.is_empty() {
            claims = claims.text("scope", self.scope.as_str());
        }
        if !self.authorization_details.is_empty() {
            claims = claims.json("authorization_details", &self.authorization_details.to_json());
        }
        if let Some(jkt) = self.jkt {
            claims = claims.object("cnf", ObjectWriter::with_room(64).text("jkt", &jkt.to_string()));
        }
        if let Some(auth_time) = self.auth_time {
            claims = claims.number("auth_time", auth_time.as_secs());
        }
        claims = claims.optional("acr", self.acr);
        if let Some(act) = self.act {
            claims = claims.json("act", act);
        }
        if let Some(sub) = self.may_act {
            claims = claims.object("may_act", ObjectWriter::with_room(64).text("sub", sub));
        }
        claims.finish()
    }
}

/// The claims of an access token whose signature has been verified. Nothing is compared yet: issuer, audience and
/// times are for the guard, and so is the binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessTokenClaims {
    /// `iss`
    pub iss: String,
    /// `exp`
    pub exp: UnixTime,
    /// `aud`
    pub aud: Audience,
    /// `sub`
    pub sub: Option<String>,
    /// `client_id`
    pub client_id: Option<String>,
    /// `iat`
    pub iat: Option<UnixTime>,
    /// `nbf`
    pub nbf: Option<UnixTime>,
    /// `jti`
    pub jti: Option<String>,
    /// `scope`; empty where the token has none.
    pub scope: Scope,
    /// `cnf`
    pub confirmation: Confirmation,
    /// `auth_time`
    pub auth_time: Option<UnixTime>,
    /// `acr`
    pub acr: Option<String>,
}

/// Why a verified JWT is no access token that we take. The text is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// The payload cannot be read.
    #[error("the token's claims cannot be read")]
    Malformed,
    /// A claim that must be there is not.
    #[error("the token has no `{0}`")]
    Missing(&'static str),
    /// A claim has another type than its definition says.
    #[error("in the token {0}")]
    WrongType(#[from] WrongType),
    /// `cnf` is there and cannot be relied on.
    #[error("the token cannot be used: {0}")]
    Confirmation(&'static str),
}

impl AccessTokenClaims {
    /// Reads the claims. `iss`, `exp` and `aud` must be there; the rest is left out by some issuers.
    ///
    /// # Errors
    /// [`AccessTokenError`]
    pub fn read(jwt: &VerifiedJwt) -> Result<Self, AccessTokenError> {
        let claims = jwt.claims().map_err(|_| AccessTokenError::Malformed)?;
        Self::from_claims(&claims)
    }

    /// Reads the claims of a token that was kept instead of signed.
    ///
    /// # Errors
    /// [`AccessTokenError`]
    pub fn parse(json: &[u8]) -> Result<Self, AccessTokenError> {
        Self::from_claims(&Object::parse(json).map_err(|_| AccessTokenError::Malformed)?)
    }

    fn from_claims(claims: &Object<'_>) -> Result<Self, AccessTokenError> {
        let text = |name| claims.string(name).map(|value| value.map(str::to_owned));
        let confirmation = Confirmation::read(claims);
        if let Confirmation::Unusable(why) = confirmation {
            return Err(AccessTokenError::Confirmation(why));
        }
        Ok(Self {
            iss: text("iss")?.ok_or(AccessTokenError::Missing("iss"))?,
            exp: claims.numeric_date("exp")?.ok_or(AccessTokenError::Missing("exp"))?,
            aud: Audience::read(claims)?.ok_or(AccessTokenError::Missing("aud"))?,
            sub: text("sub")?,
            client_id: text("client_id")?,
            iat: claims.numeric_date("iat")?,
            nbf: claims.numeric_date("nbf")?,
            jti: text("jti")?,
            scope: read_scope(claims)?,
            confirmation,
            auth_time: claims.numeric_date("auth_time")?,
            acr: text("acr")?,
        })
    }
}

/// `scope`, a text of tokens separated by spaces (RFC 8693 §4.2); some issuers write an array, or call it `scp`.
fn read_scope(claims: &Object<'_>) -> Result<Scope, WrongType> {
    let name = if claims.has("scope") { "scope" } else { "scp" };
    let Some(texts) = claims.strings(name)? else { return Ok(Scope::default()) };
    Scope::parse(&texts.join(" ")).map_err(|_| WrongType { name, expected: "a list of scope tokens" })
}

/// Whether `typ` says that the JWT is an access token, as RFC 9068 §4 asks: `at+jwt` or `application/at+jwt`, without
/// regard to case.
#[must_use]
pub fn has_access_token_type(jwt: &VerifiedJwt) -> bool {
    let Ok(header) = jwt.header() else { return false };
    let Some(Value::String(typ)) = header.get("typ") else { return false };
    [TYP, "application/at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
    use keybound_dpop::jose::jws::UnverifiedJwt;
    use keybound_dpop::jose::signer::SigningKey;

    fn verified(compact: &str, key: &SigningKey) -> VerifiedJwt {
        let jwt = UnverifiedJwt::parse(compact).expect("a JWT");
        jwt.verify(AlgorithmSet::default(), [key.public_jwk()].into_iter()).expect("verified")
    }

    fn read(json: &str) -> Result<AccessTokenClaims, AccessTokenError> {
        AccessTokenClaims::from_claims(&Object::parse(json.as_bytes()).expect("JSON"))
    }

    #[test]
    fn as_at_01_what_is_written_is_read_back() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let jkt = key.public_jwk().thumbprint();
        let scope = Scope::parse("openid read").expect("a scope");
        let aud = Audience::of(vec!["https://a.example".to_owned(), "https://b.example".to_owned()]);
        let (iat, exp) = (UnixTime::from_secs(1000), UnixTime::from_secs(1600));
        let act = serde_json::json!({ "sub": "a", "act": { "sub": "b" } });
        let details = AuthorizationDetails::parse(r#"[{"type":"a"}]"#).expect("details");
        let token = NewAccessToken {
            iss: "https://id.example",
            sub: "u-1",
            aud: &aud,
            exp,
            iat,
            jti: "t-1",
            client_id: "app",
            scope: &scope,
            jkt: Some(jkt),
            auth_time: Some(iat),
            acr: Some("1"),
            authorization_details: &details,
            act: Some(&act),
            may_act: Some("gateway"),
        };
        let kept = serde_json::Value::Object(token.to_claims());
        assert_eq!(kept["authorization_details"][0]["type"], "a");
        assert_eq!(kept["act"]["act"]["sub"], "b");
        assert_eq!(kept["may_act"], serde_json::json!({ "sub": "gateway" }));
        let jwt = verified(token.sign(&key, Some("k")).expect("signed").reveal(), &key);
        assert!(has_access_token_type(&jwt));
        let expected = AccessTokenClaims {
            iss: "https://id.example".to_owned(),
            exp,
            aud: aud.clone(),
            sub: Some("u-1".to_owned()),
            client_id: Some("app".to_owned()),
            iat: Some(iat),
            nbf: None,
            jti: Some("t-1".to_owned()),
            scope: scope.clone(),
            confirmation: Confirmation::Jkt(jkt),
            auth_time: Some(iat),
            acr: Some("1".to_owned()),
        };
        assert_eq!(AccessTokenClaims::read(&jwt), Ok(expected.clone()));
        assert_eq!(AccessTokenClaims::parse(kept.to_string().as_bytes()), Ok(expected));
        let none = Scope::default();
        let bearer =
            NewAccessToken { jkt: None, auth_time: None, acr: None, act: None, scope: &none, ..token };
        let jwt = verified(bearer.sign(&key, None).expect("signed").reveal(), &key);
        let claims = AccessTokenClaims::read(&jwt).expect("claims");
        assert_eq!((claims.confirmation, claims.scope.is_empty()), (Confirmation::None, true));
        assert!(!jwt.payload().windows(5).any(|window| window == b"scope"));
    }

    #[test]
    fn rs_chk_09_exp_is_a_number_and_there() {
        let missing = r#"{"iss":"i","aud":"a"}"#;
        assert_eq!(read(missing), Err(AccessTokenError::Missing("exp")));
        for exp in ["\"x\"", "\"1600\"", "null", "-1", "[1]"] {
            let error = read(&format!(r#"{{"iss":"i","aud":"a","exp":{exp}}}"#)).expect_err(exp);
            assert!(matches!(error, AccessTokenError::WrongType(WrongType { name: "exp", .. })), "{exp}");
        }
    }

    #[test]
    fn scopes_are_read_as_issuers_write_them() {
        for scope in [r#""scope":"a b""#, r#""scope":["a","b"]"#, r#""scp":["a","b"]"#, r#""scp":"b a""#] {
            let claims = read(&format!(r#"{{"iss":"i","aud":"a","exp":1600,{scope}}}"#)).expect(scope);
            assert_eq!(Ok(claims.scope), Scope::parse("a b"), "{scope}");
        }
        assert!(read(r#"{"iss":"i","aud":"a","exp":1600,"scope":1}"#).is_err());
    }

    #[test]
    fn dpop_cnf_03_a_malformed_binding_makes_the_token_unusable() {
        for cnf in [r#"{"jkt":"short"}"#, r#"{"x5t#S256":"AA"}"#, r#"{"kid":"k"}"#, "1", r#"{"jkt":1}"#] {
            let error = read(&format!(r#"{{"iss":"i","aud":"a","exp":1,"cnf":{cnf}}}"#)).expect_err(cnf);
            assert!(matches!(error, AccessTokenError::Confirmation(_)), "{cnf}");
        }
    }

    #[test]
    fn rs_chk_01_the_type_says_what_the_token_is_for() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        for (typ, is_one) in [
            ("at+jwt", true),
            ("application/at+jwt", true),
            ("AT+JWT", true),
            ("JWT", false),
            ("dpop+jwt", false),
            ("", false),
        ] {
            let jwt = verified(&jws::sign(&key, typ, None, b"{}").expect("signed"), &key);
            assert_eq!(has_access_token_type(&jwt), is_one, "{typ}");
        }
    }
}
