//! Who is at the other end: a browser, and the user who is signed in there.

use super::cookie::Cookie;
use crate::page::Language;
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::store::{Credential, Fault, SignedIn};
use http::request::Parts;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::random;
use std::net::SocketAddr;

/// A browser.
#[derive(Debug)]
pub struct Visitor {
    /// What the sign-in form of this browser is bound to.
    form_cookie: Option<String>,
    /// Who is signed in, unless that has ended.
    pub(super) signed_in: Option<SignedIn>,
    /// Where the connection comes from.
    pub(super) peer: Option<SocketAddr>,
    /// What they read.
    pub(super) language: Language,
}

impl Visitor {
    /// Reads the cookies, and looks the session up, with what its user lets that client have. `language` is what they
    /// read.
    ///
    /// # Errors
    /// [`Fault`] where the store does not answer.
    pub async fn of(
        provider: &Provider,
        language: Language,
        parts: &Parts,
        client_id: Option<&str>,
    ) -> Result<Self, Fault> {
        let form_cookie = Cookie::Form.read(&provider.config, &parts.headers).filter(|value| is_ours(value));
        let signed_in = match Cookie::Session.read(&provider.config, &parts.headers) {
            Some(value) => find_session(provider, &value, client_id).await?,
            None => None,
        };
        let peer = parts.extensions.get::<SocketAddr>().copied();
        Ok(Self { form_cookie, signed_in, peer, language })
    }

    /// What the sign-in form is bound to, and whether the browser has yet to be told.
    pub(super) fn form_owner(&self) -> Result<(String, bool), Refusal> {
        match &self.form_cookie {
            Some(value) => Ok((value.clone(), false)),
            None => {
                let entropy: [u8; 32] = random().map_err(|error| Refusal::Unavailable(error.to_string()))?;
                Ok((base64url::encode(&entropy), true))
            }
        }
    }

    /// What the browser sent back of it.
    pub(super) fn sent_form_owner(&self) -> Option<&str> {
        self.form_cookie.as_deref()
    }
}

fn is_ours(value: &str) -> bool {
    base64url::decode_exactly::<32>(value).is_some()
}

async fn find_session(
    provider: &Provider,
    cookie: &str,
    client_id: Option<&str>,
) -> Result<Option<SignedIn>, Fault> {
    let Some((id, secret_hash)) = Credential::parse(cookie) else { return Ok(None) };
    let found = provider.store.find_signed_in(id, &secret_hash, client_id).await?;
    Ok(found.filter(|found| provider.unix() < found.session.expires_at))
}
