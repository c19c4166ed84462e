//! The refresh grant (RFC 6749 §6): a new access token under the same key (RFC 9449 §5), or under another one for a
//! client that authenticates.

use crate::client::Client;
use crate::error::ClientError;
use crate::flow::ask::TokenAsk;
use crate::prover::Prover;
use crate::token_endpoint::TokenError;
use crate::tokens::Tokens;
use keybound_oauth::token::{GrantRequest, TokenResponse, TokenType};

/// Why a login cannot go on under another key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotateKeyError {
    /// The refresh token of a public client is bound to its key (RFC 9449 §5).
    #[error("the refresh token of a public client is bound to its key; log in again with the new key")]
    PublicClient,
    /// The server binds the refresh tokens of clients that authenticate too.
    #[error(
        "the authorization server does not renew this login under another key ({0}); the old key is as good as \
         before: go on with it, or log in again with the new one"
    )]
    Refused(TokenError),
}

impl Client {
    /// Gets a new access token, and a new refresh token where the server rotates them: from then on the old one must
    /// not be used (RFC 9700 §4.14). The scope stays as it was.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn refresh(&self, tokens: &Tokens) -> Result<Tokens, ClientError> {
        let response = self.renew(tokens, &TokenAsk::default()).await?;
        Ok(tokens.renewed(response, self.prover().now()))
    }

    /// Gets an access token for less than was granted: a narrower scope, some of the resources, some of the details. The
    /// refresh token that comes with it is good for everything still, and takes the place of the old one
    /// ([`Tokens::with_refresh_token_of`]).
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn refresh_for(&self, tokens: &Tokens, ask: &TokenAsk) -> Result<Tokens, ClientError> {
        let response = self.renew(tokens, ask).await?;
        let details = Some(&ask.authorization_details).filter(|details| !details.is_empty());
        let narrowed = Tokens {
            scope: ask.scope.clone().or_else(|| tokens.scope.clone()),
            authorization_details: details.unwrap_or(&tokens.authorization_details).clone(),
            ..tokens.clone()
        };
        Ok(narrowed.renewed(response, self.prover().now()))
    }

    /// Goes on with a login under another key: the client with that key, and new tokens that are bound to it. Only for a
    /// client that authenticates, since the refresh token of a public one is bound (RFC 9449 §5). The old access token
    /// stays bound to the old key.
    ///
    /// # Errors
    /// [`ClientError::RotateKey`] where a new login is needed; the old tokens and the old key are good still.
    pub async fn rotate_key(&self, tokens: &Tokens, new: Prover) -> Result<(Self, Tokens), ClientError> {
        if !self.identity().is_confidential() {
            return Err(RotateKeyError::PublicClient.into());
        }
        let client = self.clone().with_prover(new);
        match client.refresh(tokens).await {
            Ok(tokens) => Ok((client, tokens)),
            Err(ClientError::Token(error @ TokenError::Refused { .. })) => {
                Err(RotateKeyError::Refused(error).into())
            }
            Err(error) => Err(error),
        }
    }

    async fn renew(&self, tokens: &Tokens, ask: &TokenAsk) -> Result<TokenResponse, ClientError> {
        let refresh_token = tokens.refresh_token.clone().ok_or(ClientError::NoRefreshToken)?;
        let grant = GrantRequest::RefreshToken { refresh_token, scope: ask.scope.clone() };
        let response = self.request_tokens(&ask.request(grant)).await?;
        // A login whose tokens are bound does not go on with others, whatever this client takes otherwise (ATK-120).
        match (tokens.token_type, response.token_type) {
            (TokenType::Dpop, TokenType::Bearer) => Err(TokenError::Downgraded.into()),
            _ => Ok(response),
        }
    }
}
