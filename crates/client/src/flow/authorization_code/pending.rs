//! A login that has begun, and the browser's answer to it (RFC 6749 §4.1.2, RFC 9207, JARM).

use crate::flow::authorization_code::ask::{LoginAsk, Parties};
use crate::flow::response_jwt::{self, SignedBy};
use crate::id_token::Asked;
use crate::return_to::ReturnTo;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization::{AuthorizationResponse, NotAnAuthorizationResponse};
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::error::ErrorBody;
use keybound_oauth::form::{Form, FormError};
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::jarm::{self, JarmError};
use keybound_oauth::pkce::CodeVerifier;
use keybound_oauth::token::{GrantRequest, TokenRequest};
use std::fmt;

/// The `nonce` of OpenID Connect: it ties the ID token to the login. It has nothing to do with the nonces of proofs.
///
/// ```
/// # use keybound_client::flow::authorization_code::OidcNonce;
/// # use keybound_dpop::nonce::Nonce;
/// fn of_an_id_token(nonce: OidcNonce) -> OidcNonce {
///     nonce
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use keybound_client::flow::authorization_code::OidcNonce;
/// # use keybound_dpop::nonce::Nonce;
/// fn of_a_proof(nonce: OidcNonce) -> Nonce {
///     nonce
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcNonce(String);

/// What protects a login from a code that an attacker slips in (RFC 9700 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defence {
    /// The server says that it checks PKCE with S256.
    Pkce,
    /// It does not say so. The `nonce` of the ID token does it: no token is used before that is checked.
    OidcNonce,
    /// It does not say so, and there is no ID token. The key does it that the code is bound to, if that key is made for
    /// this login alone (RFC 9449 §10): see [`Client::under_new_key`](crate::client::Client::under_new_key). A [`Client`]
    /// says this of the first login under such a key only.
    ///
    /// [`Client`]: crate::client::Client
    Key,
    /// Nothing but `state`, which protects from forged answers and not from stolen codes.
    StateOnly,
}

/// A login that has begun: what the browser is sent to, and what its answer is held against. It ends with one answer.
pub struct PendingLogin {
    pub(super) url: String,
    pub(super) url_expires_at: Option<UnixTime>,
    pub(super) expires_at: UnixTime,
    pub(super) issuer: Issuer,
    pub(super) client_id: ClientId,
    pub(super) is_iss_needed: bool,
    pub(super) redirect_uri: String,
    pub(super) jkt: Thumbprint,
    pub(super) defence: Defence,
    pub(super) state: Secret,
    pub(super) verifier: CodeVerifier,
    pub(super) nonce: Option<OidcNonce>,
    pub(super) ask: LoginAsk,
}

/// The answer that the browser brought is refused; the code in it, if any, was not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectRefused {
    /// It cannot be read.
    #[error("the browser's answer cannot be read ({0}); start the login again")]
    Unreadable(#[from] FormError),
    /// It is not an authorization response.
    #[error("the browser's answer is none ({0}); start the login again")]
    NotAResponse(#[from] NotAnAuthorizationResponse),
    /// `state` is missing or not ours.
    #[error("the browser's answer does not belong to this login (`state`); start the login again")]
    State,
    /// `iss` is another issuer: a mix-up attack, or a server that is set up wrong (RFC 9207 §2.4).
    #[error("the browser's answer is not from {expected} (`iss`); the code was not used")]
    Issuer {
        /// The issuer that was asked.
        expected: Issuer,
    },
    /// `iss` is missing, though the server promises it.
    #[error("the browser's answer lacks `iss`, which {expected} has to send; the code was not used")]
    IssuerMissing {
        /// The issuer that was asked.
        expected: Issuer,
    },
    /// A signed answer was asked for, and none came.
    #[error("the browser's answer is not signed, though that was asked for; the code was not used")]
    NotSigned,
    /// The answer is signed, and that was not asked for.
    #[error("the browser's answer is signed, which was not asked for; the code was not used")]
    Signed,
    /// The signed answer is not good.
    #[error("{0}; the code was not used")]
    Jwt(#[from] JarmError),
    /// The login was begun by another client, at another server, or under another key.
    #[error("this login was begun with another {0}; end it with the client that began it")]
    OtherClient(&'static str),
    /// The answer came to the redirect URI of another login: a mix-up attack, or a host program that mixes them up.
    #[error("the browser's answer did not come to the redirect URI of this login; the code was not used")]
    RedirectUri,
    /// The login has waited too long.
    #[error("this login was begun too long ago; start it again")]
    TooLate,
    /// The server, or the user, said no.
    #[error("the login was refused: {0}")]
    Denied(ErrorBody),
}

impl OidcNonce {
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PendingLogin {
    /// Where to send the browser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Until when the URL is good, where it names a pushed request.
    #[must_use]
    pub const fn url_expires_at(&self) -> Option<UnixTime> {
        self.url_expires_at
    }

    /// Until when its answer is taken.
    #[must_use]
    pub const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// Where the answer comes to.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Whether the answer came to where it was to come: the redirect URI of this login, without what the server added to
    /// its query. To be checked where each server has a redirect URI of its own, since otherwise that is of no use: an
    /// answer to another one's would find this login by the browser's session (RFC 9700 §4.4.2.2).
    ///
    /// # Errors
    /// [`RedirectRefused::RedirectUri`]
    pub fn check_redirect_uri(&self, came_to: &str) -> Result<(), RedirectRefused> {
        if came_to == self.redirect_uri { Ok(()) } else { Err(RedirectRefused::RedirectUri) }
    }

    /// Whether the login still waits for its answer.
    ///
    /// # Errors
    /// [`RedirectRefused::TooLate`]
    pub fn check_time(&self, now: UnixTime) -> Result<(), RedirectRefused> {
        if now < self.expires_at { Ok(()) } else { Err(RedirectRefused::TooLate) }
    }

    /// The issuer that was asked: the answer must be from this one.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The thumbprint of the key that the code is bound to.
    #[must_use]
    pub const fn jkt(&self) -> Thumbprint {
        self.jkt
    }

    /// What protects this login from a code that an attacker slips in.
    #[must_use]
    pub const fn defence(&self) -> Defence {
        self.defence
    }

    /// Where the user goes afterwards.
    #[must_use]
    pub const fn return_to(&self) -> Option<&ReturnTo> {
        self.ask.return_to.as_ref()
    }

    /// Whether the answer must be signed: then it is judged by [`PendingLogin::judge_signed`].
    #[must_use]
    pub const fn wants_signed(&self) -> bool {
        self.ask.response.is_signed()
    }

    /// The second half: what the query of the redirect means, or the body of the form that was posted to it. `state` and
    /// `iss` come first; only then is it looked at whether the answer is a code or an error (RFC 9207 §2.4).
    ///
    /// # Errors
    /// [`RedirectRefused`]
    pub fn judge(&self, answer: &Secret) -> Result<TokenRequest, RedirectRefused> {
        if self.wants_signed() {
            return Err(RedirectRefused::NotSigned);
        }
        let form = Form::parse_query(answer.reveal())?;
        if form.has(jarm::PARAMETER) {
            return Err(RedirectRefused::Signed);
        }
        // What cannot be a response may still show that it is none of ours.
        self.check_parties(form.secret("state").as_ref(), form.get("iss"))?;
        self.redeem(AuthorizationResponse::parse(&form)?)
    }

    /// The same where the answer must be signed: no parameter of it is used before the signature, the issuer, the
    /// audience and the time are good (JARM §2.4). What stands beside the JWT is not looked at.
    ///
    /// # Errors
    /// [`RedirectRefused`]
    pub fn judge_signed(
        &self,
        answer: &Secret,
        signed_by: &SignedBy<'_>,
    ) -> Result<TokenRequest, RedirectRefused> {
        let jwt = Self::response_jwt(answer)?;
        let response = response_jwt::read(&jwt, (&self.issuer, &self.client_id), signed_by)?;
        self.check_parties(response.state.clone().map(Secret::new).as_ref(), response.iss.as_deref())?;
        self.redeem(response)
    }

    /// The JWT in an answer.
    ///
    /// # Errors
    /// [`RedirectRefused::NotSigned`] where there is none.
    pub fn response_jwt(answer: &Secret) -> Result<Secret, RedirectRefused> {
        Form::parse_query(answer.reveal())?.secret(jarm::PARAMETER).ok_or(RedirectRefused::NotSigned)
    }

    /// Whether these are who began the login.
    ///
    /// # Errors
    /// [`RedirectRefused::OtherClient`]
    pub fn check_client(&self, parties: &Parties<'_>, jkt: Thumbprint) -> Result<(), RedirectRefused> {
        for (name, is_same) in [
            ("issuer", self.issuer == parties.server.issuer),
            ("client", self.client_id == parties.identity.client_id),
            ("key", self.jkt == jkt),
        ] {
            if !is_same {
                return Err(RedirectRefused::OtherClient(name));
            }
        }
        Ok(())
    }

    /// What the ID token has to be like ([`crate::id_token::verify`]), once the code is redeemed.
    #[must_use]
    pub fn asked<'l>(&'l self, grant: &'l TokenRequest) -> Asked<'l> {
        let code = match &grant.grant {
            GrantRequest::AuthorizationCode { code, .. } => Some(code),
            _ => None,
        };
        Asked {
            nonce: self.nonce.as_ref().map(OidcNonce::as_str),
            max_age_secs: self.ask.max_age_secs,
            claims: Some(&self.ask.claims),
            code,
        }
    }

    fn check_parties(&self, state: Option<&Secret>, iss: Option<&str>) -> Result<(), RedirectRefused> {
        if state != Some(&self.state) {
            return Err(RedirectRefused::State);
        }
        let expected = || self.issuer.clone();
        match iss {
            Some(iss) if iss != self.issuer.as_str() => Err(RedirectRefused::Issuer { expected: expected() }),
            None if self.is_iss_needed => Err(RedirectRefused::IssuerMissing { expected: expected() }),
            _ => Ok(()),
        }
    }

    fn redeem(&self, response: AuthorizationResponse) -> Result<TokenRequest, RedirectRefused> {
        let grant = GrantRequest::AuthorizationCode {
            code: response.outcome.map_err(RedirectRefused::Denied)?,
            redirect_uri: Some(self.redirect_uri.clone()),
            code_verifier: Some(self.verifier.clone()),
        };
        Ok(TokenRequest {
            grant,
            resources: self.ask.resources.clone(),
            authorization_details: AuthorizationDetails::default(),
        })
    }
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
