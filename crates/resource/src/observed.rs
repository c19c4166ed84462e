//! What a request would have been told, where a guard looks on and does not decide.

use crate::credentials::Scheme;
use crate::rejection::Reason;
use crate::token::Token;
use keybound_dpop::confirmation::Confirmation;
use std::sync::Arc;

/// A judgement without consequences: no [`Access`](crate::Access) comes from it, and no answer. The caller decides
/// nothing by it; who counts who would pass, does.
#[derive(Clone, Debug)]
pub struct Observed {
    scheme: Option<Scheme>,
    token: Option<Arc<Token>>,
    reason: Option<Reason>,
}

impl Observed {
    pub(crate) const fn new(
        scheme: Option<Scheme>,
        token: Option<Arc<Token>>,
        reason: Option<Reason>,
    ) -> Self {
        Self { scheme, token, reason }
    }

    /// Whether the request would have been let through.
    #[must_use]
    pub const fn would_pass(&self) -> bool {
        self.reason.is_none()
    }

    /// What would have stood in its way; its `row` names the rule.
    #[must_use]
    pub const fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    /// The scheme under which a token came; none where there was none that can be read.
    #[must_use]
    pub const fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    /// Who issued the token, once it is known to be good.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.claims.iss.as_str())
    }

    /// The client that the token was issued to, once it is known to be good.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.token.as_ref()?.client_id.as_deref()
    }

    /// Whether the token is bound to a key, once it is known to be good.
    #[must_use]
    pub fn is_bound(&self) -> Option<bool> {
        self.token.as_ref().map(|token| matches!(token.claims.confirmation, Confirmation::Jkt(_)))
    }
}
