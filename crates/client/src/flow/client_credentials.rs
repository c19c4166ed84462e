//! The client credentials grant (RFC 6749 §4.4): tokens for the client itself.

use crate::client::Client;
use crate::error::ClientError;
use crate::tokens::Tokens;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::identifier::ResourceId;
use keybound_oauth::scope::Scope;
use keybound_oauth::token::{GrantRequest, TokenRequest};

impl Client {
    /// Gets an access token for the client itself.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn client_credentials(
        &self,
        scope: Option<Scope>,
        resources: Vec<ResourceId>,
    ) -> Result<Tokens, ClientError> {
        let grant = GrantRequest::ClientCredentials { scope: scope.clone() };
        let response = self
            .request_tokens(&TokenRequest {
                grant,
                resources,
                authorization_details: AuthorizationDetails::default(),
            })
            .await?;
        Ok(Tokens::granted(response, scope.as_ref(), self.prover().now()))
    }
}
