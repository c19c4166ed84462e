//! Errors as they travel: the registered codes, the JSON body, and what is wrong with one parameter.

use keybound_dpop::jose::json::{JsonError, Object};
use std::fmt;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),* $(,)?) => {
        /// An error code of the IANA registry "OAuth Extensions Error".
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant),*
        }

        impl ErrorCode {
            /// All codes that we know.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The value of `error`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),*
                }
            }
        }
    };
}

error_codes! {
    /// A parameter is missing, repeated or malformed (RFC 6749 §5.2).
    InvalidRequest = "invalid_request",
    /// Client authentication failed (RFC 6749 §5.2).
    InvalidClient = "invalid_client",
    /// The code or refresh token is unknown, expired, revoked, or somebody else's (RFC 6749 §5.2).
    InvalidGrant = "invalid_grant",
    /// The client may not use this grant type or response type (RFC 6749 §5.2).
    UnauthorizedClient = "unauthorized_client",
    /// The server does not offer the grant type (RFC 6749 §5.2).
    UnsupportedGrantType = "unsupported_grant_type",
    /// The scope is malformed, unknown or too large (RFC 6749 §5.2).
    InvalidScope = "invalid_scope",
    /// The user or the server said no (RFC 6749 §4.1.2.1).
    AccessDenied = "access_denied",
    /// The server does not offer the response type (RFC 6749 §4.1.2.1).
    UnsupportedResponseType = "unsupported_response_type",
    /// The server met a fault of its own (RFC 6749 §4.1.2.1).
    ServerError = "server_error",
    /// The server cannot answer now (RFC 6749 §4.1.2.1).
    TemporarilyUnavailable = "temporarily_unavailable",
    /// The access token is expired, revoked, malformed, or not for this resource (RFC 6750 §3.1).
    InvalidToken = "invalid_token",
    /// The access token's scope is too small (RFC 6750 §3.1).
    InsufficientScope = "insufficient_scope",
    /// The server cannot revoke tokens of this type (RFC 7009 §2.2.1).
    UnsupportedTokenType = "unsupported_token_type",
    /// A redirect URI cannot be registered (RFC 7591 §3.2.2).
    InvalidRedirectUri = "invalid_redirect_uri",
    /// Client metadata cannot be registered (RFC 7591 §3.2.2).
    InvalidClientMetadata = "invalid_client_metadata",
    /// The software statement is invalid (RFC 7591 §3.2.2).
    InvalidSoftwareStatement = "invalid_software_statement",
    /// The software statement is not approved (RFC 7591 §3.2.2).
    UnapprovedSoftwareStatement = "unapproved_software_statement",
    /// The user has not answered yet (RFC 8628 §3.5).
    AuthorizationPending = "authorization_pending",
    /// As before, and ask less often (RFC 8628 §3.5).
    SlowDown = "slow_down",
    /// The device code has expired (RFC 8628 §3.5).
    ExpiredToken = "expired_token",
    /// The resource is malformed, unknown or not allowed (RFC 8707 §2).
    InvalidTarget = "invalid_target",
    /// The `request_uri` cannot be used (RFC 9101 §7).
    InvalidRequestUri = "invalid_request_uri",
    /// The request object cannot be used (RFC 9101 §7).
    InvalidRequestObject = "invalid_request_object",
    /// `request` is not offered (RFC 9101 §7).
    RequestNotSupported = "request_not_supported",
    /// `request_uri` is not offered (RFC 9101 §7).
    RequestUriNotSupported = "request_uri_not_supported",
    /// The authorization details cannot be used (RFC 9396 §5).
    InvalidAuthorizationDetails = "invalid_authorization_details",
    /// The proof is missing or does not hold (RFC 9449 §5).
    InvalidDpopProof = "invalid_dpop_proof",
    /// The proof must carry the nonce that comes with this answer (RFC 9449 §8).
    UseDpopNonce = "use_dpop_nonce",
    /// The user's authentication is too weak or too old (RFC 9470 §3).
    InsufficientUserAuthentication = "insufficient_user_authentication",
    /// The user would have to do something (OpenID Connect Core §3.1.2.6).
    InteractionRequired = "interaction_required",
    /// The user would have to sign in (OpenID Connect Core §3.1.2.6).
    LoginRequired = "login_required",
    /// The user would have to choose an account (OpenID Connect Core §3.1.2.6).
    AccountSelectionRequired = "account_selection_required",
    /// The user would have to consent (OpenID Connect Core §3.1.2.6).
    ConsentRequired = "consent_required",
    /// `registration` is not offered (OpenID Connect Core §3.1.2.6).
    RegistrationNotSupported = "registration_not_supported",
    /// The authentication that was asked for cannot be had (OpenID Connect Unmet Authentication Requirements §2).
    UnmetAuthenticationRequirements = "unmet_authentication_requirements",
}

impl ErrorCode {
    /// The code of that very text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error response (RFC 6749 §5.2): what a server writes, and what a client gets from any server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody {
    /// The code, whether or not we know it.
    pub error: String,
    /// A sentence for developers.
    pub error_description: Option<String>,
    /// A page that tells more.
    pub error_uri: Option<String>,
}

/// The bytes are not an error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an error response: a JSON object with a text `error` (RFC 6749 section 5.2)")]
pub struct NotAnErrorBody;

impl ErrorBody {
    /// An error with a description; characters that a description must not hold become question marks.
    #[must_use]
    pub fn new(code: ErrorCode, description: &str) -> Self {
        let error_description = Some(sanitise(description)).filter(|text| !text.is_empty());
        Self { error: code.as_str().to_owned(), error_description, error_uri: None }
    }

    /// The code, where we know it.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        ErrorCode::parse(&self.error)
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut object = serde_json::Map::new();
        object.insert("error".to_owned(), self.error.as_str().into());
        for (name, text) in [("error_description", &self.error_description), ("error_uri", &self.error_uri)] {
            if let Some(text) = text {
                object.insert(name.to_owned(), text.as_str().into());
            }
        }
        serde_json::Value::Object(object).to_string()
    }

    /// Reads an error response. What came is made fit for a terminal and a log.
    ///
    /// # Errors
    /// [`NotAnErrorBody`] where there is no text `error`.
    pub fn parse(json: &[u8]) -> Result<Self, NotAnErrorBody> {
        let object = Object::parse(json).map_err(|_: JsonError| NotAnErrorBody)?;
        let error = object.string("error").ok().flatten().ok_or(NotAnErrorBody)?;
        let text = |name| object.string(name).ok().flatten().map(sanitise);
        Ok(Self {
            error: sanitise(error),
            error_description: text("error_description"),
            error_uri: text("error_uri"),
        })
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error_description {
            Some(description) => write!(f, "{}: {description}", self.error),
            None => f.write_str(&self.error),
        }
    }
}

/// The text with every character outside %x20-21 / %x23-5B / %x5D-7E replaced (RFC 6749 §5.2): quotes by
/// apostrophes, the rest by question marks.
#[must_use]
pub fn sanitise(text: &str) -> String {
    let replace = |character| match character {
        '\u{20}'..='\u{21}' | '\u{23}'..='\u{5b}' | '\u{5d}'..='\u{7e}' => character,
        '"' => '\'',
        _ => '?',
    };
    text.chars().map(replace).collect()
}

/// What is wrong with one parameter of a request; the sender's fault. Says what was expected, never what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{parameter}` must be {expected}")]
pub struct Problem {
    /// The code to answer with.
    pub code: ErrorCode,
    /// The parameter.
    pub parameter: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

impl Problem {
    /// The error response that tells it.
    #[must_use]
    pub fn to_body(&self) -> ErrorBody {
        ErrorBody::new(self.code, &self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(code.as_str()), Some(*code));
        }
        assert_eq!(ErrorCode::parse("Invalid_request"), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let body = ErrorBody::new(ErrorCode::UseDpopNonce, "a nonce is needed");
        assert_eq!(ErrorBody::parse(body.to_json().as_bytes()), Ok(body.clone()));
        assert_eq!(body.code(), Some(ErrorCode::UseDpopNonce));
        let other = ErrorBody::parse(br#"{"error":"odd","error_description":7}"#).expect("an error");
        assert_eq!((other.code(), other.to_string().as_str()), (None, "odd"));
        for bad in ["", "[]", "{}", r#"{"error":1}"#, r#"{"error":"a","error":"b"}"#] {
            assert_eq!(ErrorBody::parse(bad.as_bytes()), Err(NotAnErrorBody), "{bad}");
        }
    }

    #[test]
    fn as_err_07_descriptions_hold_only_what_they_may() {
        let body = ErrorBody::new(ErrorCode::InvalidRequest, "a \"b\"\r\n\tc\\d ü \u{1b}[31m");
        let description = body.error_description.expect("a description");
        assert_eq!(description, "a 'b'???c?d ? ?[31m");
        assert!(description.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)));
    }
}
