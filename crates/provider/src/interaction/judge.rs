//! Whether an authorization request can be granted at all: one function, asked at every step.

use super::address::ReturnAddress;
use super::meant::Meant;
use super::parameters::{self, Begun, Parameters, Unresolved};
use super::pushed::PushedKey;
use crate::acr;
use crate::claims;
use crate::clients::{Origin, RegisteredClient};
use crate::page::Language;
use crate::provider::Provider;
use crate::reach::{self, Reach, Wanted};
use crate::refusal::{Denied, Refusal};
use crate::store::SignedIn;
use crate::subject;
use keybound_oauth::authorization::{AuthorizationRequest, Prompt};
use keybound_oauth::claims_request::{Accepted, ClaimRequest, ClaimsRequest};
use keybound_oauth::client_metadata::{ErrorDisplay, GrantType};
use keybound_oauth::error::ErrorCode;
use keybound_oauth::form::Form;
use keybound_oauth::pkce::{CodeChallenge, S256};
use keybound_oauth::response_mode::ResponseMode;
use keybound_oauth::scope::Scope;
use serde_json::Value;
use std::borrow::Cow;
use std::mem::take;
use std::sync::Arc;

/// What can become of an authorization request.
#[derive(Debug)]
pub enum Outcome {
    /// The client or its redirect URI cannot be believed: a page, and no way to anywhere else.
    Page(Denied),
    /// The request is faulty, and it is known whom to tell.
    Return(Box<FaultyRequest>),
    /// It can be granted, if a user agrees.
    Good(Box<ValidRequest>),
}

/// A request that cannot be granted.
#[derive(Debug)]
pub struct FaultyRequest {
    /// Where the error goes.
    pub address: ReturnAddress,
    /// Why.
    pub denied: Denied,
    /// Whose request it is.
    pub client: Arc<RegisteredClient>,
    /// Whether the error goes there even where nobody has signed in (AS-AUT-14).
    pub at_once: bool,
}

/// A request that can be granted.
#[derive(Debug)]
pub struct ValidRequest {
    /// Whose request it is.
    pub client: Arc<RegisteredClient>,
    /// Where the answer goes.
    pub address: ReturnAddress,
    /// Scope and resources that are granted if the user agrees.
    pub reach: Reach,
    /// The challenge; none only of a client that may leave it out.
    pub code_challenge: Option<CodeChallenge>,
    /// Whom the client means.
    pub meant: Meant,
    /// The other parameters.
    pub request: Box<AuthorizationRequest>,
    /// The claims that are asked for by name, of those that the client may ask for.
    pub claims: ClaimsRequest,
    /// The pushed request that they come from.
    pub(super) pushed: Option<PushedKey>,
}

impl ValidRequest {
    /// Whether that value is in `prompt`.
    #[must_use]
    pub fn prompts(&self, prompt: Prompt) -> bool {
        self.request.prompt.contains(&prompt)
    }

    /// What the user is asked about.
    #[must_use]
    pub fn shown_scope(&self) -> Cow<'_, Scope> {
        claims::shown_scope(&self.reach.scope, &self.claims)
    }

    /// The request, which came as that text, with what is granted and where the answer goes, which its client could change
    /// since a user read it: a consent is to that.
    pub(super) fn as_shown(&self, text: &str) -> String {
        let place = self.address.redirect_uri().as_str();
        [text, self.shown_scope().as_str(), &self.reach.resources.join(" "), place].join("\n")
    }

    /// Whether this sign-in is one that the request can be answered with: of the user whose `sub` it names, at either
    /// place (OpenID Connect Core §3.1.2.2, §5.5.1), and of the kind that it cannot do without.
    pub(super) fn accepts(&self, provider: &Provider, signed_in: &SignedIn) -> bool {
        if !self.reach.scope.contains("openid") {
            return true;
        }
        let is_theirs = |came: &Value| {
            came.as_str().is_some_and(|came| {
                subject::is_seen_as(provider, &self.client, &signed_in.session.subject, came)
            })
        };
        acr::is_enough(&self.request.claims, signed_in.session.acr.as_deref())
            && self.named_subs().all(|sub| sub.values().iter().any(is_theirs))
    }

    /// Whether it asks for one user by `sub`, of whom it need not have had an ID token.
    pub(super) fn names_a_user(&self) -> bool {
        self.reach.scope.contains("openid") && self.named_subs().next().is_some()
    }

    fn named_subs(&self) -> impl Iterator<Item = &ClaimRequest> {
        let asked = &self.request.claims;
        let named = [&asked.id_token, &asked.userinfo].into_iter().filter_map(|claims| claims.get("sub"));
        named.filter(|sub| sub.accepted != Accepted::Any)
    }
}

/// Judges a request that a browser brought, whose `language` is that of the pages unless the request asks for another.
///
/// # Errors
/// 503 where the store does not answer, or the client's keys cannot be had.
pub async fn judge(
    provider: &Provider,
    form: &Form,
    begun: Begun,
    language: Language,
) -> Result<Outcome, Refusal> {
    let client_id = form.get("client_id").unwrap_or_default();
    let Some(client) = provider.clients.find(&provider.store, client_id, provider.now()).await? else {
        let wire = match provider.config.registration.documents.is_some() && client_id.contains(':') {
            true => {
                "`client_id` must be the https URL of a document that can be fetched and names it as `client_id`"
            }
            false => "`client_id` must be that of a registered client",
        };
        let denied = Denied::new(ErrorCode::InvalidRequest, "AS-AUT-03", wire).log(client_id);
        return Ok(Outcome::Page(denied));
    };
    Ok(match parameters::of(provider, &client, form, begun).await? {
        Ok(parameters) => examine(provider, client, parameters, language),
        Err(Unresolved::Page(denied)) => Outcome::Page(denied),
        Err(Unresolved::Return(denied)) => tell(provider, client, form, denied, language),
    })
}

/// Judges the parameters that count, whichever way they came.
pub(super) fn examine(
    provider: &Provider,
    client: Arc<RegisteredClient>,
    parameters: Parameters<'_>,
    language: Language,
) -> Outcome {
    let Parameters { form, pushed } = parameters;
    let address = match ReturnAddress::find(&client, &form, &provider.config, language) {
        Ok(address) => address,
        Err(denied) => return Outcome::Page(denied),
    };
    let judged = read(&form).and_then(|mut request| {
        check_grant_type(&client)?;
        check_key(&client, &request)?;
        address.check_mode(request.response_mode.as_deref())?;
        let code_challenge = check_pkce(&client, &request)?;
        // From here on it is the reach that tells of these.
        let wanted = Wanted {
            scope: request.scope.take(),
            resources: take(&mut request.resources),
            details: take(&mut request.authorization_details),
        };
        let reach = reach::decide(&provider.config, &client, &wanted, true)?;
        if reach.scope.contains("openid") {
            acr::check(&request.claims)?;
        }
        let meant = Meant::of(provider, &client, request.id_token_hint.as_ref())?;
        Ok((request, code_challenge, reach, meant))
    });
    match judged {
        Ok((request, code_challenge, reach, meant)) => {
            let claims = claims::counted(&client, &reach.scope, &request.claims);
            let valid =
                ValidRequest { client, address, reach, code_challenge, meant, request, claims, pushed };
            Outcome::Good(Box::new(valid))
        }
        Err(denied) => faulty(client, address, &form, denied),
    }
}

/// Tells the client, where it has a redirect URI that holds.
fn tell(
    provider: &Provider,
    client: Arc<RegisteredClient>,
    form: &Form,
    denied: Denied,
    language: Language,
) -> Outcome {
    match ReturnAddress::find(&client, form, &provider.config, language) {
        Ok(address) => faulty(client, address, form, denied),
        Err(_) => Outcome::Page(denied),
    }
}

fn faulty(client: Arc<RegisteredClient>, address: ReturnAddress, form: &Form, denied: Denied) -> Outcome {
    // Who registered themselves chose their redirect URI themselves (RFC 9700 §4.11.2, ATK-132). No sign-in or consent is
    // shown where `prompt` is `none`; that page is neither.
    let is_trusted = client.origin == Origin::Operator;
    let at_once = is_trusted && (client.errors == ErrorDisplay::Redirect || asks_for_silence(form));
    Outcome::Return(Box::new(FaultyRequest { address, denied, client, at_once }))
}

/// Whether `none` is in `prompt`, be the rest as faulty as it may.
fn asks_for_silence(form: &Form) -> bool {
    form.get("prompt").unwrap_or_default().split(' ').any(|value| value == Prompt::None.as_str())
}

fn read(form: &Form) -> Result<Box<AuthorizationRequest>, Denied> {
    // OpenID Connect Core §3.1.2.6
    if form.has("registration") {
        let wire = "`registration` must be left out";
        return Err(Denied::new(ErrorCode::RegistrationNotSupported, "OIDC-AUT-21", wire));
    }
    let request = AuthorizationRequest::parse(form)
        .map_err(|problem| Denied { row: row_of(problem.parameter), ..problem.into() })?;
    let request = Box::new(request);
    match request.response_type.as_deref() {
        Some("code") => {}
        None => {
            let wire = "`response_type` must be `code`";
            return Err(Denied::new(ErrorCode::InvalidRequest, "AS-AUT-06", wire));
        }
        Some(_) => {
            let wire = "`response_type` must be `code`: no token is given out at the authorization endpoint";
            return Err(Denied::new(ErrorCode::UnsupportedResponseType, "AS-AUT-12", wire));
        }
    }
    if request.response_mode.as_deref().is_some_and(|mode| ResponseMode::parse(mode).is_none()) {
        let wire = format!("`response_mode` must be one of {}", ResponseMode::NAMES.join(", "));
        return Err(Denied::new(ErrorCode::InvalidRequest, "OIDC-FP-05", wire));
    }
    if request.prompt.contains(&Prompt::None) && request.prompt.len() > 1 {
        let wire = "`prompt` must not have `none` beside other values";
        return Err(Denied::new(ErrorCode::InvalidRequest, "OIDC-AUT-09", wire));
    }
    Ok(request)
}

/// The row that a malformed parameter does not meet.
fn row_of(parameter: &str) -> &'static str {
    match parameter {
        "code_challenge" => "AS-PKC-03",
        "dpop_jkt" => "AS-COD-04",
        "resource" => "AS-RES-01",
        "authorization_details" => "AS-RES-03",
        "scope" => "OIDC-AUT-17",
        "claims" => "OIDC-CLM-03",
        _ => "AS-AUT-06",
    }
}

fn check_grant_type(client: &RegisteredClient) -> Result<(), Denied> {
    if client.allows_grant(GrantType::AuthorizationCode) {
        return Ok(());
    }
    let wire = "the client is not registered for `authorization_code`";
    Err(Denied::new(ErrorCode::UnauthorizedClient, "AS-AUT-06", wire))
}

/// A client may be held to name the key of each code (AS-COD-07).
fn check_key(client: &RegisteredClient, request: &AuthorizationRequest) -> Result<(), Denied> {
    if !client.require_dpop_jkt || request.dpop_jkt.is_some() {
        return Ok(());
    }
    let wire = "`dpop_jkt` must be there, or a proof with the pushed request";
    Err(Denied::new(ErrorCode::InvalidRequest, "AS-COD-07", wire))
}

/// A challenge by S256 from every client, except those that are marked as too old to know it (OIDC-AUT-23).
fn check_pkce(
    client: &RegisteredClient,
    request: &AuthorizationRequest,
) -> Result<Option<CodeChallenge>, Denied> {
    let invalid = |row, wire: &str| Denied::new(ErrorCode::InvalidRequest, row, wire);
    match (request.code_challenge, request.code_challenge_method.as_deref()) {
        (Some(challenge), Some(S256)) => Ok(Some(challenge)),
        (None, None) if client.legacy_oidc => Ok(None),
        (None, _) => {
            Err(invalid("AS-PKC-01", "`code_challenge` must be there, with `code_challenge_method=S256`"))
        }
        (Some(_), _) => Err(invalid("AS-PKC-02", "`code_challenge_method` must be `S256`")),
    }
}
