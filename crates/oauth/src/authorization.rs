//! The authorization request and its response (RFC 6749 §4.1, OpenID Connect Core §3.1.2, RFC 9207, RFC 9449 §10).
//!
//! Reading judges form only. Whether the client exists, may use the redirect URI or must use PKCE is policy, and the
//! server's to decide.

use crate::authorization_details::AuthorizationDetails;
use crate::claims_request::ClaimsRequest;
use crate::error::{ErrorBody, ErrorCode, Problem};
use crate::form::{Form, FormWriter};
use crate::identifier::{ClientId, Endpoint, ResourceId};
use crate::pkce::CodeChallenge;
use crate::redirect_uri::RedirectUri;
use crate::scope::Scope;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::secret::Secret;

/// A value of `prompt` (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Show nothing.
    None,
    /// Have the user sign in again.
    Login,
    /// Ask for consent again.
    Consent,
    /// Let the user choose an account.
    SelectAccount,
}

impl Prompt {
    const ALL: [Self; 4] = [Self::None, Self::Login, Self::Consent, Self::SelectAccount];

    /// The text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }

    /// Reads the text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|prompt| prompt.as_str() == text)
    }
}

/// An authorization request: what was sent, nothing filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// `client_id`
    pub client_id: Option<ClientId>,
    /// `response_type`, as text.
    pub response_type: Option<String>,
    /// `redirect_uri`, as text: to be compared with the registered ones.
    pub redirect_uri: Option<String>,
    /// `response_mode`, as text.
    pub response_mode: Option<String>,
    /// `scope`
    pub scope: Option<Scope>,
    /// `state`, to be returned unmodified.
    pub state: Option<String>,
    /// `code_challenge` (RFC 7636 §4.3)
    pub code_challenge: Option<CodeChallenge>,
    /// `code_challenge_method`, as text; left out it means `plain`.
    pub code_challenge_method: Option<String>,
    /// `dpop_jkt` (RFC 9449 §10)
    pub dpop_jkt: Option<Thumbprint>,
    /// `resource`, any number of times (RFC 8707 §2)
    pub resources: Vec<ResourceId>,
    /// `authorization_details` (RFC 9396 §3)
    pub authorization_details: AuthorizationDetails,
    /// `nonce`, for the ID token.
    pub nonce: Option<String>,
    /// `prompt`, in the order in which the values came.
    pub prompt: Vec<Prompt>,
    /// `max_age`, in seconds.
    pub max_age_secs: Option<u64>,
    /// `acr_values`, as text.
    pub acr_values: Option<String>,
    /// `claims` (OpenID Connect Core §5.5)
    pub claims: ClaimsRequest,
    /// `display`, as text.
    pub display: Option<String>,
    /// `ui_locales`, as text.
    pub ui_locales: Option<String>,
    /// `claims_locales`, as text.
    pub claims_locales: Option<String>,
    /// `login_hint`
    pub login_hint: Option<String>,
    /// `id_token_hint`
    pub id_token_hint: Option<Secret>,
    /// `request`: a request object (RFC 9101).
    pub request: Option<String>,
    /// `request_uri`: a pushed request (RFC 9126) or the place of a request object (RFC 9101).
    pub request_uri: Option<String>,
    /// Parameters that some servers have besides, for a client to write; none are read.
    pub more: Vec<(String, String)>,
}

impl AuthorizationRequest {
    /// Reads a request from the query of a GET or the body of a POST.
    ///
    /// # Errors
    /// [`Problem`] names a malformed parameter. One about `client_id` is for a page; any other may go to the `redirect_uri`
    /// that the form has, where it is one of the client's.
    pub fn parse(form: &Form) -> Result<Self, Problem> {
        let mut request = Self {
            resources: read_resources(form)?,
            authorization_details: AuthorizationDetails::read(form)?,
            claims: ClaimsRequest::read(form)?,
            ..Self::default()
        };
        for (name, value) in form.pairs() {
            request.take(name, value)?;
        }
        Ok(request)
    }

    /// Takes in one parameter. Those that are nobody's are left out.
    fn take(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let text = || Some(value.to_owned());
        match name {
            "client_id" => {
                let client_id = ClientId::parse(value);
                self.client_id = Some(client_id.map_err(|_| invalid("client_id", "a client identifier"))?);
            }
            "response_type" => self.response_type = text(),
            "redirect_uri" => self.redirect_uri = text(),
            "response_mode" => self.response_mode = text(),
            "scope" => {
                let problem = invalid("scope", "a list of scope tokens separated by spaces");
                let scope = Scope::parse(value);
                self.scope = Some(scope.map_err(|_| Problem { code: ErrorCode::InvalidScope, ..problem })?);
            }
            "state" => self.state = text(),
            "code_challenge" => {
                let problem = invalid("code_challenge", "43 characters of base64url: a SHA-256");
                self.code_challenge = Some(CodeChallenge::parse(value).ok_or(problem)?);
            }
            "code_challenge_method" => self.code_challenge_method = text(),
            "dpop_jkt" => {
                let problem = invalid("dpop_jkt", "43 characters of base64url: a JWK SHA-256 thumbprint");
                self.dpop_jkt = Some(Thumbprint::parse(value).ok_or(problem)?);
            }
            "nonce" => self.nonce = text(),
            "prompt" => {
                let prompts = value.split(' ').filter(|value| !value.is_empty()).map(Prompt::parse);
                let problem = invalid("prompt", "a list out of none, login, consent, select_account");
                self.prompt = prompts.collect::<Option<Vec<_>>>().ok_or(problem)?;
            }
            "max_age" => {
                let secs = value.parse::<u32>().map_err(|_| invalid("max_age", "a number of seconds"))?;
                self.max_age_secs = Some(secs.into());
            }
            "acr_values" => self.acr_values = text(),
            "display" => self.display = text(),
            "ui_locales" => self.ui_locales = text(),
            "claims_locales" => self.claims_locales = text(),
            "login_hint" => self.login_hint = text(),
            "id_token_hint" => self.id_token_hint = Some(Secret::new(value)),
            "request" => self.request = text(),
            "request_uri" => self.request_uri = text(),
            _ => {}
        }
        Ok(())
    }

    /// As a form: the body for the pushed authorization request endpoint, or the query for the authorization endpoint.
    #[must_use]
    pub fn to_form(&self) -> FormWriter {
        let challenge = self.code_challenge.map(|challenge| challenge.to_string());
        let jkt = self.dpop_jkt.map(|jkt| jkt.to_string());
        let max_age = self.max_age_secs.map(|secs| secs.to_string());
        let prompt = self.prompt.iter().map(|prompt| prompt.as_str()).collect::<Vec<_>>().join(" ");
        let form = FormWriter::new()
            .optional("client_id", self.client_id.as_ref().map(ClientId::as_str))
            .optional("response_type", self.response_type.as_deref())
            .optional("redirect_uri", self.redirect_uri.as_deref())
            .optional("response_mode", self.response_mode.as_deref())
            .optional("scope", self.scope.as_ref().map(Scope::as_str))
            .optional("state", self.state.as_deref())
            .optional("code_challenge", challenge.as_deref())
            .optional("code_challenge_method", self.code_challenge_method.as_deref())
            .optional("dpop_jkt", jkt.as_deref())
            .each("resource", self.resources.iter().map(ResourceId::as_str))
            .optional("authorization_details", self.authorization_details.to_parameter().as_deref())
            .optional("nonce", self.nonce.as_deref())
            .optional("prompt", Some(prompt.as_str()).filter(|text| !text.is_empty()))
            .optional("max_age", max_age.as_deref())
            .optional("acr_values", self.acr_values.as_deref())
            .optional("claims", self.claims.to_parameter().as_deref())
            .optional("display", self.display.as_deref())
            .optional("ui_locales", self.ui_locales.as_deref())
            .optional("claims_locales", self.claims_locales.as_deref())
            .optional("login_hint", self.login_hint.as_deref())
            .optional("id_token_hint", self.id_token_hint.as_ref().map(Secret::reveal))
            .optional("request", self.request.as_deref())
            .optional("request_uri", self.request_uri.as_deref());
        self.more.iter().fold(form, |form, (name, value)| form.pair(name, value))
    }

    /// The URL to which a client sends the browser.
    #[must_use]
    pub fn to_url(&self, authorization_endpoint: &Endpoint) -> String {
        let endpoint = authorization_endpoint.as_str();
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        format!("{endpoint}{separator}{}", self.to_form().finish())
    }
}

const fn invalid(parameter: &'static str, expected: &'static str) -> Problem {
    Problem { code: ErrorCode::InvalidRequest, parameter, expected }
}

/// Reads all `resource` parameters (RFC 8707 §2).
pub(crate) fn read_resources(form: &Form) -> Result<Vec<ResourceId>, Problem> {
    form.all("resource").map(ResourceId::parse).collect::<Result<_, _>>().map_err(|_| Problem {
        code: ErrorCode::InvalidTarget,
        parameter: "resource",
        expected: "an absolute URI without fragment",
    })
}

/// What comes back to the redirect URI (RFC 6749 §4.1.2, RFC 9207 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationResponse {
    /// The code, or why there is none.
    pub outcome: Result<Secret, ErrorBody>,
    /// `state`, as it was sent.
    pub state: Option<String>,
    /// `iss`, to be compared with the issuer that was asked.
    pub iss: Option<String>,
}

/// The parameters at the redirect URI are no authorization response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an authorization response: it needs exactly one of `code` and `error`")]
pub struct NotAnAuthorizationResponse;

impl AuthorizationResponse {
    /// Reads the query of the redirect.
    ///
    /// # Errors
    /// [`NotAnAuthorizationResponse`] where there is not exactly one of `code` and `error`.
    pub fn parse(form: &Form) -> Result<Self, NotAnAuthorizationResponse> {
        let outcome = match (form.secret("code"), form.get("error")) {
            (Some(code), None) => Ok(code),
            (None, Some(error)) => {
                Err(ErrorBody::told(error, form.get("error_description"), form.get("error_uri")))
            }
            _ => return Err(NotAnAuthorizationResponse),
        };
        let text = |name| form.get(name).map(str::to_owned);
        Ok(Self { outcome, state: text("state"), iss: text("iss") })
    }

    /// The parameters, for a query or for a form that posts itself.
    #[must_use]
    pub fn parameters(&self) -> Vec<(&'static str, &str)> {
        let mut all = Vec::with_capacity(5);
        match &self.outcome {
            Ok(code) => all.push(("code", code.reveal())),
            Err(body) => {
                all.push(("error", body.error.as_str()));
                all.extend(body.error_description.as_deref().map(|text| ("error_description", text)));
                all.extend(body.error_uri.as_deref().map(|text| ("error_uri", text)));
            }
        }
        all.extend(self.state.as_deref().map(|state| ("state", state)));
        all.extend(self.iss.as_deref().map(|iss| ("iss", iss)));
        all
    }

    /// The URL to which a server sends the browser.
    #[must_use]
    pub fn to_url(&self, redirect_uri: &RedirectUri) -> String {
        let form =
            self.parameters().into_iter().fold(FormWriter::new(), |f, (name, value)| f.pair(name, value));
        redirect_uri.with_query(&form.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> AuthorizationRequest {
        let text = |value: &str| Some(value.to_owned());
        AuthorizationRequest {
            client_id: ClientId::parse("app").ok(),
            response_type: text("code"),
            redirect_uri: text("https://app.example/cb?x=1&y"),
            response_mode: text("form_post"),
            scope: Scope::parse("openid read").ok(),
            state: Some("s".repeat(1000)),
            code_challenge: CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            code_challenge_method: text("S256"),
            dpop_jkt: Thumbprint::parse("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
            resources: ["https://a.example/", "urn:b"].map(|r| ResourceId::parse(r).expect("one")).to_vec(),
            authorization_details: AuthorizationDetails::parse(r#"[{"type":"a","x":{}}]"#).expect("details"),
            nonce: text("n-1"),
            prompt: vec![Prompt::Login, Prompt::Consent],
            max_age_secs: Some(0),
            acr_values: text("a b"),
            claims: ClaimsRequest::parse(r#"{"userinfo":{"email":null}}"#).expect("claims"),
            display: text("page"),
            ui_locales: text("de fr"),
            claims_locales: text("de"),
            login_hint: text("ada@example"),
            id_token_hint: Some(Secret::new("a.b.c")),
            request: text("d.e.f"),
            request_uri: text("urn:ietf:params:oauth:request_uri:1"),
            more: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for request in [full(), AuthorizationRequest::default()] {
            let form = Form::parse(request.to_form().finish().as_bytes()).expect("a form");
            assert_eq!(AuthorizationRequest::parse(&form), Ok(request));
        }
        let endpoint = Endpoint::parse("https://id.example/authorize?t=1").expect("an endpoint");
        let url = full().to_url(&endpoint);
        assert!(url.starts_with("https://id.example/authorize?t=1&client_id=app&"), "{url}");
    }

    #[test]
    fn problems_name_parameter_and_code() {
        for (query, parameter, code) in [
            ("dpop_jkt=abc", "dpop_jkt", ErrorCode::InvalidRequest),
            ("code_challenge=abc", "code_challenge", ErrorCode::InvalidRequest),
            ("max_age=-1", "max_age", ErrorCode::InvalidRequest),
            ("claims=x", "claims", ErrorCode::InvalidRequest),
            ("prompt=dance", "prompt", ErrorCode::InvalidRequest),
            ("scope=%22", "scope", ErrorCode::InvalidScope),
            ("resource=a", "resource", ErrorCode::InvalidTarget),
            ("authorization_details=a", "authorization_details", ErrorCode::InvalidAuthorizationDetails),
            ("client_id=%00", "client_id", ErrorCode::InvalidRequest),
        ] {
            let form = Form::parse_query(query).expect("a form");
            let problem = AuthorizationRequest::parse(&form).expect_err(query);
            assert_eq!((problem.parameter, problem.code), (parameter, code));
        }
    }

    #[test]
    fn as_aut_05_responses_are_read_back_with_their_state() {
        let redirect_uri = RedirectUri::parse("https://app.example/cb?x=1").expect("a redirect URI");
        let refused = ErrorBody::new(ErrorCode::AccessDenied, "the user said no");
        for outcome in [Ok(Secret::new("c0de")), Err(refused)] {
            for state in [Some(format!("{}&=+ %", "s".repeat(1000))), None] {
                let iss = Some("https://id.example".to_owned());
                let response = AuthorizationResponse { outcome: outcome.clone(), state, iss };
                let url = response.to_url(&redirect_uri);
                let query = url.strip_prefix("https://app.example/cb?").expect("the same URI");
                let form = Form::parse_query(query).expect("a form");
                assert_eq!(AuthorizationResponse::parse(&form), Ok(response));
            }
        }
        for bad in ["", "state=s", "code=a&error=b"] {
            let form = Form::parse_query(bad).expect("a form");
            assert_eq!(AuthorizationResponse::parse(&form), Err(NotAnAuthorizationResponse), "{bad}");
        }
    }
}
