//! The authorization code grant with PKCE (RFC 6749 §4.1, RFC 7636, RFC 9700 §2.1): the browser is sent to the server,
//! and comes back with a code.
//!
//! | file | what |
//! |---|---|
//! | [`ask`] | what a login asks for, and the rules of the client |
//! | [`begin`](mod@begin) | the first half: the request, and how it travels |
//! | [`pending`] | a login that waits for its answer, and the second half |
//! | [`fapi`] | what FAPI 2.0 demands before a login begins |
//! | [`start`] | whether it was the user who wants to log in |

pub mod ask;
pub mod begin;
pub mod fapi;
pub mod pending;
pub mod start;
mod stored;
#[cfg(test)]
mod tests;

pub use ask::{LoginAsk, LoginRules, Parties, Profile, RequestKey, When};
pub use begin::{Begun, LoginEntropy, LoginImpossible, Unpushed, begin};
pub use pending::{Defence, OidcNonce, PendingLogin, RedirectRefused};
pub use stored::NotALogin;

use crate::client::Client;
use crate::error::ClientError;
use crate::flow::pushed;
use crate::flow::response_jwt::{self, SignedBy};
use crate::id_token::IdTokenRefused;
use crate::prover::ProveError;
use crate::tokens::Tokens;
use keybound_dpop::jose::jws::JwtError;
use keybound_dpop::secret::Secret;
use keybound_oauth::jarm::JarmError;
use keybound_oauth::token::TokenRequest;

impl Client {
    /// Begins a login whose answer goes to `redirect_uri` ([`crate::loopback::Loopback::redirect_uri`]): pushes the
    /// request where that is to be done, and signs it.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn begin_login(&self, ask: LoginAsk, redirect_uri: &str) -> Result<PendingLogin, ClientError> {
        let entropy = LoginEntropy::draw().map_err(ProveError::from)?;
        let parties = self.parties();
        let unpushed = match begin(&parties, redirect_uri, ask, self.prover(), &entropy)? {
            Begun::Ready(login) => return Ok(*login),
            Begun::ToPush(unpushed) => unpushed,
        };
        let make = || Ok(pushed::request(&parties, unpushed.request(), unpushed.key(), self.prover())?);
        let response = self.ask_server(make).await?;
        Ok(unpushed.pushed(&pushed::judge(&response)?, self.prover().now()))
    }

    /// Ends a login with the browser's answer: the query of the redirect, or the body of the form that was posted to it.
    /// Judges it, redeems the code, checks the ID token. A login can end once.
    ///
    /// # Errors
    /// [`ClientError`]; where the answer is refused, no code was sent.
    pub async fn finish_login(&self, login: PendingLogin, answer: &Secret) -> Result<Tokens, ClientError> {
        login.check_client(&self.parties(), self.prover().jkt())?;
        let grant = self.judge_answer(&login, answer).await?;
        let response = self.request_tokens(&grant).await?;
        let mut tokens = Tokens::granted(response, login.ask.scope.as_ref(), self.prover().now());
        let is_openid = tokens.scope.as_ref().is_some_and(|scope| scope.contains("openid"));
        match (login.nonce.is_some(), tokens.id_token.is_some()) {
            (true, true) => {
                let checked = self.check_id_token(&tokens, &login.asked(&grant)).await?;
                tokens.subject = Some(checked.sub);
            }
            (true, false) if is_openid => return Err(IdTokenRefused::Missing.into()),
            _ => tokens.id_token = None,
        }
        Ok(tokens)
    }

    async fn judge_answer(&self, login: &PendingLogin, answer: &Secret) -> Result<TokenRequest, ClientError> {
        if !login.wants_signed() {
            return Ok(login.judge(answer)?);
        }
        let jwt = PendingLogin::response_jwt(answer)?;
        let kid = response_jwt::kid(&jwt).map_err(RedirectRefused::from)?;
        let unknown = RedirectRefused::Jwt(JarmError::Jwt(JwtError::UnknownKey));
        let keys = self.keys().ok_or(unknown)?.keys(kid.as_deref()).await?;
        let algorithms = response_jwt::accepted(self.server(), self.login_rules().response_algorithm);
        let signed_by = SignedBy { keys: &keys, algorithms, now: self.prover().now() };
        Ok(login.judge_signed(answer, &signed_by)?)
    }
}
