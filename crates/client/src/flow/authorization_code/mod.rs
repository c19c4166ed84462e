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
//!
//! A program on the user's machine:
//!
//! ```no_run
//! # use keybound_client::client::Client;
//! # use keybound_client::flow::authorization_code::LoginAsk;
//! # use keybound_client::loopback::Loopback;
//! # use keybound_client::tokens::Tokens;
//! # use keybound_oauth::scope::Scope;
//! # use std::time::Duration;
//! # async fn login(client: &Client) -> Result<Tokens, Box<dyn std::error::Error>> {
//! let mut loopback = Loopback::listen("/callback").await?;
//! let ask = LoginAsk { scope: Scope::parse("openid read").ok(), ..LoginAsk::default() };
//! let login = client.begin_login(ask, loopback.redirect_uri()).await?;
//! println!("open {}", login.url());
//! let query = loopback.response(Duration::from_secs(600)).await?;
//! let tokens = client.finish_login(login, &query).await?;
//! # Ok(tokens)
//! # }
//! ```
//!
//! A web application, where one request begins the login and another one ends it, maybe in another process. The login is
//! kept in between, with the browser's session:
//!
//! ```no_run
//! # use keybound_client::client::Client;
//! # use keybound_client::flow::authorization_code::{LoginAsk, PendingLogin, start::StartToken};
//! # use keybound_client::return_to::ReturnTo;
//! # use keybound_client::tokens::Tokens;
//! # use keybound_dpop::secret::Secret;
//! # use keybound_oauth::{response_mode::ResponseMode, scope::Scope};
//! # type Done<T> = Result<T, Box<dyn std::error::Error>>;
//! # async fn begin(client: &Client, kept: Secret, method: &http::Method, field: &Secret, wish: &str) -> Done<(String, String)> {
//! // POST /login, by the form of the page that says where the login leads.
//! StartToken::of(kept).check(method, Some(field))?;
//! let ask = LoginAsk {
//!     scope: Scope::parse("openid read").ok(),
//!     response: ResponseMode::FormPost,
//!     return_to: ReturnTo::path(wish).ok(),
//!     ..LoginAsk::default()
//! };
//! let login = client.begin_login(ask, "https://app.example/callback").await?;
//! let (keep, location) = (login.to_json(), login.url().to_owned());
//! # Ok((keep.to_string(), location))
//! # }
//! # async fn finish(client: &Client, kept: &[u8], body: Secret) -> Done<(Tokens, Option<ReturnTo>)> {
//! // POST /callback: the login is taken out of the session, so that it ends once.
//! let login = PendingLogin::parse(kept)?;
//! let return_to = login.return_to().cloned();
//! let tokens = client.finish_login(login, &body).await?;
//! // 303 See Other to `return_to`, so that code and state do not stay in the address bar.
//! # Ok((tokens, return_to))
//! # }
//! ```

pub mod ask;
pub mod begin;
pub mod fapi;
pub mod pending;
pub mod start;
mod stored;
#[cfg(test)]
pub(crate) mod tests;

pub use ask::{LoginAsk, LoginRules, Parties, Profile, RequestKey, When};
pub use begin::{Begun, LoginEntropy, LoginImpossible, Unpushed, begin};
pub use pending::{Defence, OidcNonce, PendingLogin, RedirectRefused};
pub use stored::NotALogin;

use crate::client::Client;
use crate::discover::choose_algorithm;
use crate::error::ClientError;
use crate::flow::pushed;
use crate::flow::response_jwt::{self, SignedBy};
use crate::id_token::IdTokenRefused;
use crate::prover::{ProveError, SharedSigner};
use crate::tokens::Tokens;
use keybound_dpop::jose::jws::JwtError;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_oauth::jarm::JarmError;
use keybound_oauth::token::TokenRequest;
use std::sync::Arc;

impl Client {
    /// Begins a login whose answer goes to `redirect_uri` ([`crate::loopback::Loopback::redirect_uri`]): pushes the
    /// request where that is to be done, and signs it.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn begin_login(&self, ask: LoginAsk, redirect_uri: &str) -> Result<PendingLogin, ClientError> {
        let entropy = LoginEntropy::draw().map_err(ProveError::from)?;
        let parties = self.parties();
        let login = match begin(&parties, redirect_uri, ask, self.prover(), &entropy)? {
            Begun::Ready(login) => *login,
            Begun::ToPush(unpushed) => self.push(*unpushed).await?,
        };
        // RFC 9449 §10: a key is a defence where it is new for each login.
        let defence = match (login.defence, self.spend_new_key()) {
            (Defence::Key, false) => Defence::StateOnly,
            (defence, _) => defence,
        };
        let login = PendingLogin { defence, ..login };
        if defence != Defence::Pkce {
            let issuer = login.issuer();
            tracing::warn!(%issuer, ?defence, "the server does not say that it checks PKCE with S256");
        }
        Ok(login)
    }

    async fn push(&self, unpushed: Unpushed) -> Result<PendingLogin, ClientError> {
        let parties = self.parties();
        let (request, key) = (unpushed.request(), unpushed.key());
        let make = || Ok(pushed::request(&parties, request, key, self.prover())?);
        let response = self.ask_server(make).await?;
        match pushed::judge(&response) {
            Ok(reference) => Ok(unpushed.pushed(&reference, self.prover().now())),
            Err(error) if error.is_of_the_client() && unpushed.is_optional() => {
                tracing::warn!(%error, "the server takes no pushed request of this client, so it goes through the browser");
                Ok(unpushed.in_url(&parties, self.prover().now())?)
            }
            Err(error) => Err(error.without(&self.secrets(Vec::new())).into()),
        }
    }

    /// The same client under a new key, for one login: so no two authorization servers, users or logins share a key
    /// (RFC 9449 §10, §11; FAPI 2.0 §6.3). The key is of the kind of the old one; keep it beside the tokens.
    ///
    /// # Errors
    /// [`ClientError`] where the server does not take that kind, or no key can be made.
    pub fn under_new_key(&self) -> Result<(Self, Arc<SigningKey>), ClientError> {
        let algorithm = choose_algorithm(self.server(), Some(self.prover().algorithm()))?;
        let key = Arc::new(SigningKey::generate(algorithm).map_err(ProveError::from)?);
        let signer: SharedSigner = Arc::<SigningKey>::clone(&key);
        Ok((self.clone().with_new_key(self.prover().under(signer)), key))
    }

    /// Ends a login with the browser's answer: the query of the redirect, or the body of the form that was posted to it.
    /// Judges it, redeems the code, checks the ID token. A login can end once.
    ///
    /// # Errors
    /// [`ClientError`]; where the answer is refused, no code was sent.
    pub async fn finish_login(&self, login: PendingLogin, answer: &Secret) -> Result<Tokens, ClientError> {
        login.check_client(&self.parties(), self.prover().jkt())?;
        login.check_time(self.prover().now())?;
        let grant = self.judge_answer(&login, answer).await?;
        let response = self.request_tokens(&grant).await?;
        let mut tokens = Tokens::granted(response, login.ask.scope.as_ref(), self.prover().now());
        let is_openid = tokens.scope.as_ref().is_some_and(|scope| scope.contains("openid"));
        // RFC 9700 §4.5.3.2: where the `nonce` is the defence, there are no tokens without it.
        let is_needed = is_openid || login.defence() == Defence::OidcNonce;
        match (login.nonce.is_some(), tokens.id_token.is_some()) {
            (true, true) => {
                let checked = self.check_id_token(&tokens, &login.asked(&grant)).await?;
                tokens.subject = Some(checked.sub);
            }
            (true, false) if is_needed => return Err(IdTokenRefused::Missing.into()),
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
        let algorithms = self.parties().response_algorithms();
        let signed_by = SignedBy { keys: &keys, algorithms, now: self.prover().now() };
        Ok(login.judge_signed(answer, &signed_by)?)
    }
}
