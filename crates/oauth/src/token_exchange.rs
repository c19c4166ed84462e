//! What a token request asks for by token exchange (RFC 8693 §2.1). `resource` is read with every token request.

use crate::error::{ErrorCode, Problem};
use crate::form::{Form, FormWriter};
use crate::scope::Scope;
use keybound_dpop::secret::Secret;

/// The value of `grant_type`.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// An access token of the server that is asked (RFC 8693 §3).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What is to be exchanged, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenExchangeRequest {
    /// On whose behalf the new token will speak.
    pub subject: TypedToken,
    /// Who will act, where it is not the subject itself.
    pub actor: Option<TypedToken>,
    /// `requested_token_type`
    pub requested_token_type: Option<String>,
    /// `scope`
    pub scope: Option<Scope>,
    /// `audience`, any number of times.
    pub audiences: Vec<String>,
}

/// A token and the kind that it is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedToken {
    /// `subject_token` or `actor_token`
    pub token: Secret,
    /// `subject_token_type` or `actor_token_type`
    pub token_type: String,
}

impl TypedToken {
    /// An access token.
    #[must_use]
    pub fn access_token(token: Secret) -> Self {
        Self { token, token_type: ACCESS_TOKEN.to_owned() }
    }
}

impl TokenExchangeRequest {
    /// Reads the parameters.
    ///
    /// # Errors
    /// [`Problem`] names the parameter that is missing or malformed.
    pub fn parse(form: &Form) -> Result<Self, Problem> {
        let wrong = |parameter, expected| Problem { code: ErrorCode::InvalidRequest, parameter, expected };
        let text = |name| form.get(name).map(str::to_owned);
        let missing = |parameter| wrong(parameter, "sent with this grant type");
        let subject = TypedToken {
            token: form.secret("subject_token").ok_or(missing("subject_token"))?,
            token_type: text("subject_token_type").ok_or(missing("subject_token_type"))?,
        };
        // RFC 8693 §2.1: the type goes with the token, and never alone.
        let actor = match (form.secret("actor_token"), text("actor_token_type")) {
            (Some(token), Some(token_type)) => Some(TypedToken { token, token_type }),
            (None, None) => None,
            (Some(_), None) => return Err(wrong("actor_token_type", "sent with `actor_token`")),
            (None, Some(_)) => return Err(wrong("actor_token_type", "left out without `actor_token`")),
        };
        let scope = form.get("scope").map(Scope::parse).transpose().map_err(|_| Problem {
            code: ErrorCode::InvalidScope,
            parameter: "scope",
            expected: "a list of scope tokens separated by spaces",
        })?;
        let audiences = form.all("audience").map(str::to_owned).collect();
        Ok(Self { subject, actor, requested_token_type: text("requested_token_type"), scope, audiences })
    }

    /// Adds the parameters to a form.
    #[must_use]
    pub fn write(&self, form: FormWriter) -> FormWriter {
        let form = form
            .pair("subject_token", self.subject.token.reveal())
            .pair("subject_token_type", &self.subject.token_type)
            .optional("actor_token", self.actor.as_ref().map(|actor| actor.token.reveal()))
            .optional("actor_token_type", self.actor.as_ref().map(|actor| actor.token_type.as_str()))
            .optional("requested_token_type", self.requested_token_type.as_deref())
            .optional("scope", self.scope.as_ref().map(Scope::as_str));
        form.each("audience", self.audiences.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let full = TokenExchangeRequest {
            subject: TypedToken::access_token(Secret::new("a.b.c")),
            actor: Some(TypedToken::access_token(Secret::new("d.e.f"))),
            requested_token_type: Some(ACCESS_TOKEN.to_owned()),
            scope: Scope::parse("read").ok(),
            audiences: vec!["https://a.example/".to_owned(), "https://b.example/".to_owned()],
        };
        let bare = TokenExchangeRequest {
            actor: None,
            requested_token_type: None,
            scope: None,
            audiences: Vec::new(),
            ..full.clone()
        };
        for request in [full, bare] {
            let form = Form::parse(request.write(FormWriter::new()).finish().as_bytes()).expect("a form");
            assert_eq!(TokenExchangeRequest::parse(&form), Ok(request));
        }
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let subject = "subject_token=a&subject_token_type=t";
        for (body, parameter) in [
            ("", "subject_token"),
            ("subject_token=a", "subject_token_type"),
            (&format!("{subject}&actor_token=b"), "actor_token_type"),
            (&format!("{subject}&actor_token_type=t"), "actor_token_type"),
            (&format!("{subject}&scope=%22"), "scope"),
        ] {
            let form = Form::parse(body.as_bytes()).expect("a form");
            assert_eq!(TokenExchangeRequest::parse(&form).expect_err(body).parameter, parameter);
        }
    }
}
