//! Where the answer goes: the only thing that a redirect to a client can be built from.

use crate::clients::RegisteredClient;
use crate::config::Config;
use crate::refusal::Denied;
use keybound_dpop::secret::Secret;
use keybound_oauth::authorization::{AuthorizationResponse, ReturnTo};
use keybound_oauth::error::{ErrorBody, ErrorCode};
use keybound_oauth::redirect_uri::RedirectUri;
use url::{Host, Url};

/// A redirect URI that is registered for the client that asks, and what goes back there whatever the outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnAddress {
    redirect_uri: RedirectUri,
    state: Option<String>,
    iss: String,
}

impl ReturnAddress {
    /// Finds the registered redirect URI that the request names, or the only one where it names none
    /// (RFC 6749 §3.1.2.3).
    ///
    /// # Errors
    /// [`Denied`], which can be told on a page only (RFC 6749 §4.1.2.1).
    pub(super) fn find(client: &RegisteredClient, to: &ReturnTo, config: &Config) -> Result<Self, Denied> {
        let profile = config.profile.of(client);
        let redirect_uri = match (&to.redirect_uri, client.redirect_uris.as_slice()) {
            (Some(requested), registered) => client.find_redirect_uri(requested).ok_or_else(|| {
                let wire =
                    "`redirect_uri` must be one that is registered for the client, character for character";
                let nearest =
                    registered.iter().map(RedirectUri::as_str).max_by_key(|r| in_common(r, requested));
                let log = format!("nearest: {}; asked for: {requested}", nearest.unwrap_or("none"));
                Denied::new(ErrorCode::InvalidRequest, "AS-AUT-02", wire).log(&log)
            })?,
            (None, [only]) if !profile.demands_redirect_uri() => only.clone(),
            (None, _) => {
                let wire = "`redirect_uri` must be there";
                return Err(Denied::new(ErrorCode::InvalidRequest, "OIDC-AUT-20", wire));
            }
        };
        Ok(Self { redirect_uri, state: to.state.clone(), iss: config.issuer.as_str().to_owned() })
    }

    /// The redirect URI.
    #[must_use]
    pub const fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// The URL that brings a code to the client.
    #[must_use]
    pub fn with_code(&self, code: Secret) -> String {
        self.with(Ok(code))
    }

    /// The URL that brings an error to the client.
    #[must_use]
    pub fn with_error(&self, denied: &Denied) -> String {
        self.with(Err(denied.body()))
    }

    fn with(&self, outcome: Result<Secret, ErrorBody>) -> String {
        let response =
            AuthorizationResponse { outcome, state: self.state.clone(), iss: Some(self.iss.clone()) };
        response.to_url(&self.redirect_uri)
    }

    /// What a person should read as the place: the host, or the whole URI of an application on their device.
    #[must_use]
    pub fn shown(&self) -> &str {
        match self.redirect_uri.is_private_use() {
            true => self.redirect_uri.as_str(),
            false => self.redirect_uri.url().host_str().unwrap_or_else(|| self.redirect_uri.as_str()),
        }
    }

    /// The source expression that lets a form end there (CSP3 §2.3.1): the origin, or the scheme where a source
    /// expression cannot spell the host.
    #[must_use]
    pub fn form_target(&self) -> String {
        let url = self.redirect_uri.url();
        match is_spelled(url) {
            true => url.origin().ascii_serialization(),
            false => format!("{}:", url.scheme()),
        }
    }
}

/// Whether the grammar of a host-source knows such a host: names and IPv4 addresses, no brackets.
fn is_spelled(url: &Url) -> bool {
    let is_plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    match url.host() {
        Some(Host::Domain(name)) => matches!(url.scheme(), "https" | "http") && is_plain(name),
        Some(Host::Ipv4(_)) => true,
        Some(Host::Ipv6(_)) | None => false,
    }
}

fn in_common(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bcp_ui_02_a_form_may_end_at_the_redirect_uri_and_nowhere_else() {
        for (redirect_uri, target) in [
            ("https://app.example/cb?x=1", "https://app.example"),
            ("https://app.example:8443/cb", "https://app.example:8443"),
            ("http://127.0.0.1:5555/cb", "http://127.0.0.1:5555"),
            ("http://[::1]:5555/cb", "http:"),
            ("com.example.app:/cb", "com.example.app:"),
            ("com.example.app://cb", "com.example.app:"),
            ("https://a;script-src/cb", "https:"),
        ] {
            let redirect_uri = RedirectUri::parse(redirect_uri).expect(redirect_uri);
            let address = ReturnAddress { redirect_uri, state: None, iss: String::new() };
            assert_eq!(address.form_target(), target);
        }
    }
}
