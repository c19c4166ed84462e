//! How a client shows who it is (RFC 6749 §2.3, OpenID Connect Core §9, RFC 7523): what a request presents, and the
//! assertion of `private_key_jwt`. Whether it convinces is the server's to decide.

use crate::audience::Audience;
use crate::error::ErrorCode;
use crate::form::{Form, FormWriter, decode, encode};
use crate::identifier::{ClientId, Issuer};
use data_encoding::BASE64;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use keybound_dpop::jose::json::{Object, WrongType};
use keybound_dpop::jose::jws;
use keybound_dpop::jose::signer::{SignError, Signer};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;

/// The one value of `client_assertion_type` that we take (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a request shows of its client; not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// Just a `client_id`.
    None {
        /// `client_id`
        client_id: ClientId,
    },
    /// A secret in the `Authorization` header.
    Basic {
        /// The user name, decoded.
        client_id: ClientId,
        /// The password, decoded.
        client_secret: Secret,
    },
    /// A secret in the body.
    Post {
        /// `client_id`
        client_id: ClientId,
        /// `client_secret`
        client_secret: Secret,
    },
    /// A JWT under the client's key.
    Assertion {
        /// `client_id`, where it was sent; it must be the one in the assertion.
        client_id: Option<ClientId>,
        /// `client_assertion`
        assertion: Secret,
    },
}

/// Why a request does not say who its client is. The sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientAuthError {
    /// No `client_id` and no credentials.
    #[error("client authentication is missing: send `client_id`, and the client's credentials if it has any")]
    Missing,
    /// More than one method in a request (RFC 6749 §2.3).
    #[error("more than one method of client authentication was used")]
    Several,
    /// The `Authorization` header is not Basic credentials.
    #[error("the Authorization header does not hold Basic credentials (RFC 6749 section 2.3.1)")]
    Header,
    /// A parameter is malformed.
    #[error("`{0}` is missing or malformed")]
    Parameter(&'static str),
    /// The `client_id` in the body is not the client that authenticates (AS-CA-10).
    #[error("`client_id` is not the client that authenticates")]
    Mismatch,
}

impl ClientAuthError {
    /// The code to answer with.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Several => ErrorCode::InvalidRequest,
            Self::Missing | Self::Header | Self::Parameter(_) | Self::Mismatch => ErrorCode::InvalidClient,
        }
    }
}

impl Presented {
    /// Reads what the headers and the body of a request show.
    ///
    /// # Errors
    /// [`ClientAuthError`]
    pub fn read(headers: &HeaderMap, form: &Form) -> Result<Self, ClientAuthError> {
        let mut authorization = headers.get_all(AUTHORIZATION).iter();
        let header = authorization.next();
        let has_assertion = form.has("client_assertion") || form.has("client_assertion_type");
        let has_secret = form.has("client_secret");
        let methods = usize::from(header.is_some()) + usize::from(has_assertion) + usize::from(has_secret);
        if methods > 1 || authorization.next().is_some() {
            return Err(ClientAuthError::Several);
        }
        let client_id = form.get("client_id").map(ClientId::parse).transpose();
        let client_id = client_id.map_err(|_| ClientAuthError::Parameter("client_id"))?;
        if let Some(header) = header {
            return Self::read_basic(header, client_id.as_ref());
        }
        if has_assertion {
            if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
                return Err(ClientAuthError::Parameter("client_assertion_type"));
            }
            let assertion = form.secret("client_assertion");
            let assertion = assertion.ok_or(ClientAuthError::Parameter("client_assertion"))?;
            return Ok(Self::Assertion { client_id, assertion });
        }
        match (client_id, form.secret("client_secret")) {
            (Some(client_id), Some(client_secret)) => Ok(Self::Post { client_id, client_secret }),
            (Some(client_id), None) => Ok(Self::None { client_id }),
            (None, Some(_)) => Err(ClientAuthError::Parameter("client_id")),
            (None, None) => Err(ClientAuthError::Missing),
        }
    }

    /// Both halves are form-encoded, then put together and base64-encoded (RFC 6749 §2.3.1).
    fn read_basic(header: &HeaderValue, in_body: Option<&ClientId>) -> Result<Self, ClientAuthError> {
        let (client_id, client_secret) = basic_credentials(header).ok_or(ClientAuthError::Header)?;
        if in_body.is_some_and(|in_body| *in_body != client_id) {
            return Err(ClientAuthError::Mismatch);
        }
        Ok(Self::Basic { client_id, client_secret })
    }

    /// Adds what is shown to a request: parameters to the form, or the value of an `Authorization` header.
    #[must_use]
    pub fn write(&self, form: FormWriter) -> (FormWriter, Option<Secret>) {
        match self {
            Self::None { client_id } => (form.pair("client_id", client_id.as_str()), None),
            Self::Basic { client_id, client_secret } => {
                let pair = format!("{}:{}", encode(client_id.as_str()), encode(client_secret.reveal()));
                (
                    form,
                    Some(Secret::new(format!(
                        "Basic {}",
                        BASE64.encode(Secret::new(pair).reveal().as_bytes())
                    ))),
                )
            }
            Self::Post { client_id, client_secret } => {
                let form = form.pair("client_id", client_id.as_str());
                (form.pair("client_secret", client_secret.reveal()), None)
            }
            Self::Assertion { client_id, assertion } => {
                let form = form.optional("client_id", client_id.as_ref().map(ClientId::as_str));
                let form = form.pair("client_assertion_type", ASSERTION_TYPE);
                (form.pair("client_assertion", assertion.reveal()), None)
            }
        }
    }
}

fn basic_credentials(header: &HeaderValue) -> Option<(ClientId, Secret)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let pair = Secret::new(String::from_utf8(BASE64.decode(encoded.trim_start().as_bytes()).ok()?).ok()?);
    let (name, password) = pair.reveal().split_once(':')?;
    let client_id = ClientId::parse(&decode(name.as_bytes())?).ok()?;
    Some((client_id, Secret::new(decode(password.as_bytes())?)))
}

/// The claims of a client's assertion (RFC 7523 §3, OpenID Connect Core §9), as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionClaims {
    /// `iss`
    pub iss: Option<String>,
    /// `sub`
    pub sub: Option<String>,
    /// `aud`
    pub aud: Option<Audience>,
    /// `exp`
    pub exp: Option<UnixTime>,
    /// `iat`
    pub iat: Option<UnixTime>,
    /// `nbf`
    pub nbf: Option<UnixTime>,
    /// `jti`
    pub jti: Option<String>,
}

impl AssertionClaims {
    /// Reads the claims of a JWT, before or after its signature is verified.
    ///
    /// # Errors
    /// [`WrongType`] where a claim has another type than its definition says.
    pub fn read(claims: &Object<'_>) -> Result<Self, WrongType> {
        let text = |name| claims.string(name).map(|value| value.map(str::to_owned));
        Ok(Self {
            iss: text("iss")?,
            sub: text("sub")?,
            aud: Audience::read(claims)?,
            exp: claims.numeric_date("exp")?,
            iat: claims.numeric_date("iat")?,
            nbf: claims.numeric_date("nbf")?,
            jti: text("jti")?,
        })
    }
}

/// For how long an assertion of ours is good: one request.
const ASSERTION_LIFETIME_SECS: u64 = 60;

/// Writes an assertion for one request, to that issuer and no one else.
///
/// # Errors
/// [`SignError`] where the signer cannot sign.
pub fn sign_assertion(
    signer: &impl Signer,
    kid: Option<&str>,
    client_id: &ClientId,
    issuer: &Issuer,
    now: UnixTime,
    jti: &str,
) -> Result<Secret, SignError> {
    let claims = serde_json::json!({
        "iss": client_id.as_str(),
        "sub": client_id.as_str(),
        "aud": issuer.as_str(),
        "iat": now.as_secs(),
        "exp": now.plus_secs(ASSERTION_LIFETIME_SECS).as_secs(),
        "jti": jti,
    });
    jws::sign(signer, "JWT", kid, claims.to_string().as_bytes()).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
    use keybound_dpop::jose::jws::UnverifiedJwt;
    use keybound_dpop::jose::signer::SigningKey;

    fn client(text: &str) -> ClientId {
        ClientId::parse(text).expect("a client")
    }

    fn read(authorization: &[&str], body: &str) -> Result<Presented, ClientAuthError> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).expect("a header"));
        }
        Presented::read(&headers, &Form::parse(body.as_bytes()).expect("a form"))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let secret = || Secret::new("a:b%2F+ü ");
        for presented in [
            Presented::None { client_id: client("app") },
            Presented::Basic { client_id: client("a:p p%"), client_secret: secret() },
            Presented::Post { client_id: client("app"), client_secret: secret() },
            Presented::Assertion { client_id: Some(client("app")), assertion: Secret::new("a.b.c") },
            Presented::Assertion { client_id: None, assertion: Secret::new("a.b.c") },
        ] {
            let (form, header) = presented.write(FormWriter::new());
            let headers: Vec<&str> = header.iter().map(Secret::reveal).collect();
            assert_eq!(read(&headers, &form.finish()), Ok(presented));
        }
    }

    #[test]
    fn as_ca_07_one_method_only() {
        let basic = "Basic YTpi";
        let assertion = format!("client_assertion=a.b.c&client_assertion_type={ASSERTION_TYPE}");
        for (headers, body) in [
            (&[basic][..], "client_secret=b".to_owned()),
            (&[basic], assertion.clone()),
            (&[basic, basic], String::new()),
            (&[], format!("client_id=a&client_secret=b&{assertion}")),
        ] {
            let error = read(headers, &body).expect_err(&body);
            assert_eq!(
                (error, error.code()),
                (ClientAuthError::Several, ErrorCode::InvalidRequest),
                "{body}"
            );
        }
    }

    #[test]
    fn as_ca_08_basic_credentials_are_form_decoded() {
        let header = format!("basic {}", BASE64.encode(b"my+app:a%3Ab%252F%2B"));
        let expected =
            Presented::Basic { client_id: client("my app"), client_secret: Secret::new("a:b%2F+") };
        assert_eq!(read(&[&header], ""), Ok(expected));
    }

    #[test]
    fn as_ca_10_the_client_in_the_body_is_the_same() {
        let header = format!("Basic {}", BASE64.encode(b"app:s"));
        assert!(read(&[&header], "client_id=app").is_ok());
        let error = read(&[&header], "client_id=other").expect_err("refused");
        assert_eq!((error, error.code()), (ClientAuthError::Mismatch, ErrorCode::InvalidClient));
    }

    #[test]
    fn what_says_nothing_is_refused() {
        assert_eq!(read(&[], ""), Err(ClientAuthError::Missing));
        assert_eq!(read(&[], "client_secret=s"), Err(ClientAuthError::Parameter("client_id")));
        let no_colon = format!("Basic {}", BASE64.encode(b"app"));
        let bad_percent = format!("Basic {}", BASE64.encode(b"app:%zz"));
        for header in ["Bearer abc", "DPoP abc", "Basic", "Basic !", "Basic YTpi=", &no_colon, &bad_percent] {
            assert_eq!(read(&[header], ""), Err(ClientAuthError::Header), "{header}");
        }
        let parameter = |name| Err(ClientAuthError::Parameter(name));
        assert_eq!(read(&[], "client_assertion=a.b.c"), parameter("client_assertion_type"));
        let only_type = format!("client_assertion_type={ASSERTION_TYPE}");
        assert_eq!(read(&[], &only_type), parameter("client_assertion"));
    }

    #[test]
    fn as_ca_01_assertions_are_read_back() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let issuer = Issuer::parse("https://id.example").expect("an issuer");
        let now = UnixTime::from_secs(1000);
        let app = client("app");
        let assertion = sign_assertion(&key, Some("k"), &app, &issuer, now, "j-1").expect("signed");
        let jwt = UnverifiedJwt::parse(assertion.reveal()).expect("a JWT");
        let jwt = jwt.verify(AlgorithmSet::default(), [key.public_jwk()].into_iter()).expect("verified");
        let expected = AssertionClaims {
            iss: Some("app".to_owned()),
            sub: Some("app".to_owned()),
            aud: Some(Audience::One("https://id.example".to_owned())),
            exp: Some(UnixTime::from_secs(1060)),
            iat: Some(now),
            nbf: None,
            jti: Some("j-1".to_owned()),
        };
        assert_eq!(AssertionClaims::read(&jwt.claims().expect("claims")), Ok(expected));
        let odd = Object::parse(br#"{"sub":1}"#).expect("JSON");
        assert!(AssertionClaims::read(&odd).is_err());
    }
}
