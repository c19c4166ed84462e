//! The token request and its response (RFC 6749 §4.1.3, §4.4.2, §5.1, §6; RFC 8707 §2.2; RFC 9449 §5).

use crate::authorization::read_resources;
use crate::authorization_details::AuthorizationDetails;
use crate::error::{ErrorCode, Problem};
use crate::form::{Form, FormWriter};
use crate::identifier::ResourceId;
use crate::pkce::CodeVerifier;
use crate::scope::Scope;
use crate::token_exchange::{self, TokenExchangeRequest};
use keybound_dpop::jose::json::{Object, Value};
use keybound_dpop::jose::object_writer::ObjectWriter;
use keybound_dpop::secret::Secret;
use std::fmt;

/// `grant_type` of a device code (RFC 8628 §3.4).
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What a client hands in to get tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantRequest {
    /// `authorization_code`
    AuthorizationCode {
        /// `code`
        code: Secret,
        /// `redirect_uri`, as text.
        redirect_uri: Option<String>,
        /// `code_verifier`
        code_verifier: Option<CodeVerifier>,
    },
    /// `refresh_token`
    RefreshToken {
        /// `refresh_token`
        refresh_token: Secret,
        /// `scope`: the same or less.
        scope: Option<Scope>,
    },
    /// `client_credentials`
    ClientCredentials {
        /// `scope`
        scope: Option<Scope>,
    },
    /// `urn:ietf:params:oauth:grant-type:device_code` (RFC 8628 §3.4)
    DeviceCode {
        /// `device_code`
        device_code: Secret,
    },
    /// `urn:ietf:params:oauth:grant-type:token-exchange`
    TokenExchange(Box<TokenExchangeRequest>),
    /// A grant type that is not in this file.
    Other(String),
}

impl GrantRequest {
    /// What is handed in for tokens, and nobody else is to see.
    #[must_use]
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::AuthorizationCode { code, code_verifier, .. } => {
                code_verifier.iter().map(CodeVerifier::secret).chain([code]).collect()
            }
            Self::RefreshToken { refresh_token, .. } => vec![refresh_token],
            Self::DeviceCode { device_code } => vec![device_code],
            Self::TokenExchange(exchange) => {
                exchange.actor.iter().chain([&exchange.subject]).map(|typed| &typed.token).collect()
            }
            Self::ClientCredentials { .. } | Self::Other(_) => Vec::new(),
        }
    }
}

/// A token request, without the part that says who the client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// The grant.
    pub grant: GrantRequest,
    /// `resource`, any number of times.
    pub resources: Vec<ResourceId>,
    /// `authorization_details` (RFC 9396 §6)
    pub authorization_details: AuthorizationDetails,
}

impl TokenRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Problem`] names the parameter that is missing or malformed.
    pub fn parse(form: &Form) -> Result<Self, Problem> {
        let missing = |parameter| Problem {
            code: ErrorCode::InvalidRequest,
            parameter,
            expected: "sent with this grant type",
        };
        let grant = match form.get("grant_type") {
            None => return Err(Problem { expected: "sent", ..missing("grant_type") }),
            Some("authorization_code") => GrantRequest::AuthorizationCode {
                code: form.secret("code").ok_or(missing("code"))?,
                redirect_uri: form.get("redirect_uri").map(str::to_owned),
                code_verifier: read_verifier(form)?,
            },
            Some("refresh_token") => GrantRequest::RefreshToken {
                refresh_token: form.secret("refresh_token").ok_or(missing("refresh_token"))?,
                scope: read_scope(form)?,
            },
            Some("client_credentials") => GrantRequest::ClientCredentials { scope: read_scope(form)? },
            Some(DEVICE_CODE) => GrantRequest::DeviceCode {
                device_code: form.secret("device_code").ok_or(missing("device_code"))?,
            },
            Some(token_exchange::GRANT_TYPE) => {
                GrantRequest::TokenExchange(Box::new(TokenExchangeRequest::parse(form)?))
            }
            Some(other) => GrantRequest::Other(other.to_owned()),
        };
        let authorization_details = AuthorizationDetails::read(form)?;
        Ok(Self { grant, resources: read_resources(form)?, authorization_details })
    }

    /// As a form, to which the client adds how it authenticates.
    #[must_use]
    pub fn to_form(&self) -> FormWriter {
        let form = FormWriter::new().pair("grant_type", self.grant.grant_type());
        let form = match &self.grant {
            GrantRequest::AuthorizationCode { code, redirect_uri, code_verifier } => form
                .pair("code", code.reveal())
                .optional("redirect_uri", redirect_uri.as_deref())
                .optional("code_verifier", code_verifier.as_ref().map(|verifier| verifier.secret().reveal())),
            GrantRequest::RefreshToken { refresh_token, scope } => form
                .pair("refresh_token", refresh_token.reveal())
                .optional("scope", scope.as_ref().map(Scope::as_str)),
            GrantRequest::ClientCredentials { scope } => {
                form.optional("scope", scope.as_ref().map(Scope::as_str))
            }
            GrantRequest::DeviceCode { device_code } => form.pair("device_code", device_code.reveal()),
            GrantRequest::TokenExchange(exchange) => exchange.write(form),
            GrantRequest::Other(_) => form,
        };
        form.optional("authorization_details", self.authorization_details.to_parameter().as_deref())
            .each("resource", self.resources.iter().map(ResourceId::as_str))
    }
}

impl GrantRequest {
    /// The value of `grant_type`.
    #[must_use]
    pub fn grant_type(&self) -> &str {
        match self {
            Self::AuthorizationCode { .. } => "authorization_code",
            Self::RefreshToken { .. } => "refresh_token",
            Self::ClientCredentials { .. } => "client_credentials",
            Self::DeviceCode { .. } => DEVICE_CODE,
            Self::TokenExchange(_) => token_exchange::GRANT_TYPE,
            Self::Other(name) => name,
        }
    }
}

fn read_scope(form: &Form) -> Result<Option<Scope>, Problem> {
    form.get("scope").map(Scope::parse).transpose().map_err(|_| Problem {
        code: ErrorCode::InvalidScope,
        parameter: "scope",
        expected: "a list of scope tokens separated by spaces",
    })
}

fn read_verifier(form: &Form) -> Result<Option<CodeVerifier>, Problem> {
    let problem = Problem {
        code: ErrorCode::InvalidGrant,
        parameter: "code_verifier",
        expected: "43 to 128 unreserved characters",
    };
    form.get("code_verifier").map(|text| CodeVerifier::parse(text).ok_or(problem)).transpose()
}

/// How an access token is to be presented. Compared without regard to case (RFC 6749 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// Bound to a key: with a proof (RFC 9449).
    Dpop,
    /// By itself (RFC 6750).
    Bearer,
}

impl TokenType {
    /// The value of `token_type`, which is also the authentication scheme.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dpop => "DPoP",
            Self::Bearer => "Bearer",
        }
    }

    /// The type of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Dpop, Self::Bearer].into_iter().find(|known| known.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A successful token response (RFC 6749 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenResponse {
    /// `access_token`
    pub access_token: Secret,
    /// `token_type`
    pub token_type: TokenType,
    /// `expires_in`, in seconds.
    pub expires_in_secs: Option<u64>,
    /// `refresh_token`
    pub refresh_token: Option<Secret>,
    /// `scope`; left out it is what was asked for.
    pub scope: Option<Scope>,
    /// `id_token`
    pub id_token: Option<Secret>,
    /// `authorization_details`, as they were granted (RFC 9396 §7).
    pub authorization_details: AuthorizationDetails,
    /// `issued_token_type`, with token exchange (RFC 8693 §2.2.1).
    pub issued_token_type: Option<String>,
}

/// Why bytes are not a token response that we take. The server's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenResponseError {
    /// Not JSON, or not an object with distinct names.
    #[error("the token response is not a JSON object with distinct member names")]
    NotJson,
    /// A member is missing or of the wrong type.
    #[error("the token response's `{0}` is missing or malformed (RFC 6749 section 5.1)")]
    Member(&'static str),
    /// `token_type` is neither DPoP nor Bearer.
    #[error("the token response's `token_type` is neither DPoP nor Bearer")]
    TokenType,
}

impl TokenResponse {
    /// Reads a response.
    ///
    /// # Errors
    /// [`TokenResponseError`] names what is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, TokenResponseError> {
        let object = Object::parse(json).map_err(|_| TokenResponseError::NotJson)?;
        // Some servers write `null` for what there is not.
        let text = |name| match object.get(name) {
            Some(Value::Null) => Ok(None),
            _ => object.string(name).map_err(|_| TokenResponseError::Member(name)),
        };
        let secret = |name| text(name).map(|value| value.filter(|t| !t.is_empty()).map(Secret::new));
        let token_type = text("token_type")?.ok_or(TokenResponseError::Member("token_type"))?;
        Ok(Self {
            access_token: secret("access_token")?.ok_or(TokenResponseError::Member("access_token"))?,
            token_type: TokenType::parse(token_type).ok_or(TokenResponseError::TokenType)?,
            expires_in_secs: read_expires_in(&object)?,
            refresh_token: secret("refresh_token")?,
            scope: read_granted_scope(&object)?,
            id_token: secret("id_token")?,
            authorization_details: read_details(json, &object)?,
            issued_token_type: text("issued_token_type")?.map(str::to_owned),
        })
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let access_token = self.access_token.reveal();
        let mut members = ObjectWriter::with_room(access_token.len() + 512)
            .text("access_token", access_token)
            .text("token_type", self.token_type.as_str());
        if let Some(secs) = self.expires_in_secs {
            members = members.number("expires_in", secs);
        }
        if let Some(scope) = &self.scope {
            members = members.text("scope", scope.as_str());
        }
        if !self.authorization_details.is_empty() {
            members = members.json("authorization_details", &self.authorization_details.to_json());
        }
        members
            .optional("issued_token_type", self.issued_token_type.as_deref())
            .optional("refresh_token", self.refresh_token.as_ref().map(Secret::reveal))
            .optional("id_token", self.id_token.as_ref().map(Secret::reveal))
            .finish()
    }
}

fn read_details(json: &[u8], object: &Object<'_>) -> Result<AuthorizationDetails, TokenResponseError> {
    if !object.has("authorization_details") {
        return Ok(AuthorizationDetails::default());
    }
    let malformed = TokenResponseError::Member("authorization_details");
    let whole: serde_json::Value = serde_json::from_slice(json).map_err(|_| malformed)?;
    let details = whole.get("authorization_details").map(AuthorizationDetails::from_json);
    details.unwrap_or_else(|| Ok(AuthorizationDetails::default())).map_err(|_| malformed)
}

/// A text; some servers write an array of texts.
fn read_granted_scope(object: &Object<'_>) -> Result<Option<Scope>, TokenResponseError> {
    let malformed = TokenResponseError::Member("scope");
    if object.get("scope") == Some(&Value::Null) {
        return Ok(None);
    }
    let texts = object.strings("scope").map_err(|_| malformed)?;
    texts.map(|texts| Scope::parse(&texts.join(" "))).transpose().map_err(|_| malformed)
}

/// A number of seconds; some servers write it as a text, or with a fraction.
fn read_expires_in(object: &Object<'_>) -> Result<Option<u64>, TokenResponseError> {
    let malformed = TokenResponseError::Member("expires_in");
    match object.get("expires_in") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            number.as_unix_time().map(|secs| Some(secs.as_secs())).ok_or(malformed)
        }
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| malformed),
        Some(_) => Err(malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_back() {
        let scope = Scope::parse("read write").ok();
        let grants = [
            GrantRequest::AuthorizationCode {
                code: Secret::new("id.secret"),
                redirect_uri: Some("https://app.example/cb?x=1".to_owned()),
                code_verifier: Some(CodeVerifier::from_entropy(&[7; 32])),
            },
            GrantRequest::RefreshToken { refresh_token: Secret::new("id.secret"), scope: scope.clone() },
            GrantRequest::ClientCredentials { scope },
            GrantRequest::ClientCredentials { scope: None },
            GrantRequest::DeviceCode { device_code: Secret::new("id.secret") },
            GrantRequest::Other("urn:example:other".to_owned()),
            GrantRequest::TokenExchange(Box::new(TokenExchangeRequest {
                subject: token_exchange::TypedToken::access_token(Secret::new("a.b.c")),
                actor: None,
                requested_token_type: None,
                scope: None,
                audiences: Vec::new(),
            })),
        ];
        for grant in grants {
            let resources = vec![ResourceId::parse("https://api.example/").expect("a resource")];
            let authorization_details = AuthorizationDetails::parse(r#"[{"type":"a"}]"#).expect("details");
            let request = TokenRequest { grant, resources, authorization_details };
            let form = Form::parse(request.to_form().finish().as_bytes()).expect("a form");
            assert_eq!(TokenRequest::parse(&form), Ok(request));
        }
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        for (body, parameter, code) in [
            ("", "grant_type", ErrorCode::InvalidRequest),
            ("grant_type=authorization_code", "code", ErrorCode::InvalidRequest),
            ("grant_type=authorization_code&code=", "code", ErrorCode::InvalidRequest),
            ("grant_type=refresh_token", "refresh_token", ErrorCode::InvalidRequest),
            (
                "grant_type=urn:ietf:params:oauth:grant-type:device_code",
                "device_code",
                ErrorCode::InvalidRequest,
            ),
            ("grant_type=client_credentials&scope=%22", "scope", ErrorCode::InvalidScope),
            ("grant_type=client_credentials&resource=%23", "resource", ErrorCode::InvalidTarget),
        ] {
            let problem =
                TokenRequest::parse(&Form::parse(body.as_bytes()).expect("a form")).expect_err(body);
            assert_eq!((problem.parameter, problem.code), (parameter, code), "{body}");
        }
    }

    #[test]
    fn as_pkc_04_a_malformed_verifier_is_invalid_grant() {
        let form = Form::parse(b"grant_type=authorization_code&code=c&code_verifier=short").expect("a form");
        assert_eq!(TokenRequest::parse(&form).expect_err("refused").code, ErrorCode::InvalidGrant);
    }

    #[test]
    fn responses_are_read_back() {
        let full = TokenResponse {
            access_token: Secret::new("a"),
            token_type: TokenType::Dpop,
            expires_in_secs: Some(600),
            refresh_token: Some(Secret::new("r")),
            scope: Scope::parse("openid").ok(),
            id_token: Some(Secret::new("i.d.t")),
            authorization_details: AuthorizationDetails::parse(r#"[{"type":"a"}]"#).expect("details"),
            issued_token_type: Some(token_exchange::ACCESS_TOKEN.to_owned()),
        };
        let bare = TokenResponse {
            token_type: TokenType::Bearer,
            expires_in_secs: None,
            refresh_token: None,
            scope: None,
            id_token: None,
            authorization_details: AuthorizationDetails::default(),
            issued_token_type: None,
            ..full.clone()
        };
        for response in [full, bare] {
            assert_eq!(TokenResponse::parse(response.to_json().as_bytes()), Ok(response));
        }
    }

    #[test]
    fn as_tok_01_the_type_is_compared_without_regard_to_case() {
        let parse = |json: &str| TokenResponse::parse(json.as_bytes());
        let read =
            parse(r#"{"access_token":"a","token_type":"dPoP","expires_in":"60"}"#).expect("a response");
        assert_eq!((read.token_type, read.expires_in_secs), (TokenType::Dpop, Some(60)));
        for (bad, error) in [
            (r#"{"access_token":"a","token_type":"mac"}"#, TokenResponseError::TokenType),
            (r#"{"access_token":"a"}"#, TokenResponseError::Member("token_type")),
            (r#"{"token_type":"DPoP"}"#, TokenResponseError::Member("access_token")),
            (r#"{"access_token":"","token_type":"DPoP"}"#, TokenResponseError::Member("access_token")),
            (
                r#"{"access_token":"a","token_type":"DPoP","expires_in":-1}"#,
                TokenResponseError::Member("expires_in"),
            ),
            (r#"{"access_token":"a","access_token":"b"}"#, TokenResponseError::NotJson),
        ] {
            assert_eq!(parse(bad), Err(error), "{bad}");
        }
    }

    #[test]
    fn cl_tok_04_odd_writings_of_the_same_are_read() {
        let parse = |more: &str| {
            let json = format!(r#"{{"access_token":"a","token_type":"DPOP",{more},"odd":{{"x":[1]}}}}"#);
            TokenResponse::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{more}: {error}"))
        };
        for (more, secs) in [
            ("\"expires_in\":null", None),
            ("\"expires_in\":3599.9", Some(3599)),
            ("\"expires_in\":\"7\"", Some(7)),
        ] {
            assert_eq!(parse(more).expires_in_secs, secs, "{more}");
        }
        assert_eq!(parse(r#""scope":["a","b c"]"#).scope, Scope::parse("a b c").ok());
        let nothing = parse(r#""scope":null,"refresh_token":null,"id_token":null"#);
        assert_eq!((nothing.scope, nothing.refresh_token, nothing.id_token), (None, None, None));
    }
}
