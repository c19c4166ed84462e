//! The logout request that a client sends a browser with (OpenID Connect RP-Initiated Logout §2), and where the browser
//! goes afterwards (§3).

use crate::form::{Form, FormWriter};
use crate::redirect_uri::RedirectUri;
use keybound_dpop::secret::Secret;

/// A logout request: what was sent, nothing filled in. Each part may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndSessionRequest {
    /// `id_token_hint`
    pub id_token_hint: Option<Secret>,
    /// `logout_hint`
    pub logout_hint: Option<String>,
    /// `client_id`, as text.
    pub client_id: Option<String>,
    /// `post_logout_redirect_uri`, as text: to be compared with the registered ones.
    pub post_logout_redirect_uri: Option<String>,
    /// `state`, to be returned unmodified.
    pub state: Option<String>,
    /// `ui_locales`, as text.
    pub ui_locales: Option<String>,
}

impl EndSessionRequest {
    /// Reads a request from the query of a GET or the body of a POST.
    #[must_use]
    pub fn read(form: &Form) -> Self {
        let text = |name| form.get(name).map(str::to_owned);
        Self {
            id_token_hint: form.secret("id_token_hint"),
            logout_hint: text("logout_hint"),
            client_id: text("client_id"),
            post_logout_redirect_uri: text("post_logout_redirect_uri"),
            state: text("state"),
            ui_locales: text("ui_locales"),
        }
    }

    /// As a form.
    #[must_use]
    pub fn to_form(&self) -> FormWriter {
        FormWriter::new()
            .optional("id_token_hint", self.id_token_hint.as_ref().map(Secret::reveal))
            .optional("logout_hint", self.logout_hint.as_deref())
            .optional("client_id", self.client_id.as_deref())
            .optional("post_logout_redirect_uri", self.post_logout_redirect_uri.as_deref())
            .optional("state", self.state.as_deref())
            .optional("ui_locales", self.ui_locales.as_deref())
    }

    /// Where the browser goes once the user is signed out: the URI, with `state` where there was one (§3).
    #[must_use]
    pub fn location(&self, registered: &RedirectUri) -> String {
        match &self.state {
            Some(state) => registered.with_query(&FormWriter::new().pair("state", state).finish()),
            None => registered.as_str().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let text = |text: &str| Some(text.to_owned());
        let request = EndSessionRequest {
            id_token_hint: Some(Secret::new("a.b.c")),
            logout_hint: text("ada"),
            client_id: text("app"),
            post_logout_redirect_uri: text("https://app.example/bye?x=1"),
            state: text("s &=ü"),
            ui_locales: text("de en"),
        };
        for request in [request, EndSessionRequest::default()] {
            let form = Form::parse(request.to_form().finish().as_bytes()).expect("a form");
            assert_eq!(EndSessionRequest::read(&form), request);
        }
    }

    #[test]
    fn oidc_lgo_06_state_comes_back_where_it_was_sent() {
        let uri = |text| RedirectUri::parse(text).expect("a URI");
        let mut request = EndSessionRequest::default();
        assert_eq!(request.location(&uri("https://app.example/bye")), "https://app.example/bye");
        request.state = Some("s &=".to_owned());
        let location = request.location(&uri("https://app.example/bye?x=1"));
        assert_eq!(location, "https://app.example/bye?x=1&state=s+%26%3D");
    }
}
