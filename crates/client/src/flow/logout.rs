//! RP-initiated logout (OpenID Connect RP-Initiated Logout §2): the user is signed out of the provider, in a browser.

use crate::client::Client;
use crate::error::ClientError;
use keybound_dpop::secret::Secret;
use keybound_oauth::end_session::EndSessionRequest;
use url::Url;

const ENDPOINT: &str = "end_session_endpoint";

/// What a logout asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogoutAsk {
    /// Who is to be signed out: a name, an address, or the `sid` of the ID token.
    pub logout_hint: Option<String>,
    /// Where the browser goes afterwards: one of those that are registered.
    pub post_logout_redirect_uri: Option<String>,
    /// Comes back there.
    pub state: Option<String>,
}

/// A logout that a browser posts, so that the ID token in it is in no URL.
pub struct LogoutForm {
    /// Where it is posted to.
    pub action: String,
    /// The body, of type `application/x-www-form-urlencoded`.
    pub body: Secret,
}

impl Client {
    /// The URL to open in the user's browser. There is no token in it (RFC 9700 §4.3.2), so the server may ask the user
    /// who is to be signed out.
    ///
    /// # Errors
    /// [`ClientError::Outgoing`] where the server has no such endpoint.
    pub fn logout_url(&self, ask: &LogoutAsk) -> Result<String, ClientError> {
        let mut url = self.end_session_endpoint()?;
        let query = self.logout_request(ask, None).to_form().finish();
        let query = match url.query() {
            Some(before) if !before.is_empty() => format!("{before}&{query}"),
            _ => query,
        };
        url.set_query(Some(&query));
        Ok(url.into())
    }

    /// The same with the ID token that the user got at the login, as `id_token_hint`: to be posted by a page.
    ///
    /// # Errors
    /// [`ClientError::Outgoing`] where the server has no such endpoint.
    pub fn logout_form(&self, ask: &LogoutAsk, id_token: &Secret) -> Result<LogoutForm, ClientError> {
        let body = Secret::new(self.logout_request(ask, Some(id_token)).to_form().finish());
        Ok(LogoutForm { action: self.end_session_endpoint()?.into(), body })
    }

    fn end_session_endpoint(&self) -> Result<Url, ClientError> {
        Ok(self.endpoint(ENDPOINT, |at| at.end_session_endpoint.as_ref())?.url().clone())
    }

    fn logout_request(&self, ask: &LogoutAsk, id_token: Option<&Secret>) -> EndSessionRequest {
        EndSessionRequest {
            id_token_hint: id_token.cloned(),
            logout_hint: ask.logout_hint.clone(),
            client_id: Some(self.identity().client_id.as_str().to_owned()),
            post_logout_redirect_uri: ask.post_logout_redirect_uri.clone(),
            state: ask.state.clone(),
            ui_locales: None,
        }
    }
}
