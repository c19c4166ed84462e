//! The client credentials grant (RFC 6749 §4.4): tokens for the client itself.

use crate::client::Client;
use crate::error::ClientError;
use crate::flow::ask::TokenAsk;
use crate::tokens::Tokens;
use keybound_oauth::identifier::ResourceId;
use keybound_oauth::scope::Scope;
use keybound_oauth::token::GrantRequest;

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
        self.client_credentials_for(&TokenAsk { scope, resources, ..TokenAsk::default() }).await
    }

    /// As [`Client::client_credentials`], with everything that can be asked for.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn client_credentials_for(&self, ask: &TokenAsk) -> Result<Tokens, ClientError> {
        let grant = GrantRequest::ClientCredentials { scope: ask.scope.clone() };
        let response = self.request_tokens(&ask.request(grant)).await?;
        Ok(Tokens::granted(response, ask.scope.as_ref(), self.prover().now()))
    }
}
