//! Token exchange (RFC 8693): a token for another one, on behalf of the same user (impersonation), or by an actor who is
//! named in it (delegation).

use crate::client::Client;
use crate::error::ClientError;
use crate::flow::ask::TokenAsk;
use crate::tokens::Tokens;
use bytes::Bytes;
use http::Response;
use keybound_dpop::jose::json::Object;
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
pub enum Exchanged {
    /// A token for resources.
    Access {
        /// The new token.
        tokens: Box<Tokens>,
        /// `issued_token_type`; some servers leave it out, though §2.2.1 demands it.
        issued_token_type: Option<String>,
    },
    /// A token of another kind, such as an assertion for another server: `token_type` is `N_A` (§2.2.1).
    Other {
        /// The new token.
        token: Secret,
        /// `issued_token_type`
        issued_token_type: String,
    },
}

impl Exchanged {
    /// The new token for resources.
    ///
    /// # Errors
    /// [`NoAccessToken`] where it is one of another kind.
    pub fn access(self) -> Result<Tokens, NoAccessToken> {
        match self {
            Self::Access { tokens, .. } => Ok(*tokens),
            Self::Other { .. } => Err(NoAccessToken),
        }
    }
}

/// An exchange brought a token that no resource takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the authorization server issued a token that is no access token; ask for \
     `urn:ietf:params:oauth:token-type:access_token`"
)]
pub struct NoAccessToken;

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
        let request = ask.request(grant);
        let answer = self.ask_for_tokens(&request).await?;
        if let Some(other) = read_other(&answer) {
            return Ok(other);
        }
        let mut response = self.judge_tokens(&answer, self.wanted(), &request)?;
        let issued_token_type = response.issued_token_type.take();
        let tokens = Tokens::granted(response, ask.scope.as_ref(), self.prover().now());
        Ok(Exchanged::Access { tokens: Box::new(tokens), issued_token_type })
    }
}

/// An answer whose token is for no resource.
fn read_other(answer: &Response<Bytes>) -> Option<Exchanged> {
    let object = Object::parse(answer.body()).ok().filter(|_| answer.status().is_success())?;
    let text = |name| object.string(name).ok().flatten().filter(|text| !text.is_empty());
    text("token_type").filter(|name| name.eq_ignore_ascii_case("N_A"))?;
    let issued_token_type = text("issued_token_type")?.to_owned();
    Some(Exchanged::Other { token: Secret::new(text("access_token")?), issued_token_type })
}
