//! What the agent says itself: no, and what to do about it. Nothing that came is repeated.

use super::body::AnswerBody;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PROXY_AUTHENTICATE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use std::borrow::Cow;

/// Who answers with these is the agent, and not the server behind it.
const WHO: &str = "keybound agent: ";
const PROXY_CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"keybound agent\"");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"keybound agent\"");

/// An answer of the agent's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    text: Cow<'static, str>,
    field: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), field: None }
    }

    /// 407 to whoever uses the agent as a proxy without its token.
    pub(super) fn of_proxy() -> Self {
        let text = "this proxy wants its token: set http_proxy and https_proxy to \
                    http://keybound:TOKEN@ADDRESS:PORT, as it told at its start";
        let field = Some((PROXY_AUTHENTICATE, PROXY_CHALLENGE));
        Self { field, ..Self::new(StatusCode::PROXY_AUTHENTICATION_REQUIRED, text) }
    }

    /// 401 to whoever calls it like an API without its token.
    pub(super) fn of_reverse() -> Self {
        let text = "send the agent's token, which it told at its start: as `Authorization: Bearer TOKEN`, as \
                    `Keybound-Agent-Token: TOKEN`, or in the URL as http://keybound:TOKEN@ADDRESS:PORT/";
        let field = Some((WWW_AUTHENTICATE, CHALLENGE));
        Self { field, ..Self::new(StatusCode::UNAUTHORIZED, text) }
    }

    /// The same request, sent again, may do.
    pub(super) fn retry(self) -> Self {
        Self { field: Some((RETRY_AFTER, HeaderValue::from_static("1"))), ..self }
    }

    pub(super) fn answer(self) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::text(format!("{WHO}{}\n", self.text)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.field);
        response
    }
}
