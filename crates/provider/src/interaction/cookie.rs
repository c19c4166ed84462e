//! The two cookies: the sign-in session, and the random text that the sign-in form is bound to. On plain HTTP, which
//! is spoken on a loopback host only, they lose `Secure` and `__Host-` (requirements 0.2).

use crate::config::Config;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// A cookie of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// `id.secret` of the sign-in session.
    Session,
    /// What the sign-in form is bound to; kept nowhere else.
    Form,
}

impl Cookie {
    const fn name(self, is_https: bool) -> &'static str {
        match (self, is_https) {
            (Self::Session, true) => "__Host-keybound",
            (Self::Session, false) => "keybound",
            (Self::Form, true) => "__Host-keybound-form",
            (Self::Form, false) => "keybound-form",
        }
    }

    /// The value that the browser sent.
    pub(crate) fn read(self, config: &Config, headers: &HeaderMap) -> Option<String> {
        let name = self.name(config.base.is_https());
        let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
        let mut pairs =
            fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    }

    /// The `Set-Cookie` field; it ends with the browser's own session, and the server's end is the one that counts.
    pub(crate) fn set(self, config: &Config, value: &str) -> Option<HeaderValue> {
        let is_https = config.base.is_https();
        let secure = if is_https { "; Secure" } else { "" };
        let name = self.name(is_https);
        HeaderValue::try_from(format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}")).ok()
    }

    /// The `Set-Cookie` field that has the browser forget it.
    pub(crate) fn clear(self, config: &Config) -> Option<HeaderValue> {
        let is_https = config.base.is_https();
        let secure = if is_https { "; Secure" } else { "" };
        let name = self.name(is_https);
        HeaderValue::try_from(format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}")).ok()
    }
}
