//! The tokens that a client holds. They are opaque to it (RFC 6749 §1.4).

use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::scope::Scope;
use keybound_oauth::token::{TokenResponse, TokenType};

/// An access token with what came beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The access token.
    pub access_token: Secret,
    /// How it is presented.
    pub token_type: TokenType,
    /// The refresh token.
    pub refresh_token: Option<Secret>,
    /// What it allows: what the server said, else what was asked for.
    pub scope: Option<Scope>,
    /// `authorization_details`, as they were granted (RFC 9396 §7).
    pub authorization_details: AuthorizationDetails,
    /// When it expires, where the server said that (RFC 6749 §5.1 does not demand it).
    pub expires_at: Option<UnixTime>,
    /// The ID token.
    pub id_token: Option<Secret>,
    /// `sub` of the ID token, once that was checked.
    pub subject: Option<String>,
}

impl Tokens {
    /// Out of a token response that came now, after `asked` was asked for.
    #[must_use]
    pub fn granted(response: TokenResponse, asked: Option<&Scope>, now: UnixTime) -> Self {
        Self {
            access_token: response.access_token,
            token_type: response.token_type,
            refresh_token: response.refresh_token,
            scope: response.scope.or_else(|| asked.cloned()),
            authorization_details: response.authorization_details,
            expires_at: response.expires_in_secs.map(|secs| now.plus_secs(secs)),
            id_token: response.id_token,
            subject: None,
        }
    }

    /// These after a refresh: what the response does not bring stays (RFC 6749 §6). The ID token stays the one that was
    /// checked at the login.
    #[must_use]
    pub fn renewed(&self, response: TokenResponse, now: UnixTime) -> Self {
        let new = Self::granted(response, self.scope.as_ref(), now);
        let details = Some(new.authorization_details).filter(|details| !details.is_empty());
        Self {
            refresh_token: new.refresh_token.or_else(|| self.refresh_token.clone()),
            authorization_details: details.unwrap_or_else(|| self.authorization_details.clone()),
            id_token: self.id_token.clone(),
            subject: self.subject.clone(),
            ..new
        }
    }

    /// Whether the access token is known to have expired.
    #[must_use]
    pub fn is_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn response(json: &str) -> TokenResponse {
        TokenResponse::parse(json.as_bytes()).expect("a token response")
    }

    #[test]
    fn cl_tok_05_what_a_refresh_does_not_bring_stays() {
        let first =
            r#"{"access_token":"a1","token_type":"DPoP","refresh_token":"r1","expires_in":60,"scope":"x"}"#;
        let first = Tokens::granted(response(first), None, T);
        let kept = first.renewed(response(r#"{"access_token":"a2","token_type":"DPoP"}"#), T.plus_secs(60));
        assert_eq!(kept.refresh_token, Some(Secret::new("r1")));
        assert_eq!((kept.scope, kept.expires_at), (first.scope.clone(), None));
        let rotated = r#"{"access_token":"a3","token_type":"DPoP","refresh_token":"r2"}"#;
        assert_eq!(first.renewed(response(rotated), T).refresh_token, Some(Secret::new("r2")));
    }

    #[test]
    fn cl_tok_04_without_expires_in_a_token_is_not_expired() {
        let tokens = |json| Tokens::granted(response(json), None, T);
        let open = tokens(r#"{"access_token":"a","token_type":"DPoP"}"#);
        assert!(!open.is_expired(T.plus_secs(1_000_000)));
        let short = tokens(r#"{"access_token":"a","token_type":"DPoP","expires_in":60}"#);
        assert!(!short.is_expired(T.plus_secs(59)) && short.is_expired(T.plus_secs(60)));
    }

    #[test]
    fn debug_shows_no_token() {
        let json = r#"{"access_token":"hunter2","token_type":"DPoP","refresh_token":"hunter2","id_token":"hunter2"}"#;
        assert!(!format!("{:?}", Tokens::granted(response(json), None, T)).contains("hunter2"));
    }
}
