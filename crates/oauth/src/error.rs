//! Errors as they travel: the registered codes, the JSON body, and what is wrong with one parameter.

use keybound_dpop::jose::json::{JsonError, Object};
use keybound_dpop::secret::Secret;
use std::fmt;

/// Characters of somebody else's text that are shown, at the most.
const MAX_SHOWN: usize = 400;
/// Secrets shorter than this are not looked for in texts: they would be found in any.
const MIN_SECRET_BYTES: usize = 8;

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

    /// An error that somebody else told us, fit for a terminal and a log.
    #[must_use]
    pub fn told(error: &str, description: Option<&str>, uri: Option<&str>) -> Self {
        Self {
            error: shown(error),
            error_description: description.map(sanitise),
            error_uri: uri.map(sanitise),
        }
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

    /// The same without these secrets: a server may repeat what was sent to it, and an error is shown and logged.
    #[must_use]
    pub fn without(self, secrets: &[&Secret]) -> Self {
        let is_long = |secret: &&&Secret| secret.reveal().len() >= MIN_SECRET_BYTES;
        let hide = |text: String| {
            secrets.iter().filter(is_long).fold(text, |text, secret| {
                let shown = sanitise(secret.reveal());
                if text.contains(&shown) { text.replace(&shown, "[redacted]") } else { text }
            })
        };
        let error = if self.code().is_some() { self.error } else { hide(self.error) };
        Self {
            error,
            error_description: self.error_description.map(hide),
            error_uri: self.error_uri.map(hide),
        }
    }

    /// Reads an error response. What came is made fit for a terminal and a log.
    ///
    /// # Errors
    /// [`NotAnErrorBody`] where there is no text `error`.
    pub fn parse(json: &[u8]) -> Result<Self, NotAnErrorBody> {
        let object = Object::parse(json).map_err(|_: JsonError| NotAnErrorBody)?;
        let error = object.string("error").ok().flatten().ok_or(NotAnErrorBody)?;
        let text = |name| object.string(name).ok().flatten();
        Ok(Self::told(error, text("error_description"), text("error_uri")))
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error_description {
            Some(description) => write!(f, "{}: {}", self.error, shown(description)),
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

/// As [`sanitise`], and cut: a text of somebody else that is shown to a person.
#[must_use]
pub fn shown(text: &str) -> String {
    let end = text.char_indices().nth(MAX_SHOWN).map(|(at, _)| at);
    match end.and_then(|end| text.get(..end)) {
        Some(begin) => sanitise(begin) + "...",
        None => sanitise(text),
    }
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
    fn secrets_that_a_server_repeats_are_not_shown() {
        let (code, pin, odd) =
            (Secret::new("SplxlOBeZQQYbYS6"), Secret::new("s"), Secret::new("a\\b\"cdefg"));
        let json = serde_json::json!({
            "error": "invalid_grant", "error_description": "SplxlOBeZQQYbYS6 is used, as is a\\b\"cdefg",
            "error_uri": "https://id.example/?SplxlOBeZQQYbYS6",
        });
        let body = ErrorBody::parse(json.to_string().as_bytes()).expect("an error");
        let hidden = body.clone().without(&[&code, &pin, &odd]);
        assert_eq!(hidden.to_string(), "invalid_grant: [redacted] is used, as is [redacted]");
        assert_eq!(hidden.error_uri.as_deref(), Some("https://id.example/?[redacted]"));
        let same_word = Secret::new("invalid_grant");
        assert_eq!(body.clone().without(&[&same_word]), body, "a code that we know is none");
        assert_eq!(
            ErrorBody { error: "no SplxlOBeZQQYbYS6".to_owned(), ..body }.without(&[&code]).error,
            "no [redacted]"
        );
    }

    #[test]
    fn what_others_say_is_cut() {
        let body = ErrorBody::told(&"e".repeat(9000), Some(&"ü".repeat(9000)), None);
        assert_eq!(body.to_string().len(), 2 * (MAX_SHOWN + 3) + 2);
        assert_eq!((shown("a\tb").as_str(), shown("").as_str()), ("a?b", ""));
    }

    #[test]
    fn as_err_07_descriptions_hold_only_what_they_may() {
        let body = ErrorBody::new(ErrorCode::InvalidRequest, "a \"b\"\r\n\tc\\d ü \u{1b}[31m");
        let description = body.error_description.expect("a description");
        assert_eq!(description, "a 'b'???c?d ? ?[31m");
        assert!(description.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)));
    }
}
