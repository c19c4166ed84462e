//! Revocation (RFC 7009): tokens that are no longer needed are given back.

use crate::client::Client;
use crate::endpoint_error::expect_success;
use crate::error::ClientError;
use crate::tokens::Tokens;
use keybound_dpop::secret::Secret;
use keybound_oauth::revocation::RevocationRequest;

const ENDPOINT: &str = "revocation_endpoint";

/// What kind of token is given back: a hint, with which the server finds it sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `access_token`
    Access,
    /// `refresh_token`
    Refresh,
}

impl TokenKind {
    /// The value of `token_type_hint`.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Access => "access_token",
            Self::Refresh => "refresh_token",
        }
    }
}

impl Client {
    /// Gives one token back. A server takes a token that it does not know for one that is already revoked (§2.2).
    ///
    /// # Errors
    /// [`ClientError`]; the token may be good still.
    pub async fn revoke(&self, token: &Secret, kind: TokenKind) -> Result<(), ClientError> {
        let request =
            RevocationRequest { token: token.clone(), token_type_hint: Some(kind.hint().to_owned()) };
        let response =
            self.post_form(ENDPOINT, |at| at.revocation_endpoint.as_ref(), || request.to_form()).await?;
        Ok(expect_success(ENDPOINT, &response).map_err(|error| error.without(&self.secrets(vec![token])))?)
    }

    /// Gives a login back: the refresh token, with which a server ends the whole grant (§2.1), and the access token for
    /// the servers that do not.
    ///
    /// # Errors
    /// [`ClientError`] of the first that could not be given back; the other was tried all the same.
    pub async fn revoke_all(&self, tokens: &Tokens) -> Result<(), ClientError> {
        let refresh = match &tokens.refresh_token {
            Some(token) => self.revoke(token, TokenKind::Refresh).await,
            None => Ok(()),
        };
        let access = self.revoke(&tokens.access_token, TokenKind::Access).await;
        refresh.and(access)
    }
}
