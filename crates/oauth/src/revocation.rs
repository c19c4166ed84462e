//! The revocation request (RFC 7009 §2.1). The answer has no body.

use crate::error::{ErrorCode, Problem};
use crate::form::{Form, FormWriter};
use keybound_dpop::secret::Secret;

/// A revocation request, without the part that says who the client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRequest {
    /// `token`
    pub token: Secret,
    /// `token_type_hint`: helps a server to find the token, and must not keep it from doing so.
    pub token_type_hint: Option<String>,
}

impl RevocationRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Problem`] where there is no `token`.
    pub fn parse(form: &Form) -> Result<Self, Problem> {
        let missing = Problem { code: ErrorCode::InvalidRequest, parameter: "token", expected: "sent" };
        Ok(Self {
            token: form.secret("token").ok_or(missing)?,
            token_type_hint: form.get("token_type_hint").map(str::to_owned),
        })
    }

    /// As a form, to which the client adds how it authenticates.
    #[must_use]
    pub fn to_form(&self) -> FormWriter {
        FormWriter::new()
            .pair("token", self.token.reveal())
            .optional("token_type_hint", self.token_type_hint.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for token_type_hint in [None, Some("refresh_token".to_owned())] {
            let request = RevocationRequest { token: Secret::new("id.secret"), token_type_hint };
            let form = Form::parse(request.to_form().finish().as_bytes()).expect("a form");
            assert_eq!(RevocationRequest::parse(&form), Ok(request));
        }
        let problem = RevocationRequest::parse(&Form::default()).expect_err("no token");
        assert_eq!((problem.parameter, problem.code), ("token", ErrorCode::InvalidRequest));
    }
}
