//! The refresh grant (RFC 6749 §6): a new access token under the same key (RFC 9449 §5).

use crate::client::Client;
use crate::error::ClientError;
use crate::tokens::Tokens;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::token::{GrantRequest, TokenRequest};

impl Client {
    /// Gets a new access token, and a new refresh token where the server rotates them: from then on the old one must
    /// not be used (RFC 9700 §4.14). The scope stays as it was.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn refresh(&self, tokens: &Tokens) -> Result<Tokens, ClientError> {
        let refresh_token = tokens.refresh_token.clone().ok_or(ClientError::NoRefreshToken)?;
        let grant = GrantRequest::RefreshToken { refresh_token, scope: None };
        let response = self
            .request_tokens(&TokenRequest {
                grant,
                resources: Vec::new(),
                authorization_details: AuthorizationDetails::default(),
            })
            .await?;
        Ok(tokens.renewed(response, self.prover().now()))
    }
}
