//! Request objects: the authorization request as a JWT that its client signed (RFC 9101, OpenID Connect Core §6). What a
//! client writes, and what a server reads of one whose signature it has verified. None is unsigned, none encrypted.

use crate::audience::Audience;
use crate::authorization::AuthorizationRequest;
use crate::form::{Form, FormWriter};
use crate::identifier::{ClientId, Issuer};
use keybound_dpop::jose::json::{Object, WrongType};
use keybound_dpop::jose::jws::{self, JwtError, UnverifiedJwt, VerifiedJwt};
use keybound_dpop::jose::signer::{SignError, Signer};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use serde_json::{Map, Value};

/// `typ` of the header, as we write it (RFC 9101 §10.8).
pub const TYP: &str = "oauth-authz-req+jwt";

/// How old `nbf` may be, and how far behind it `exp`, in seconds (FAPI 2.0 Message Signing §5.3.1).
pub const MAX_LIFE_SECS: u64 = 3600;
/// How far ahead `nbf` may be, in seconds.
pub const MAX_AHEAD_SECS: u64 = 60;

/// Claims that are about the JWT and not about the request.
const ABOUT_THE_JWT: [&str; 7] = ["iss", "aud", "sub", "exp", "nbf", "iat", "jti"];
/// Parameters that are texts, so that a claim of another type is a mistake and not an extension.
const TEXTS: [&str; 18] = [
    "response_type",
    "redirect_uri",
    "response_mode",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "nonce",
    "prompt",
    "acr_values",
    "display",
    "ui_locales",
    "claims_locales",
    "login_hint",
    "id_token_hint",
    "client_id",
    "registration",
];

/// What a request object says of itself.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// `iss` and `client_id`
    pub client_id: &'a ClientId,
    /// `aud`: the issuer, and no one else.
    pub issuer: &'a Issuer,
    /// `jti`
    pub jti: Option<&'a str>,
    /// `iat` and `nbf`
    pub nbf: UnixTime,
    /// `exp`
    pub exp: UnixTime,
}

/// Signs a request.
///
/// # Errors
/// [`SignError`] where the signer cannot sign.
pub fn sign(
    request: &AuthorizationRequest,
    about: &About<'_>,
    (signer, kid): (&impl Signer, Option<&str>),
) -> Result<Secret, SignError> {
    let mut claims = to_claims(request);
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("client_id", about.client_id.as_str().into());
    put("iss", about.client_id.as_str().into());
    put("aud", about.issuer.as_str().into());
    put("iat", about.nbf.as_secs().into());
    put("nbf", about.nbf.as_secs().into());
    put("exp", about.exp.as_secs().into());
    if let Some(jti) = about.jti {
        put("jti", jti.into());
    }
    jws::sign(signer, TYP, kid, Value::Object(claims).to_string().as_bytes()).map(Secret::new)
}

/// Texts, but for `max_age`, a number, `claims`, an object, `authorization_details`, an array, and `resource` where there are several.
fn to_claims(request: &AuthorizationRequest) -> Map<String, Value> {
    let request = AuthorizationRequest { request: None, request_uri: None, ..request.clone() };
    let form = Form::parse_query(&request.to_form().finish()).unwrap_or_default();
    let mut claims = Map::new();
    for name in form.names() {
        let text = form.get(name).unwrap_or_default();
        let value = match name {
            "resource" if form.all(name).count() > 1 => form.all(name).collect(),
            "max_age" => text.parse::<u64>().map_or_else(|_| text.into(), Value::from),
            "claims" | "authorization_details" => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            _ => text.into(),
        };
        claims.insert(name.to_owned(), value);
    }
    claims
}

/// Why a request object cannot be used. The client's fault; to be answered with `invalid_request_object`. Says what was
/// expected, never what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestObjectError {
    /// Five parts: a JWE.
    #[error("the request object must be signed and not encrypted")]
    Encrypted,
    /// Not a JWT, or one without a signature.
    #[error("the request object must be a signed JWT")]
    Malformed,
    /// `typ` says that it is something else.
    #[error("`typ` of a request object must be {TYP} or left out")]
    Type,
    /// A request object in a request object (RFC 9101 §4).
    #[error("a request object must not hold `request` or `request_uri`")]
    Nested,
    /// `client_id` or `iss` is not the client.
    #[error("`{0}` of the request object must be the client_id")]
    Client(&'static str),
    /// `aud` is somebody else.
    #[error("`aud` of the request object must be the issuer")]
    Audience,
    /// `sub` is the client: this may be a client assertion (RFC 9101 §10.8).
    #[error("a request object must not have the client as `sub`")]
    Subject,
    /// A time is missing or not within bounds.
    #[error("`{0}` of the request object must be there and within bounds; compare the clocks")]
    Time(&'static str),
    /// A claim has another type than its definition says.
    #[error("in the request object {0}")]
    WrongType(#[from] WrongType),
    /// A parameter has another type than its definition says.
    #[error("the parameters of a request object must have the types of their definitions")]
    Parameter,
}

/// Reads a request object before its signature is verified. `typ` may be left out, or be `JWT` (OpenID Connect).
///
/// # Errors
/// [`RequestObjectError`]
pub fn parse(object: &str) -> Result<UnverifiedJwt<'_>, RequestObjectError> {
    if object.split('.').take(6).count() == 5 {
        return Err(RequestObjectError::Encrypted);
    }
    let jwt = UnverifiedJwt::parse(object).map_err(|_: JwtError| RequestObjectError::Malformed)?;
    let header = jwt.header().map_err(|_| RequestObjectError::Malformed)?;
    let typ = header.string("typ")?.unwrap_or(TYP);
    let is_ours = [TYP, "application/oauth-authz-req+jwt", "JWT"];
    match is_ours.iter().any(|known| known.eq_ignore_ascii_case(typ)) {
        true => Ok(jwt),
        false => Err(RequestObjectError::Type),
    }
}

/// Reads the parameters, in the form that a browser would have brought them in. Times are looked at by [`check_times`].
///
/// # Errors
/// [`RequestObjectError`] names the first claim that is wrong.
pub fn parameters(
    jwt: &VerifiedJwt,
    client_id: &ClientId,
    issuer: &Issuer,
) -> Result<Form, RequestObjectError> {
    let claims = jwt.claims().map_err(|_| RequestObjectError::Malformed)?;
    check_parties(&claims, client_id, issuer)?;
    let claims: Map<String, Value> =
        serde_json::from_slice(jwt.payload()).map_err(|_| RequestObjectError::Malformed)?;
    let mut text = FormWriter::new();
    for (name, value) in claims.iter().filter(|(name, _)| !ABOUT_THE_JWT.contains(&name.as_str())) {
        text = match (name.as_str(), value) {
            (_, Value::String(value)) => text.pair(name, value),
            ("max_age", Value::Number(number)) => text.pair(name, &number.to_string()),
            ("claims" | "registration", Value::Object(_)) | ("authorization_details", Value::Array(_)) => {
                text.pair(name, &value.to_string())
            }
            ("resource", Value::Array(items)) => {
                let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                text.each(name, items.ok_or(RequestObjectError::Parameter)?.into_iter())
            }
            ("max_age" | "claims" | "resource" | "authorization_details", _) => {
                return Err(RequestObjectError::Parameter);
            }
            (name, _) if TEXTS.contains(&name) => return Err(RequestObjectError::Parameter),
            _ => text,
        };
    }
    Form::parse_query(&text.finish()).map_err(|_| RequestObjectError::Parameter)
}

/// RFC 9101 §4, §5, §10.8.
fn check_parties(
    claims: &Object<'_>,
    client_id: &ClientId,
    issuer: &Issuer,
) -> Result<(), RequestObjectError> {
    if claims.has("request") || claims.has("request_uri") {
        return Err(RequestObjectError::Nested);
    }
    for name in ["client_id", "iss"] {
        if claims.string(name)? != Some(client_id.as_str()) {
            return Err(RequestObjectError::Client(name));
        }
    }
    if !Audience::read(claims)?.is_some_and(|aud| aud.contains(issuer.as_str())) {
        return Err(RequestObjectError::Audience);
    }
    if claims.string("sub")? == Some(client_id.as_str()) {
        return Err(RequestObjectError::Subject);
    }
    Ok(())
}

/// Checks `exp` and `nbf`, where they are there; with `needed` they must be, and near (FAPI 2.0 Message Signing §5.3.1).
///
/// # Errors
/// [`RequestObjectError::Time`]
pub fn check_times(jwt: &VerifiedJwt, now: UnixTime, needed: bool) -> Result<(), RequestObjectError> {
    let claims = jwt.claims().map_err(|_| RequestObjectError::Malformed)?;
    let (exp, nbf) = (claims.numeric_date("exp")?, claims.numeric_date("nbf")?);
    if exp.is_some_and(|exp| exp <= now) {
        return Err(RequestObjectError::Time("exp"));
    }
    if nbf.is_some_and(|nbf| nbf > now.plus_secs(MAX_AHEAD_SECS)) {
        return Err(RequestObjectError::Time("nbf"));
    }
    if !needed {
        return Ok(());
    }
    let nbf = nbf.filter(|nbf| nbf.plus_secs(MAX_LIFE_SECS) >= now).ok_or(RequestObjectError::Time("nbf"))?;
    match exp {
        Some(exp) if exp <= nbf.plus_secs(MAX_LIFE_SECS) => Ok(()),
        _ => Err(RequestObjectError::Time("exp")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorization::Prompt;
    use crate::authorization_details::AuthorizationDetails;
    use crate::claims_request::ClaimsRequest;
    use crate::identifier::ResourceId;
    use crate::scope::Scope;
    use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
    use keybound_dpop::jose::signer::SigningKey;

    const NOW: UnixTime = UnixTime::from_secs(100_000);

    fn client() -> ClientId {
        ClientId::parse("app").expect("a client")
    }

    fn issuer() -> Issuer {
        Issuer::parse("https://id.example").expect("an issuer")
    }

    fn verified(key: &SigningKey, object: &str) -> VerifiedJwt {
        let jwt = parse(object).expect("a request object");
        jwt.verify(AlgorithmSet::default(), [key.public_jwk()].into_iter()).expect("verified")
    }

    fn read(claims: &Value) -> Result<Form, RequestObjectError> {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let object = jws::sign(&key, TYP, None, claims.to_string().as_bytes()).expect("signed");
        parameters(&verified(&key, &object), &client(), &issuer())
    }

    fn good() -> Value {
        serde_json::json!({ "client_id": "app", "iss": "app", "aud": "https://id.example", "state": "s" })
    }

    #[test]
    fn as_jar_05_what_is_written_is_read_back() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let text = |value: &str| Some(value.to_owned());
        let request = AuthorizationRequest {
            client_id: Some(client()),
            response_type: text("code"),
            redirect_uri: text("https://app.example/cb?x=1&y"),
            scope: Scope::parse("openid read").ok(),
            state: text("ü &="),
            resources: ["https://a.example/", "urn:b"].map(|r| ResourceId::parse(r).expect("one")).to_vec(),
            prompt: vec![Prompt::Login],
            authorization_details: AuthorizationDetails::parse(r#"[{"type":"a"}]"#).expect("details"),
            max_age_secs: Some(0),
            claims: ClaimsRequest::parse(r#"{"userinfo":{"email":null}}"#).expect("claims"),
            ..AuthorizationRequest::default()
        };
        let (client_id, issuer) = (client(), issuer());
        let about =
            About { client_id: &client_id, issuer: &issuer, jti: None, nbf: NOW, exp: NOW.plus_secs(60) };
        let nested = AuthorizationRequest { request: text("a.b.c"), ..request.clone() };
        for written in [&request, &nested] {
            let object = sign(written, &about, (&key, Some("k"))).expect("signed");
            let jwt = parse(object.reveal()).expect("a request object");
            assert_eq!(jwt.header().expect("a header").string("typ"), Ok(Some("oauth-authz-req+jwt")));
            let jwt = verified(&key, object.reveal());
            let form = parameters(&jwt, &client_id, &issuer).expect("parameters");
            assert_eq!(AuthorizationRequest::parse(&form), Ok(request.clone()));
            assert_eq!(check_times(&jwt, NOW, true), Ok(()));
        }
    }

    #[test]
    fn as_jar_05_another_kind_of_jwt_is_refused() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let with = |typ: &str| jws::sign(&key, typ, None, good().to_string().as_bytes()).expect("signed");
        for typ in ["oauth-authz-req+jwt", "application/OAuth-Authz-Req+jwt", "JWT"] {
            assert!(parse(&with(typ)).is_ok(), "{typ}");
        }
        for typ in ["dpop+jwt", "at+jwt", "client-authentication+jwt", "logout+jwt", ""] {
            assert_eq!(parse(&with(typ)).expect_err(typ), RequestObjectError::Type, "{typ}");
        }
    }

    #[test]
    fn as_jar_08_encrypted_and_unsigned_ones_are_refused() {
        assert_eq!(parse("a.b.c.d.e").expect_err("refused"), RequestObjectError::Encrypted);
        for bad in ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e.f", "eyJhbGciOiJub25lIn0.e30."] {
            assert_eq!(parse(bad).expect_err(bad), RequestObjectError::Malformed, "{bad}");
        }
    }

    #[test]
    fn as_jar_03_as_jar_04_each_claim_about_the_jwt_is_checked() {
        assert_eq!(read(&good()).expect("good").get("state"), Some("s"));
        for (name, value, error) in [
            ("client_id", "other".into(), RequestObjectError::Client("client_id")),
            ("iss", "other".into(), RequestObjectError::Client("iss")),
            ("aud", "https://other.example".into(), RequestObjectError::Audience),
            ("aud", serde_json::json!([]), RequestObjectError::Audience),
            ("sub", "app".into(), RequestObjectError::Subject),
            ("request", "a.b.c".into(), RequestObjectError::Nested),
            ("request_uri", "urn:a".into(), RequestObjectError::Nested),
        ] {
            let mut claims = good();
            claims[name] = value;
            assert_eq!(read(&claims), Err(error), "{name}");
        }
        for name in ["client_id", "iss", "aud"] {
            let mut claims = good();
            claims.as_object_mut().expect("an object").remove(name);
            assert!(read(&claims).is_err(), "{name}");
        }
        let mut several = good();
        several["aud"] = serde_json::json!(["https://id.example", "https://other.example"]);
        assert!(read(&several).is_ok());
    }

    #[test]
    fn parameters_have_their_types_and_extensions_are_passed_over() {
        for (name, value) in [
            ("state", serde_json::json!(7)),
            ("scope", serde_json::json!(["read"])),
            ("resource", serde_json::json!([7])),
            ("resource", serde_json::json!(7)),
            ("max_age", serde_json::json!([])),
            ("nonce", Value::Null),
        ] {
            let mut claims = good();
            claims[name] = value;
            assert_eq!(read(&claims), Err(RequestObjectError::Parameter), "{name}");
        }
        let mut claims = good();
        claims["extension"] = serde_json::json!({ "a": [1] });
        claims["max_age"] = 10.into();
        let form = read(&claims).expect("parameters");
        assert_eq!((form.has("extension"), form.get("max_age"), form.has("iss")), (false, Some("10"), false));
    }

    #[test]
    fn fms_02_times_are_within_bounds() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let check = |nbf: Option<u64>, exp: Option<u64>, needed| {
            let mut claims = good();
            for (name, time) in [("nbf", nbf), ("exp", exp)] {
                if let Some(time) = time {
                    claims[name] = time.into();
                }
            }
            let object = jws::sign(&key, TYP, None, claims.to_string().as_bytes()).expect("signed");
            check_times(&verified(&key, &object), NOW, needed)
        };
        let now = NOW.as_secs();
        for (nbf, exp, free, needed) in [
            (Some(now), Some(now + 60), true, true),
            (Some(now + 10), Some(now + 60), true, true),
            (Some(now - 3600), Some(now), false, false),
            (Some(now - 3599), Some(now + 1), true, true),
            (Some(now - 3601), Some(now + 1), true, false),
            (Some(now), Some(now + 3600), true, true),
            (Some(now), Some(now + 3601), true, false),
            (Some(now + 61), Some(now + 120), false, false),
            (Some(now), None, true, false),
            (None, Some(now + 60), true, false),
            (None, None, true, false),
        ] {
            assert_eq!(check(nbf, exp, false).is_ok(), free, "{nbf:?} {exp:?}");
            assert_eq!(check(nbf, exp, true).is_ok(), needed, "{nbf:?} {exp:?}");
        }
    }
}
