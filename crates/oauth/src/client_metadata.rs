//! Client metadata (RFC 7591 §2, RFC 9449 §5.2, OpenID Connect Registration §2) and what we add to it.
//!
//! Unknown members are ignored. What is wrong is told with the member's name and what to write instead.

use crate::client_secret::ClientSecret;
use crate::error::ErrorCode;
use crate::identifier::{ClientId, Endpoint, ResourceId};
use crate::redirect_uri::RedirectUri;
use crate::scope::Scope;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::key_set::KeySet;
use serde_json::Value;
use std::borrow::Cow;
use url::{Host, Url};

mod read;
mod rules;
mod write;

/// A value out of a closed list of names.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The registered name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),*
                }
            }

            /// The one of that name.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text)
            }
        }
    };
}

names! {
    /// A grant type that a client can be registered for.
    GrantType {
        /// A code from the authorization endpoint.
        AuthorizationCode = "authorization_code",
        /// A refresh token.
        RefreshToken = "refresh_token",
        /// The client for itself.
        ClientCredentials = "client_credentials",
        /// A device code (RFC 8628 §3.4).
        DeviceCode = "urn:ietf:params:oauth:grant-type:device_code",
        /// One access token for another (RFC 8693).
        TokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange",
    }
}

names! {
    /// How a client shows at the token endpoint who it is.
    AuthMethod {
        /// Not at all: a public client.
        None = "none",
        /// Its secret, in the `Authorization` header.
        ClientSecretBasic = "client_secret_basic",
        /// Its secret, in the body.
        ClientSecretPost = "client_secret_post",
        /// A JWT under its private key.
        PrivateKeyJwt = "private_key_jwt",
    }
}

names! {
    /// The kind of application (OpenID Connect Registration §2).
    ApplicationType {
        /// Runs on a web server or in a browser.
        Web = "web",
        /// Is installed on a device.
        Native = "native",
    }
}

names! {
    /// Where an error goes that no signed-in user stands behind (RFC 9700 §4.11.2).
    ErrorDisplay {
        /// To a page of the provider, with a button that carries it back.
        Page = "page",
        /// To the redirect URI, at once.
        Redirect = "redirect",
    }
}

names! {
    /// A set of rules that hold together.
    ProfileName {
        /// OAuth 2.0 with its security best current practice, and OpenID Connect.
        Standard = "standard",
        /// The FAPI 2.0 Security Profile.
        Fapi2 = "fapi2",
    }
}

names! {
    /// What `sub` a client sees (OpenID Connect Core §8).
    SubjectType {
        /// The same as every client.
        Public = "public",
        /// One of its own, which no other sector's clients know.
        Pairwise = "pairwise",
    }
}

/// What is registered of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMetadata {
    /// `client_id`; absent in a registration request.
    pub client_id: Option<ClientId>,
    /// `client_secret`, or `client_secret_sha256`.
    pub client_secret: Option<ClientSecret>,
    /// `client_name`
    pub client_name: Option<String>,
    /// `application_type`
    pub application_type: ApplicationType,
    /// `redirect_uris`
    pub redirect_uris: Vec<RedirectUri>,
    /// `post_logout_redirect_uris`
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// `grant_types`
    pub grant_types: Vec<GrantType>,
    /// `token_endpoint_auth_method`
    pub token_endpoint_auth_method: AuthMethod,
    /// `jwks`
    pub jwks: Option<KeySet>,
    /// `jwks_uri`
    pub jwks_uri: Option<Endpoint>,
    /// `scope`: the most that the client may ask for; left out there is no such limit.
    pub scope: Option<Scope>,
    /// `dpop_bound_access_tokens` (RFC 9449 §5.2); left out it is `true`, but for a `legacy_oidc` client.
    pub dpop_bound_access_tokens: bool,
    /// `id_token_signed_response_alg`
    pub id_token_signed_response_alg: Option<Algorithm>,
    /// `introspection_signed_response_alg` (RFC 9701 §6)
    pub introspection_signed_response_alg: Option<Algorithm>,
    /// `contacts`
    pub contacts: Vec<String>,
    /// `client_uri`
    pub client_uri: Option<Endpoint>,
    /// `logo_uri`
    pub logo_uri: Option<Endpoint>,
    /// `policy_uri`
    pub policy_uri: Option<Endpoint>,
    /// `tos_uri`
    pub tos_uri: Option<Endpoint>,
    /// `resources` (ours): the resources that the client may ask for; left out, all.
    pub resources: Option<Vec<ResourceId>>,
    /// `authorization_details_types` (RFC 9396 §10): the types that the client may ask for; left out, all.
    pub authorization_details_types: Option<Vec<String>>,
    /// `legacy_oidc` (ours): a client that knows OpenID Connect only may leave out PKCE and proofs, and UserInfo takes
    /// its unbound tokens.
    pub legacy_oidc: bool,
    /// `errors` (ours)
    pub errors: ErrorDisplay,
    /// `profile` (ours): a client of the standard profile unless it says so.
    pub profile: ProfileName,
    /// `use_mtls_endpoint_aliases` (FAPI 2.0 Security Profile §5.2.2.1.1): kept and echoed; we have no such aliases.
    pub use_mtls_endpoint_aliases: Option<bool>,
    /// `require_pushed_authorization_requests` (RFC 9126 §6)
    pub require_pushed_authorization_requests: bool,
    /// `require_dpop_jkt` (ours): each authorization request must name the key of its code, by `dpop_jkt` or by a proof
    /// when it is pushed.
    pub require_dpop_jkt: bool,
    /// `authorization_signed_response_alg` (JARM §3)
    pub authorization_signed_response_alg: Option<Algorithm>,
    /// `may_act` (ours): the `sub` of who may act, by token exchange, for those whose access tokens this client gets.
    pub may_act: Option<String>,
    /// `request_object_signing_alg` (RFC 9101 §10.5); left out, any that the server takes.
    pub request_object_signing_alg: Option<Algorithm>,
    /// `require_signed_request_object` (RFC 9101 §10.5)
    pub require_signed_request_object: bool,
    /// `request_uris` (OpenID Connect Registration §2): where request objects may be fetched.
    pub request_uris: Vec<Endpoint>,
    /// `token_endpoint_auth_signing_alg`; left out, any that the server takes.
    pub token_endpoint_auth_signing_alg: Option<Algorithm>,
    /// `subject_type`
    pub subject_type: SubjectType,
    /// `sector_identifier_uri` (OpenID Connect Core §8.1)
    pub sector_identifier_uri: Option<Endpoint>,
    /// `userinfo_signed_response_alg`; left out, UserInfo is JSON.
    pub userinfo_signed_response_alg: Option<Algorithm>,
    /// `default_max_age`, in seconds: counts where a request has no `max_age`.
    pub default_max_age_secs: Option<u64>,
    /// `require_auth_time`
    pub require_auth_time: bool,
    /// `default_acr_values`: count where a request has no `acr_values`.
    pub default_acr_values: Vec<String>,
    /// `backchannel_logout_uri` (OpenID Connect Back-Channel Logout §2.2)
    pub backchannel_logout_uri: Option<Endpoint>,
    /// `backchannel_logout_session_required`
    pub backchannel_logout_session_required: bool,
    /// `software_id` (RFC 7591 §2)
    pub software_id: Option<String>,
    /// `software_version`
    pub software_version: Option<String>,
}

/// What is wrong with client metadata. Says what to write, never what came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{member}`: {what_to_write}")]
pub struct MetadataError {
    /// The member.
    pub member: &'static str,
    /// What it should be.
    pub what_to_write: String,
}

impl MetadataError {
    fn new(member: &'static str, what_to_write: impl Into<String>) -> Self {
        Self { member, what_to_write: what_to_write.into() }
    }

    /// The code to answer a registration request with (RFC 7591 §3.2.2).
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self.member {
            "redirect_uris" => ErrorCode::InvalidRedirectUri,
            _ => ErrorCode::InvalidClientMetadata,
        }
    }
}

impl ClientMetadata {
    /// Reads metadata, fills in the defaults (RFC 7591 §2; `none` where there is no secret) and checks that the
    /// members go together.
    ///
    /// # Errors
    /// [`MetadataError`] names the first member that is wrong.
    pub fn parse(metadata: &Value) -> Result<Self, MetadataError> {
        let object = metadata.as_object().ok_or_else(|| MetadataError::new("client", "must be an object"))?;
        let metadata = read::members(object)?;
        rules::check(&metadata)?;
        Ok(metadata)
    }

    /// Whether the client cannot authenticate (RFC 6749 §2.1).
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.token_endpoint_auth_method == AuthMethod::None
    }

    /// Whether the client may use the grant type.
    #[must_use]
    pub fn allows_grant(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    /// `response_types`: `code` where the client uses codes, else none (RFC 7591 §2.1).
    #[must_use]
    pub fn response_types(&self) -> &'static [&'static str] {
        if self.allows_grant(GrantType::AuthorizationCode) { &["code"] } else { &[] }
    }

    /// Whether the client may ask for tokens for the resource.
    #[must_use]
    pub fn allows_resource(&self, resource: &ResourceId) -> bool {
        self.resources.as_ref().is_none_or(|allowed| allowed.contains(resource))
    }

    /// Whether the client may ask for authorization details of that type.
    #[must_use]
    pub fn allows_detail(&self, detail_type: &str) -> bool {
        let allowed = self.authorization_details_types.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|known| known == detail_type))
    }

    /// The sector whose clients know a user by one `sub` (OpenID Connect Core §8.1): the host of `sector_identifier_uri`,
    /// or the one host of all redirect URIs. None where they have several, or one that is not the client's own.
    #[must_use]
    pub fn sector(&self) -> Option<Cow<'_, str>> {
        if let Some(uri) = &self.sector_identifier_uri {
            return host(uri.url());
        }
        // A loopback host, or the name after a private-use scheme, is everybody's.
        let mut hosts =
            self.redirect_uris.iter().map(|uri| host(uri.url()).filter(|_| uri.url().scheme() == "https"));
        let first = hosts.next()??;
        hosts.all(|host| host.as_ref() == Some(&first)).then_some(first)
    }

    /// The registered redirect URI that the requested text is (AS-AUT-02, BCP-RED-02).
    #[must_use]
    pub fn find_redirect_uri(&self, requested: &str) -> Option<RedirectUri> {
        let is_native = self.application_type == ApplicationType::Native;
        let is_match = |registered: &&RedirectUri| match is_native {
            true => registered.matches_native(requested),
            false => registered.matches(requested),
        };
        let registered = self.redirect_uris.iter().find(is_match)?;
        match registered.matches(requested) {
            true => Some(registered.clone()),
            false => RedirectUri::parse(requested).ok(),
        }
    }
}

fn host(url: &Url) -> Option<Cow<'_, str>> {
    match url.host()? {
        Host::Domain(name) => Some(Cow::Borrowed(name)),
        address => Some(Cow::Owned(address.to_string())),
    }
}

#[cfg(test)]
mod tests;
