//! Token exchange (RFC 8693): a token for another one, on behalf of the same user (impersonation), or by an actor who is
//! named in it (delegation).

use crate::client::Client;
use crate::error::ClientError;
use crate::flow::ask::TokenAsk;
use crate::tokens::Tokens;
use keybound_dpop::secret::Secret;
use keybound_oauth::token::GrantRequest;
use keybound_oauth::token_exchange::{TokenExchangeRequest, TypedToken};

/// What is exchanged, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeAsk {
    /// On whose behalf the new token speaks.
    pub subject: TypedToken,
    /// Who acts, where the new token is to say that somebody does.
    pub actor: Option<TypedToken>,
    /// `requested_token_type`; left out, an access token or what the server likes.
    pub requested_token_type: Option<String>,
    /// `audience`, any number of times.
    pub audiences: Vec<String>,
    /// `scope`, `resource`
    pub ask: TokenAsk,
}

/// What came of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// The new token.
    pub tokens: Tokens,
    /// `issued_token_type`; some servers leave it out, though §2.2.1 demands it.
    pub issued_token_type: Option<String>,
}

impl ExchangeAsk {
    /// An access token for another one.
    #[must_use]
    pub fn access_token(token: Secret) -> Self {
        Self {
            subject: TypedToken::access_token(token),
            actor: None,
            requested_token_type: None,
            audiences: Vec::new(),
            ask: TokenAsk::default(),
        }
    }

    /// As this, by an actor.
    #[must_use]
    pub fn by(self, actor: TypedToken) -> Self {
        Self { actor: Some(actor), ..self }
    }
}

impl Client {
    /// Exchanges a token. The new one is bound to this client's key.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn exchange_token(&self, exchange: ExchangeAsk) -> Result<Exchanged, ClientError> {
        let ExchangeAsk { subject, actor, requested_token_type, audiences, ask } = exchange;
        let scope = ask.scope.clone();
        let request = TokenExchangeRequest { subject, actor, requested_token_type, scope, audiences };
        let grant = GrantRequest::TokenExchange(Box::new(request));
        let mut response = self.request_tokens(&ask.request(grant)).await?;
        let issued_token_type = response.issued_token_type.take();
        let tokens = Tokens::granted(response, ask.scope.as_ref(), self.prover().now());
        Ok(Exchanged { tokens, issued_token_type })
    }
}
