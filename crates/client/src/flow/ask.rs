//! What a request for tokens asks for, whatever the grant.

use crate::tokens::Tokens;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::identifier::ResourceId;
use keybound_oauth::scope::Scope;
use keybound_oauth::token::{GrantRequest, TokenRequest};

/// What is asked for. What is left out is the server's to fill in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenAsk {
    /// `scope`
    pub scope: Option<Scope>,
    /// `resource`, any number of times (RFC 8707 §2).
    pub resources: Vec<ResourceId>,
    /// `authorization_details` (RFC 9396 §6)
    pub authorization_details: AuthorizationDetails,
}

impl TokenAsk {
    /// For a scope and nothing else.
    #[must_use]
    pub fn scope(scope: Option<Scope>) -> Self {
        Self { scope, ..Self::default() }
    }

    /// The token request that hands in this grant for it; the scope is in the grant.
    pub(crate) fn request(&self, grant: GrantRequest) -> TokenRequest {
        TokenRequest {
            grant,
            resources: self.resources.clone(),
            authorization_details: self.authorization_details.clone(),
        }
    }
}

impl Tokens {
    /// These with the refresh token of others of the same login: after a refresh for less
    /// ([`crate::client::Client::refresh_for`]) the newest refresh token is the one to keep.
    #[must_use]
    pub fn with_refresh_token_of(self, newer: &Self) -> Self {
        Self { refresh_token: newer.refresh_token.clone(), ..self }
    }
}
