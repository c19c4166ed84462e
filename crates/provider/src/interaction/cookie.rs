//! The two cookies: the sign-in session, and the random text that the sign-in form is bound to. On plain HTTP, which
//! is spoken on a loopback host only, they lose `Secure` and `__Host-` (requirements 0.2).

use crate::config::Config;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use memchr::memchr_iter;
use std::mem::replace;

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
        let name = self.name(config.base.is_https()).as_bytes();
        let mut fields = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        let value = fields.find_map(|field| find(field, name))?;
        str::from_utf8(value).ok().map(str::to_owned)
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

/// The value of the first cookie of that name in the field.
fn find<'f>(field: &'f [u8], name: &[u8]) -> Option<&'f [u8]> {
    let ends = memchr_iter(b';', field).chain([field.len()]);
    let mut start = 0;
    ends.filter_map(|end| field.get(replace(&mut start, end + 1)..end))
        .find_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    #[test]
    fn bcp_ui_04_a_cookie_is_found_by_its_whole_name() {
        let config = |issuer: &str| {
            ConfigFile::parse(&format!("issuer = \"{issuer}\""), "k.toml").unwrap().check().unwrap()
        };
        let (https, http) = (config("https://id.example"), config("http://localhost:8080"));
        let headers = |fields: &[&'static str]| -> HeaderMap {
            fields.iter().map(|field| (COOKIE, HeaderValue::from_static(field))).collect()
        };
        let sent =
            headers(&["a=1; keybound-form=f=; xkeybound=2;keybound = 3", "  keybound=s ; keybound=late"]);
        assert_eq!(Cookie::Session.read(&http, &sent).as_deref(), Some("s"));
        assert_eq!(Cookie::Form.read(&http, &sent).as_deref(), Some("f="));
        assert_eq!(Cookie::Session.read(&https, &sent), None);
        let sent = headers(&["keybound=plain; __Host-keybound-form=f; __Host-keybound="]);
        assert_eq!(Cookie::Session.read(&https, &sent).as_deref(), Some(""));
        assert_eq!(Cookie::Form.read(&https, &sent).as_deref(), Some("f"));
    }
}
