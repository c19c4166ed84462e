//! Where the answer goes, and how: the only thing that a redirect or a form to a client can be built from.

use crate::clients::RegisteredClient;
use crate::config::Config;
use crate::page::{self, Frame, Language, PostBackPage};
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use crate::signing_keys::{DEFAULT_ALGORITHM, KeyUse};
use axum::body::Body;
use http::Response;
use keybound_dpop::secret::Secret;
use keybound_oauth::authorization::AuthorizationResponse;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::form::{Form, FormWriter};
use keybound_oauth::jarm;
use keybound_oauth::redirect_uri::RedirectUri;
use keybound_oauth::response_mode::ResponseMode;
use std::sync::Arc;
use url::{Host, Position, Url};

/// For how long a signed answer is good (FMS-04).
pub(crate) const SIGNED_LIFE_SECS: u64 = 300;

/// A redirect URI that is registered for the client that asks, and what goes back there whatever the outcome.
#[derive(Clone, Debug)]
pub struct ReturnAddress {
    redirect_uri: RedirectUri,
    state: Option<String>,
    mode: ResponseMode,
    client: Arc<RegisteredClient>,
    language: Language,
}

impl ReturnAddress {
    /// Finds the registered redirect URI that the request names, or the only one where it names none
    /// (RFC 6749 §3.1.2.3).
    ///
    /// # Errors
    /// [`Denied`], which can be told on a page only (RFC 6749 §4.1.2.1).
    pub(super) fn find(
        client: &Arc<RegisteredClient>,
        form: &Form,
        config: &Config,
        language: Language,
    ) -> Result<Self, Denied> {
        let profile = config.profile.of(client);
        let redirect_uri = match (form.get("redirect_uri"), client.redirect_uris.as_slice()) {
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
        // Errors travel like codes (Form Post §2); that a mode is unknown is told in the query.
        let mode = form.get("response_mode").and_then(ResponseMode::parse).unwrap_or_default();
        let mode = if redirect_uri.is_private_use() { in_query(mode) } else { mode };
        let language = language.or_asked(config, form.get("ui_locales"));
        let state = form.get("state").map(str::to_owned);
        Ok(Self { redirect_uri, state, mode, client: Arc::clone(client), language })
    }

    /// The language of the pages on the way there.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }

    /// The redirect URI.
    #[must_use]
    pub const fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// A form can be posted to a web server only.
    pub(super) fn check_mode(&self, asked: Option<&str>) -> Result<(), Denied> {
        match asked.and_then(ResponseMode::parse) {
            Some(mode) if mode != self.mode => {
                let wire = "`response_mode` must be a query for a redirect URI with a private-use scheme";
                Err(Denied::new(ErrorCode::InvalidRequest, "OIDC-FP-05", wire))
            }
            _ => Ok(()),
        }
    }

    /// Sends the browser to the client with a code, or with an error, in the mode that was asked for.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] where nothing can be signed or the location is no field value.
    pub fn answer(
        &self,
        provider: &Provider,
        outcome: Result<Secret, &Denied>,
    ) -> Result<Response<Body>, Refusal> {
        let outcome = outcome.map_err(Denied::body);
        let iss = Some(provider.config.issuer.to_string());
        let response = AuthorizationResponse { outcome, state: self.state.clone(), iss };
        let signed = match self.mode.is_signed() {
            true => Some(self.sign(provider, &response)?),
            false => None,
        };
        let fields = match &signed {
            Some(jwt) => vec![(jarm::PARAMETER, jwt.reveal())],
            None => response.parameters(),
        };
        match self.mode.is_posted() {
            true => Ok(self.post(provider, fields)),
            false => {
                let form = fields.into_iter().fold(FormWriter::new(), |f, (name, value)| f.pair(name, value));
                let location = self.redirect_uri.with_query(&form.finish());
                // BCP-RED-03: with a fragment of its own, no browser hangs an older one onto it (RFC 9110 §10.2.2).
                page::redirect(&provider.config, &format!("{location}#_"))
            }
        }
    }

    /// JARM §2.1: `iss`, `aud` and `exp` beside the parameters.
    fn sign(&self, provider: &Provider, response: &AuthorizationResponse) -> Result<Secret, Refusal> {
        let now = provider.unix();
        let algorithm = self.client.authorization_signed_response_alg.unwrap_or(DEFAULT_ALGORITHM);
        let key = provider.signing_keys.signer(KeyUse::Messages, algorithm, now)?;
        let exp = now.plus_secs(SIGNED_LIFE_SECS);
        let signer = (&key.key, Some(key.kid.as_str()));
        Ok(jarm::sign(response, &provider.config.issuer, &self.client.id, exp, signer)?)
    }

    fn post(&self, provider: &Provider, fields: Vec<(&str, &str)>) -> Response<Body> {
        let frame = Frame::of(&provider.config, self.language);
        let shown = PostBackPage {
            frame,
            client: self.client.display_name(),
            destination: self.shown(),
            target: self.redirect_uri.as_str(),
            fields,
            script: page::SUBMIT,
        };
        page::respond_with_script(frame, &shown, &self.form_target())
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
        form_target(self.redirect_uri.url())
    }
}

/// As [`ReturnAddress::form_target`], for any URL that was registered.
pub(super) fn form_target(url: &Url) -> String {
    match is_spelled(url) {
        true => [url.scheme(), "://", &url[Position::BeforeHost..Position::AfterPort]].concat(),
        false => [url.scheme(), ":"].concat(),
    }
}

/// Nothing can be posted to an application on a device.
const fn in_query(mode: ResponseMode) -> ResponseMode {
    if mode.is_signed() { ResponseMode::QueryJwt } else { ResponseMode::Query }
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
            assert_eq!(form_target(redirect_uri.url()), target);
        }
    }
}
