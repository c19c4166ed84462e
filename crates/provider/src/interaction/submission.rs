//! A form of ours that came back.

use super::asked::Asked;
use super::form_token::{self, Purpose};
use super::visitor::Visitor;
use crate::extract::form_body;
use crate::page::Language;
use crate::provider::Provider;
use crate::refusal::Refusal;
use axum::body::Body;
use http::request::Parts;
use keybound_oauth::form::Form;

/// A form of ours that came back: its fields, the authorization request that it carried, and who sent it.
#[derive(Debug)]
pub struct Submission {
    pub(super) form: Form,
    pub(super) asked: Asked,
    pub(super) visitor: Visitor,
}

impl Submission {
    /// Reads the form, unless another site sent it.
    ///
    /// # Errors
    /// [`Refusal`], to be told on a page.
    pub async fn read(
        provider: &Provider,
        language: Language,
        parts: Parts,
        body: Body,
    ) -> Result<Self, Refusal> {
        let own_origin = provider.config.issuer.url().origin().ascii_serialization();
        form_token::check_site(&parts.headers, &own_origin)?;
        let form = form_body(&parts.headers, body).await?;
        let asked = Asked::from_page(&form)?;
        let mut visitor = Visitor::of(provider, language, &parts, asked.form.get("client_id")).await?;
        visitor.language = visitor.language.or_asked(&provider.config, asked.form.get("ui_locales"));
        Ok(Self { form, asked, visitor })
    }

    /// Refuses a form whose token is not for this purpose, owner and request.
    pub(super) fn check(
        &self,
        provider: &Provider,
        purpose: Purpose,
        owner: Option<&[u8]>,
    ) -> Result<(), Refusal> {
        self.check_of(provider, purpose, owner, &self.asked.text)
    }

    /// The same where more than the request counts, of which `request` is the text.
    pub(super) fn check_of(
        &self,
        provider: &Provider,
        purpose: Purpose,
        owner: Option<&[u8]>,
        request: &str,
    ) -> Result<(), Refusal> {
        let token = self.form.get("csrf").unwrap_or_default();
        let holds = owner.is_some_and(|owner| {
            form_token::holds(&provider.form_key, purpose, owner, request, token, provider.unix())
        });
        if holds { Ok(()) } else { Err(form_token::foreign().into()) }
    }
}
