//! What is said when a request is not granted: to the caller, and to the log. Two texts, never one for both.

use crate::audit::Event;
use http::StatusCode;
use keybound_dpop::proof::error::{Fault as ProofFault, Refusal as ProofRefusal};
use keybound_oauth::error::{ErrorBody, ErrorCode, Problem};
use keybound_oauth::form::FormError;
use keybound_oauth::identifier::ClientId;

/// The caller's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The code for the wire.
    pub code: ErrorCode,
    /// The sentence for the wire: what was expected, never what came.
    pub wire: String,
    /// The row of the requirements that was not met.
    pub row: &'static str,
    /// What goes to the log besides.
    pub log: Option<String>,
    /// The status, where it is not the code's own.
    pub status: Option<StatusCode>,
    /// Whether the caller used the `Authorization` header, and gets its challenge back (RFC 6749 §5.2).
    pub by_header: bool,
    /// When to ask again.
    pub retry_after_secs: Option<u64>,
    /// Who asked, where that is known.
    pub client_id: Option<String>,
    /// The audit event, where the row does not tell.
    pub event: Option<Event>,
}

/// Why there is no answer of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The caller's fault.
    Denied(Denied),
    /// Ours: 503, and the reason for the log.
    Unavailable(String),
}

impl Denied {
    /// A refusal for the reason that a row of the requirements names.
    #[must_use]
    pub fn new(code: ErrorCode, row: &'static str, wire: impl Into<String>) -> Self {
        Self {
            code,
            wire: wire.into(),
            row,
            log: None,
            status: None,
            by_header: false,
            retry_after_secs: None,
            client_id: None,
            event: None,
        }
    }

    /// The refusal of one who asks too often (RFC 6585 §4).
    #[must_use]
    pub fn too_many(wait_secs: u64) -> Self {
        let wire = format!("too many requests; ask again in {wait_secs} s");
        Self {
            status: Some(StatusCode::TOO_MANY_REQUESTS),
            retry_after_secs: Some(wait_secs),
            event: Some(Event::RateLimited),
            ..Self::new(ErrorCode::TemporarilyUnavailable, "OPS-LIM-05", wire)
        }
    }

    /// With the client that asked, for the log.
    #[must_use]
    pub fn by(mut self, client_id: &ClientId) -> Self {
        self.client_id = Some(client_id.to_string());
        self
    }

    /// As that audit event.
    #[must_use]
    pub fn event(mut self, event: Event) -> Self {
        self.event = Some(event);
        self
    }

    /// Adds what only the log may know; escaped, since it may be the caller's words.
    #[must_use]
    pub fn log(mut self, text: &str) -> Self {
        self.log = Some(text.chars().take(200).flat_map(char::escape_default).collect());
        self
    }

    /// With another status than the code's own.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// The status: 401 for `invalid_client`, 400 for all others (RFC 6749 §5.2, AS-ERR-03).
    #[must_use]
    pub fn http_status(&self) -> StatusCode {
        self.status.unwrap_or(match self.code {
            ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        })
    }

    /// The body for the wire.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        ErrorBody::new(self.code, &self.wire)
    }
}

impl Refusal {
    /// With the client that asked, for the log.
    #[must_use]
    pub fn by(self, client_id: &ClientId) -> Self {
        match self {
            Self::Denied(denied) => Self::Denied(denied.by(client_id)),
            unavailable @ Self::Unavailable(_) => unavailable,
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<crate::store::Fault> for Refusal {
    fn from(fault: crate::store::Fault) -> Self {
        Self::Unavailable(fault.reason().to_owned())
    }
}

impl From<Problem> for Denied {
    fn from(problem: Problem) -> Self {
        Self::new(problem.code, "AS-TOK-12", problem.to_string())
    }
}

impl From<FormError> for Denied {
    fn from(error: FormError) -> Self {
        match error {
            // The name of a repeated parameter is the caller's word.
            FormError::Repeated(name) => {
                Self::new(ErrorCode::InvalidRequest, "AS-TOK-13", "a parameter is repeated").log(&name)
            }
            FormError::TooLarge(_) => Self::new(ErrorCode::InvalidRequest, "OPS-LIM-01", error.to_string())
                .status(StatusCode::PAYLOAD_TOO_LARGE),
            FormError::Encoding => Self::new(ErrorCode::InvalidRequest, "AS-TOK-12", error.to_string()),
        }
    }
}

impl From<ProofRefusal> for Denied {
    fn from(refusal: ProofRefusal) -> Self {
        let code = match refusal.check().fault() {
            ProofFault::Proof => ErrorCode::InvalidDpopProof,
            ProofFault::Nonce => ErrorCode::UseDpopNonce,
            ProofFault::Binding => ErrorCode::InvalidGrant,
        };
        Self {
            log: Some(refusal.for_log()),
            ..Self::new(code, refusal.check().rule().id, refusal.for_wire())
        }
    }
}
