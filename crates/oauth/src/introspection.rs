//! Introspection: the request, the response (RFC 7662 §2), and the response as a signed JWT (RFC 9701).

use crate::audience::Audience;
use crate::error::{ErrorCode, Problem};
use crate::form::{Form, FormWriter};
use crate::scope::Scope;
use crate::token::TokenType;
use keybound_dpop::confirmation::Confirmation;
use keybound_dpop::jose::json::{Object, Value, WrongType};
use keybound_dpop::jose::jws::{self, VerifiedJwt};
use keybound_dpop::jose::signer::{SignError, Signer};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use serde_json::{Map, json};

/// The `typ` of a signed response (RFC 9701 §5).
pub const TYP: &str = "token-introspection+jwt";
/// The media type of a signed response, which `Accept` asks for (RFC 9701 §4).
pub const MEDIA_TYPE: &str = "application/token-introspection+jwt";

/// An introspection request, without the part that says who the caller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntrospectionRequest {
    /// `token`
    pub token: Secret,
    /// `token_type_hint`: helps a server to find the token, and must not keep it from doing so.
    pub token_type_hint: Option<String>,
}

impl IntrospectionRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Problem`] where there is no `token`.
    pub fn parse(form: &Form) -> Result<Self, Problem> {
        let missing = Problem { code: ErrorCode::InvalidRequest, parameter: "token", expected: "sent" };
        Ok(Self {
            token: form.secret("token").ok_or(missing)?,
            token_type_hint: form.get("token_type_hint").map(str::to_owned),
        })
    }

    /// As a form, to which the caller adds how it authenticates.
    #[must_use]
    pub fn to_form(&self) -> FormWriter {
        FormWriter::new()
            .pair("token", self.token.reveal())
            .optional("token_type_hint", self.token_type_hint.as_deref())
    }
}

/// What the server says of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum IntrospectionResponse {
    /// It is of no use, or not the caller's to know of. Nothing else is said (RFC 7662 §2.2).
    Inactive,
    /// It is good.
    Active(Box<ActiveToken>),
}

/// A token that is good, and what stands behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveToken {
    /// `token_type`: DPoP for a bound access token (RFC 9449 §6.2); none for a refresh token.
    pub token_type: Option<TokenType>,
    /// All other members, by the names that they have in a JWT.
    pub members: Map<String, serde_json::Value>,
}

/// The members of a response that a resource goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveClaims {
    /// `cnf`
    pub confirmation: Confirmation,
    /// `scope`; empty where there is none.
    pub scope: Scope,
    /// `client_id`
    pub client_id: Option<String>,
    /// `sub`
    pub sub: Option<String>,
    /// `iss`
    pub iss: Option<String>,
    /// `aud`
    pub aud: Option<Audience>,
    /// `exp`
    pub exp: Option<UnixTime>,
    /// `jti`
    pub jti: Option<String>,
}

/// Why bytes are not an introspection response. The server's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntrospectionError {
    /// Not JSON, or not an object with distinct names.
    #[error("the introspection response is not a JSON object with distinct member names")]
    NotJson,
    /// A member is missing or of the wrong type.
    #[error("the introspection response's `{0}` is missing or malformed (RFC 7662 section 2.2)")]
    Member(&'static str),
    /// The JWT is of another kind, from another issuer, or for somebody else.
    #[error("the introspection response's `{0}` is not the expected one (RFC 9701 section 5)")]
    Mismatch(&'static str),
}

impl From<WrongType> for IntrospectionError {
    fn from(wrong: WrongType) -> Self {
        Self::Member(wrong.name)
    }
}

impl IntrospectionResponse {
    /// Reads a response.
    ///
    /// # Errors
    /// [`IntrospectionError`] names what is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, IntrospectionError> {
        let object = Object::parse(json).map_err(|_| IntrospectionError::NotJson)?;
        match object.get("active") {
            Some(Value::Bool(false)) => return Ok(Self::Inactive),
            Some(Value::Bool(true)) => {}
            _ => return Err(IntrospectionError::Member("active")),
        }
        let named = object.string("token_type")?.map(TokenType::parse);
        let token_type =
            named.map(|known| known.ok_or(IntrospectionError::Member("token_type"))).transpose()?;
        let mut members: Map<String, serde_json::Value> =
            serde_json::from_slice(json).map_err(|_| IntrospectionError::NotJson)?;
        members.remove("active");
        members.remove("token_type");
        Ok(Self::Active(Box::new(ActiveToken { token_type, members })))
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut object = Map::new();
        object.insert("active".to_owned(), matches!(self, Self::Active(_)).into());
        if let Self::Active(token) = self {
            if let Some(token_type) = token.token_type {
                object.insert("token_type".to_owned(), token_type.as_str().into());
            }
            object.extend(token.members.clone());
        }
        serde_json::Value::Object(object)
    }

    /// As a JWT for that caller. `sub` and `exp` are those of the token and stay inside, so that the response cannot be
    /// taken for an access or ID token (RFC 9701 §5, §8.1).
    ///
    /// # Errors
    /// [`SignError`] where the signer cannot sign.
    pub fn sign(
        &self,
        signer: &impl Signer,
        kid: Option<&str>,
        (iss, aud): (&str, &str),
        iat: UnixTime,
    ) -> Result<String, SignError> {
        let claims =
            json!({ "iss": iss, "aud": aud, "iat": iat.as_secs(), "token_introspection": self.to_json() });
        jws::sign(signer, TYP, kid, claims.to_string().as_bytes())
    }

    /// Reads a response from a JWT whose signature has been verified with the issuer's keys; `aud` must be us.
    ///
    /// # Errors
    /// [`IntrospectionError`] names what is wrong.
    pub fn read_jwt(jwt: &VerifiedJwt, iss: &str, aud: &str) -> Result<Self, IntrospectionError> {
        let header = jwt.header().map_err(|_| IntrospectionError::NotJson)?;
        let typ = header.string("typ")?.unwrap_or_default();
        if ![TYP, MEDIA_TYPE].iter().any(|known| known.eq_ignore_ascii_case(typ)) {
            return Err(IntrospectionError::Mismatch("typ"));
        }
        let claims = jwt.claims().map_err(|_| IntrospectionError::NotJson)?;
        if claims.string("iss")? != Some(iss) {
            return Err(IntrospectionError::Mismatch("iss"));
        }
        if !Audience::read(&claims)?.is_some_and(|audience| audience.contains(aud)) {
            return Err(IntrospectionError::Mismatch("aud"));
        }
        claims.numeric_date("iat")?.ok_or(IntrospectionError::Member("iat"))?;
        let all: Map<String, serde_json::Value> =
            serde_json::from_slice(jwt.payload()).map_err(|_| IntrospectionError::NotJson)?;
        let inner =
            all.get("token_introspection").ok_or(IntrospectionError::Member("token_introspection"))?;
        Self::parse(inner.to_string().as_bytes())
    }
}

impl ActiveToken {
    /// The members that a resource goes by.
    ///
    /// # Errors
    /// [`IntrospectionError`] names the member that is malformed; a binding that cannot be relied on is one (DPOP-CNF-05).
    pub fn claims(&self) -> Result<ActiveClaims, IntrospectionError> {
        let json = serde_json::Value::Object(self.members.clone()).to_string();
        let object = Object::parse(json.as_bytes()).map_err(|_| IntrospectionError::NotJson)?;
        let text = |name| object.string(name).map(|value| value.map(str::to_owned));
        let confirmation = Confirmation::read(&object);
        if matches!(confirmation, Confirmation::Unusable(_)) {
            return Err(IntrospectionError::Member("cnf"));
        }
        let scope = object.string("scope")?.map(Scope::parse).transpose();
        Ok(ActiveClaims {
            confirmation,
            scope: scope.map_err(|_| IntrospectionError::Member("scope"))?.unwrap_or_default(),
            client_id: text("client_id")?,
            sub: text("sub")?,
            iss: text("iss")?,
            aud: Audience::read(&object)?,
            exp: object.numeric_date("exp")?,
            jti: text("jti")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
    use keybound_dpop::jose::jws::UnverifiedJwt;
    use keybound_dpop::jose::signer::SigningKey;

    const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

    fn active() -> IntrospectionResponse {
        let members = json!({ "sub": "u-1", "scope": "read", "exp": 1600, "aud": "https://api.example/",
                              "cnf": { "jkt": JKT } });
        let members = members.as_object().expect("an object").clone();
        IntrospectionResponse::Active(Box::new(ActiveToken { token_type: Some(TokenType::Dpop), members }))
    }

    #[test]
    fn what_is_written_is_read_back() {
        for token_type_hint in [None, Some("access_token".to_owned())] {
            let request = IntrospectionRequest { token: Secret::new("a.b.c"), token_type_hint };
            let form = Form::parse(request.to_form().finish().as_bytes()).expect("a form");
            assert_eq!(IntrospectionRequest::parse(&form), Ok(request));
        }
        for response in [active(), IntrospectionResponse::Inactive] {
            let json = response.to_json().to_string();
            assert_eq!(IntrospectionResponse::parse(json.as_bytes()), Ok(response));
        }
        assert_eq!(IntrospectionResponse::Inactive.to_json().to_string(), r#"{"active":false}"#);
    }

    #[test]
    fn the_binding_and_the_rest_are_read() {
        let IntrospectionResponse::Active(token) = active() else { panic!("active") };
        let claims = token.claims().expect("claims");
        assert!(matches!(claims.confirmation, Confirmation::Jkt(jkt) if jkt.to_string() == JKT));
        assert_eq!((claims.sub.as_deref(), claims.exp), (Some("u-1"), Some(UnixTime::from_secs(1600))));
        for (member, value) in
            [("cnf", json!({ "jkt": "short" })), ("exp", json!("1600")), ("scope", json!(["a"]))]
        {
            let mut members = token.members.clone();
            members.insert(member.to_owned(), value);
            let spoilt = ActiveToken { token_type: None, members };
            assert_eq!(spoilt.claims(), Err(IntrospectionError::Member(member)));
        }
    }

    #[test]
    fn what_says_neither_yes_nor_no_is_refused() {
        for bad in ["", "[]", "{}", r#"{"active":"true"}"#, r#"{"active":true,"active":false}"#] {
            assert!(IntrospectionResponse::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let other = IntrospectionResponse::parse(br#"{"active":true,"token_type":"mac"}"#);
        assert_eq!(other, Err(IntrospectionError::Member("token_type")));
    }

    #[test]
    fn as_int_07_a_signed_response_is_for_one_caller_and_of_its_own_kind() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let verified = |compact: &str| {
            let jwt = UnverifiedJwt::parse(compact).expect("a JWT");
            jwt.verify(AlgorithmSet::default(), [key.public_jwk()].into_iter()).expect("verified")
        };
        let parties = ("https://id.example", "api");
        for response in [active(), IntrospectionResponse::Inactive] {
            let compact = response.sign(&key, Some("k"), parties, UnixTime::from_secs(1000)).expect("signed");
            let jwt = verified(&compact);
            assert_eq!(IntrospectionResponse::read_jwt(&jwt, parties.0, parties.1), Ok(response));
            for (iss, aud, wrong) in [("https://other.example", "api", "iss"), (parties.0, "other", "aud")] {
                let read = IntrospectionResponse::read_jwt(&jwt, iss, aud);
                assert_eq!(read, Err(IntrospectionError::Mismatch(wrong)));
            }
            let claims = jwt.claims().expect("claims");
            assert!(!claims.has("sub") && !claims.has("exp"));
        }
        let other = verified(&jws::sign(&key, "at+jwt", None, b"{}").expect("signed"));
        let read = IntrospectionResponse::read_jwt(&other, parties.0, parties.1);
        assert_eq!(read, Err(IntrospectionError::Mismatch("typ")));
    }
}
