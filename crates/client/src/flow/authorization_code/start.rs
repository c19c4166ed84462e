//! Whether it was the user who wants to log in (FAPI 2.0 §5.3.3.1, RFC 9700 §4.7). A link or a picture of another site can
//! send a browser anywhere, so a host program begins a login on a POST of a form of its own only, with a token that the
//! browser's session alone has; and it tells the user where the login leads.

use http::Method;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::{self, CryptoError};
use keybound_dpop::secret::Secret;

/// The token in the form that begins a login; kept with the browser's session.
///
/// ```
/// # use keybound_client::flow::authorization_code::start::StartToken;
/// # use keybound_dpop::secret::Secret;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The page with the button: the token is kept with the session, and stands in a hidden field of the form.
/// let token = StartToken::draw()?;
/// let (kept, field) = (token.secret().clone(), token.secret().clone());
/// // The POST of that form.
/// StartToken::of(kept).check(&http::Method::POST, Some(&field))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartToken(Secret);

/// Nobody shows that the user wants to log in; no login begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a login begins with the form of this site only; open its page and press the button")]
pub struct NotAsked;

impl StartToken {
    /// A new token, for a new session.
    ///
    /// # Errors
    /// [`CryptoError`] where the system has no entropy to give.
    pub fn draw() -> Result<Self, CryptoError> {
        Ok(Self(Secret::new(base64url::encode(&crypto::random::<32>()?))))
    }

    /// The token that was kept with the session.
    #[must_use]
    pub const fn of(kept: Secret) -> Self {
        Self(kept)
    }

    /// The text, for the session and for the form.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.0
    }

    /// Whether a request may begin a login: a POST that has the token of its session.
    ///
    /// # Errors
    /// [`NotAsked`]
    pub fn check(&self, method: &Method, came: Option<&Secret>) -> Result<(), NotAsked> {
        let is_ours = came == Some(&self.0) && !self.0.is_empty();
        if *method == Method::POST && is_ours { Ok(()) } else { Err(NotAsked) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fapi_cl_08_a_login_begins_with_a_post_and_the_sessions_token_only() {
        let (token, other) = (StartToken::draw().expect("a token"), StartToken::draw().expect("a token"));
        assert_eq!(token.check(&Method::POST, Some(token.secret())), Ok(()));
        assert_eq!(token.check(&Method::GET, Some(token.secret())), Err(NotAsked));
        assert_eq!(token.check(&Method::POST, Some(other.secret())), Err(NotAsked));
        assert_eq!(token.check(&Method::POST, None), Err(NotAsked));
        let empty = StartToken::of(Secret::default());
        assert_eq!(empty.check(&Method::POST, Some(&Secret::default())), Err(NotAsked));
    }
}
