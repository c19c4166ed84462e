//! Why a request is not let through, and what it is answered (requirements 0.4, 0.6).

use crate::demand::Authentication;
use crate::token::TokenError;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use keybound_dpop::challenge::Challenge;
use keybound_dpop::header::DPOP_NONCE;
use keybound_dpop::nonce::Nonce;
use keybound_dpop::proof::error::{Check, Fault, Refusal};
use keybound_oauth::error::{ErrorBody, ErrorCode};
use keybound_oauth::scope::Scope;
use std::fmt;

/// Seconds after which to come again, where the fault is ours.
const RETRY_AFTER_SECS: u64 = 5;

/// What stood in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no access token.
    NoCredentials,
    /// `Authorization` is not a scheme, spaces and token68.
    MalformedCredentials,
    /// More than one token, or one token in two places.
    SeveralCredentials(&'static str),
    /// The request's target makes no URI that a proof could name.
    Target,
    /// The token is not to be believed, or not for us.
    Token(TokenError),
    /// A bound token came as Bearer: a downgrade.
    Downgrade,
    /// An unbound token came as Bearer, and only bound ones are taken.
    BearerRefused,
    /// An unbound token came under the scheme DPoP.
    Unbound,
    /// The token is bound to something that we cannot check.
    Unusable(&'static str),
    /// The proof does not hold.
    Proof(Refusal),
    /// The token's scope is too small.
    Scope(Scope),
    /// The token holds no authorization of this type (RFC 9396) that is enough.
    Detail(String),
    /// The user signed in too weakly, or too long ago.
    Authentication(Authentication),
    /// The log of used proofs is full or out of reach. Our fault.
    ReplayLogUnavailable,
    /// The issuer's keys cannot be had. Our fault.
    KeysUnavailable(String),
    /// What an opaque token stands for cannot be looked up. Our fault.
    TokensUnavailable(String),
}

impl Reason {
    /// The row of the catalogue.
    #[must_use]
    pub fn row(&self) -> &'static str {
        match self {
            Self::NoCredentials => "RS-CHL-01",
            Self::MalformedCredentials => "RS-SCH-03",
            Self::SeveralCredentials(_) => "RS-SCH-04",
            Self::Target => "DPOP-HTU-16",
            Self::Token(error) => error.row(),
            Self::Downgrade => "RS-DWN-01",
            Self::BearerRefused => "RS-DWN-03",
            Self::Unbound => "DPOP-CNF-04",
            Self::Unusable(_) => "DPOP-CNF-05",
            Self::Proof(refusal) => refusal.check().rule().id,
            Self::Scope(_) | Self::Detail(_) => "RS-CHK-05",
            Self::Authentication(_) => "RS-STP-01",
            Self::ReplayLogUnavailable => "RS-GW-09",
            Self::KeysUnavailable(_) => "RS-CHK-02",
            Self::TokensUnavailable(_) => "RS-GW-09",
        }
    }

    /// The error code; none for a request that shows no credentials (RFC 6750 §3.1).
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::NoCredentials => None,
            Self::MalformedCredentials | Self::SeveralCredentials(_) | Self::Target => {
                Some(ErrorCode::InvalidRequest)
            }
            Self::Token(_) | Self::Downgrade | Self::BearerRefused | Self::Unbound | Self::Unusable(_) => {
                Some(ErrorCode::InvalidToken)
            }
            Self::Proof(refusal) => Some(match refusal.check().fault() {
                Fault::Proof => ErrorCode::InvalidDpopProof,
                Fault::Nonce => ErrorCode::UseDpopNonce,
                Fault::Binding => ErrorCode::InvalidToken,
            }),
            Self::Scope(_) | Self::Detail(_) => Some(ErrorCode::InsufficientScope),
            Self::Authentication(_) => Some(ErrorCode::InsufficientUserAuthentication),
            Self::ReplayLogUnavailable | Self::KeysUnavailable(_) | Self::TokensUnavailable(_) => {
                Some(ErrorCode::TemporarilyUnavailable)
            }
        }
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.code() {
            Some(ErrorCode::InvalidRequest) => StatusCode::BAD_REQUEST,
            Some(ErrorCode::InsufficientScope) => StatusCode::FORBIDDEN,
            Some(ErrorCode::TemporarilyUnavailable) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// Whether the fault is ours.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::ReplayLogUnavailable | Self::KeysUnavailable(_) | Self::TokensUnavailable(_))
    }

    /// The text for the wire: the row, and what we expected.
    #[must_use]
    pub fn for_wire(&self) -> String {
        let text = match self {
            Self::Proof(refusal) => return refusal.for_wire(),
            Self::NoCredentials => "an access token is needed".to_owned(),
            Self::MalformedCredentials => "Authorization must be a scheme, spaces and a token68".to_owned(),
            Self::SeveralCredentials(what) => format!("one token in one place is wanted, not {what}"),
            Self::Target => "the request target must be a path of a URI, of bounded length".to_owned(),
            Self::Token(error) => error.for_wire(),
            Self::Downgrade => {
                "the token is bound to a key: send it under the scheme DPoP, with a proof".to_owned()
            }
            Self::BearerRefused => "only tokens that are bound to a key are taken here".to_owned(),
            Self::Unbound => "the token is not bound to a key".to_owned(),
            Self::Unusable(because) => (*because).to_owned(),
            Self::Scope(needed) => format!("the scope must hold: {needed}"),
            Self::Detail(detail_type) => {
                format!(
                    "the token must hold authorization_details of the type {detail_type} that reach so far"
                )
            }
            Self::Authentication(_) => "the user must sign in again, as the challenge says".to_owned(),
            Self::ReplayLogUnavailable => "the record of used proofs cannot be reached".to_owned(),
            Self::KeysUnavailable(_) => "the issuer's keys cannot be reached".to_owned(),
            Self::TokensUnavailable(_) => "the token cannot be looked up".to_owned(),
        };
        format!("{}: {text}", self.row())
    }

    /// The text for the log: the same and what came, escaped and cut, never a secret (OPS-LOG-01, OPS-LOG-04).
    #[must_use]
    pub fn for_log(&self) -> String {
        match self {
            Self::Proof(refusal) => refusal.for_log(),
            Self::Token(error) if !error.evidence().is_empty() => {
                format!("{}; came {}", self.for_wire(), error.evidence())
            }
            Self::KeysUnavailable(why) | Self::TokensUnavailable(why) => {
                format!("{}: {}", self.for_wire(), why.escape_debug())
            }
            _ => self.for_wire(),
        }
    }

    /// What an audit calls it (OPS-LOG-02).
    pub(crate) fn event(&self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::MalformedCredentials | Self::SeveralCredentials(_) | Self::Target => "malformed_request",
            Self::Token(_) | Self::Unbound | Self::Unusable(_) => "token_refused",
            Self::Downgrade | Self::BearerRefused => "downgrade",
            Self::Proof(refusal) => match refusal.check() {
                Check::Replay => "proof_replayed",
                Check::KeyBinding => "key_mismatch",
                Check::NonceMissing | Check::NonceUnknown => "nonce_challenge",
                _ => "proof_refused",
            },
            Self::Scope(_) | Self::Detail(_) => "scope_refused",
            Self::Authentication(_) => "step_up",
            Self::ReplayLogUnavailable | Self::KeysUnavailable(_) | Self::TokensUnavailable(_) => {
                "unavailable"
            }
        }
    }
}

/// A refusal, ready to be answered.
#[derive(Clone, PartialEq, Eq)]
pub struct Rejection(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    reason: Reason,
    challenges: Vec<Challenge>,
    nonce: Option<Nonce>,
    has_body: bool,
}

impl Rejection {
    pub(crate) fn new(reason: Reason, challenges: Vec<Challenge>, nonce: Option<Nonce>) -> Self {
        Self(Box::new(Inner { reason, challenges, nonce, has_body: true }))
    }

    /// For a caller who would take a body for something else: a gRPC client knows the status by the head alone.
    pub(crate) fn for_caller(mut self, headers: &HeaderMap) -> Self {
        let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        self.0.has_body = !media_type.starts_with(b"application/grpc");
        self
    }

    /// What stood in the way.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.0.reason
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.reason.status()
    }

    /// The challenges of the answer, in the order of their field lines.
    #[must_use]
    pub fn challenges(&self) -> &[Challenge] {
        &self.0.challenges
    }

    /// The nonce that the answer brings.
    #[must_use]
    pub fn nonce(&self) -> Option<&Nonce> {
        self.0.nonce.as_ref()
    }

    /// The answer: status, `WWW-Authenticate`, `DPoP-Nonce`, and the error as JSON; never to be stored.
    #[must_use]
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let Inner { reason, challenges, nonce, has_body } = *self.0;
        let body =
            reason.code().filter(|_| has_body).map(|code| ErrorBody::new(code, &reason.for_wire()).to_json());
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for challenge in challenges {
            headers.extend(
                HeaderValue::try_from(challenge.to_field_value()).ok().map(|v| (WWW_AUTHENTICATE, v)),
            );
        }
        if let Some(nonce) = nonce.and_then(|nonce| HeaderValue::try_from(nonce.as_str()).ok()) {
            headers.insert(DPOP_NONCE, nonce);
        }
        if reason.is_fault() {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECS));
        }
        let mut response = Response::new(Full::from(body.unwrap_or_default()));
        *response.status_mut() = reason.status();
        *response.headers_mut() = headers;
        response
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.reason.for_wire())
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rejection({}, {})", self.status(), self.0.reason.for_log())
    }
}

impl std::error::Error for Rejection {}
