//! What a login asks for, and what is fixed for all logins of a client.

use crate::client_auth::{ClientAuth, Identity};
use crate::flow::authorization_code::fapi;
use crate::prover::SharedSigner;
use crate::return_to::ReturnTo;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::secret::Secret;
use keybound_oauth::authorization::Prompt;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::claims_request::{Accepted, ClaimRequest, ClaimsRequest};
use keybound_oauth::identifier::ResourceId;
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::response_mode::ResponseMode;
use keybound_oauth::scope::Scope;
use std::fmt;

/// What a login asks for.
#[derive(Clone, Debug, Default)]
pub struct LoginAsk {
    /// `scope`
    pub scope: Option<Scope>,
    /// `resource`, any number of times (RFC 8707 §2)
    pub resources: Vec<ResourceId>,
    /// `authorization_details` (RFC 9396 §3)
    pub authorization_details: AuthorizationDetails,
    /// `prompt`
    pub prompt: Vec<Prompt>,
    /// `max_age`, in seconds.
    pub max_age_secs: Option<u64>,
    /// `login_hint`
    pub login_hint: Option<String>,
    /// `id_token_hint`
    pub id_token_hint: Option<Secret>,
    /// `acr_values`, as text: what would be liked. For what is needed, see [`LoginAsk::requiring_acr`].
    pub acr_values: Option<String>,
    /// `claims` (OpenID Connect Core §5.5). What is essential of `acr`, `auth_time` and `sub` in the ID token is
    /// insisted on.
    pub claims: ClaimsRequest,
    /// `display`, as text.
    pub display: Option<String>,
    /// `ui_locales`, as text.
    pub ui_locales: Option<String>,
    /// `claims_locales`, as text.
    pub claims_locales: Option<String>,
    /// Parameters that this server has besides, such as Auth0's `audience`.
    pub more: Vec<(String, String)>,
    /// How the answer is to come: in a query or a form post, plain or signed (JARM). The listener on this machine
    /// ([`crate::loopback`]) takes queries only.
    pub response: ResponseMode,
    /// Whether the request is pushed (RFC 9126).
    pub pushed: When,
    /// Whether the request is signed (RFC 9101).
    pub signed: When,
    /// Where the user goes afterwards; kept with the login, for the host program to read.
    pub return_to: Option<ReturnTo>,
}

/// The parameters that a login sets itself.
pub(super) const RESERVED: [&str; 28] = [
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "response_type",
    "redirect_uri",
    "response_mode",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "resource",
    "authorization_details",
    "nonce",
    "prompt",
    "max_age",
    "acr_values",
    "claims",
    "display",
    "ui_locales",
    "claims_locales",
    "login_hint",
    "id_token_hint",
    "request",
    "request_uri",
    "iss",
    "aud",
];

/// When something is done that servers may support, or require.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// A request is pushed wherever the server takes that, and signed where the server requires it or the client was
    /// given a key for it ([`LoginRules::request_key`]).
    #[default]
    Auto,
    /// In any case; where it cannot be done there is no login.
    Always,
    /// Not at all; where the server requires it there is no login.
    Never,
}

impl LoginAsk {
    /// The same, and the user must have signed in by one of these means (`acr`, OpenID Connect Core §5.5.1.1): a login
    /// that ends with another one is refused.
    #[must_use]
    pub fn requiring_acr(mut self, acrs: impl IntoIterator<Item = String>) -> Self {
        let accepted = Accepted::Values(acrs.into_iter().map(Into::into).collect());
        self.claims.id_token.insert("acr".to_owned(), ClaimRequest { essential: true, accepted });
        self
    }

    /// Whether an ID token is asked for.
    #[must_use]
    pub fn is_openid(&self) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.contains("openid"))
    }
}

/// What is fixed for all logins of a client: as it is registered, and by which profile it goes.
#[derive(Clone, Debug, Default)]
pub struct LoginRules {
    /// The profile.
    pub profile: Profile,
    /// The key for signed requests; left out, that of `private_key_jwt`.
    pub request_key: Option<RequestKey>,
    /// `id_token_signed_response_alg`, as registered; left out, whatever the server lists.
    pub id_token_algorithm: Option<Algorithm>,
    /// `authorization_signed_response_alg`, as registered; left out, whatever the server lists.
    pub response_algorithm: Option<Algorithm>,
    /// Whether answers of other servers come to the same redirect URI. Then each must say whose it is, by `iss` or by its
    /// signature, or one server could have the code of another sent to it (RFC 9700 §4.4.2).
    pub shares_redirect_uri: bool,
}

/// How strict a client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// As strict as the server allows.
    #[default]
    Open,
    /// FAPI 2.0 Security Profile: what it demands, or no login.
    Fapi2,
}

/// A key that signs requests.
#[derive(Clone)]
pub struct RequestKey {
    /// The key.
    pub signer: SharedSigner,
    /// The `kid` under which the server knows it.
    pub kid: Option<String>,
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestKey({} {})", self.signer.algorithm(), self.signer.public_jwk().thumbprint())
    }
}

/// Who takes part in a login.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// The server.
    pub server: &'a ProviderMetadata,
    /// The client.
    pub identity: &'a Identity,
    /// Its rules.
    pub rules: &'a LoginRules,
}

impl Parties<'_> {
    /// The algorithms that ID tokens may be signed with.
    #[must_use]
    pub fn id_token_algorithms(&self) -> AlgorithmSet {
        let listed = &self.server.supported.id_token_signing_alg_values_supported;
        self.algorithms(listed, self.rules.id_token_algorithm)
    }

    /// The algorithms that answers may be signed with.
    #[must_use]
    pub fn response_algorithms(&self) -> AlgorithmSet {
        let listed = &self.server.supported.authorization_signing_alg_values_supported;
        self.algorithms(listed, self.rules.response_algorithm)
    }

    /// The algorithms that a signed answer of UserInfo may be signed with.
    #[must_use]
    pub fn userinfo_algorithms(&self) -> AlgorithmSet {
        self.algorithms(&self.server.supported.userinfo_signing_alg_values_supported, None)
    }

    /// The registered one, else what the server lists, else any asymmetric one; `none` is not one. Of these, those that
    /// the profile has.
    fn algorithms(&self, listed: &[String], registered: Option<Algorithm>) -> AlgorithmSet {
        let known: Vec<Algorithm> = listed.iter().filter_map(|name| Algorithm::parse(name)).collect();
        let of_the_server = match registered {
            Some(algorithm) => AlgorithmSet::of(&[algorithm]),
            None if listed.is_empty() => AlgorithmSet::of(&Algorithm::ALL),
            None => AlgorithmSet::of(&known),
        };
        match self.rules.profile {
            Profile::Open => of_the_server,
            Profile::Fapi2 => of_the_server.intersection(AlgorithmSet::of(&fapi::ALGORITHMS)),
        }
    }

    /// The key for signed requests, if there is one.
    #[must_use]
    pub fn request_key(&self) -> Option<RequestKey> {
        match (&self.rules.request_key, &self.identity.auth) {
            (Some(key), _) => Some(key.clone()),
            (None, ClientAuth::PrivateKeyJwt { signer, kid }) => {
                Some(RequestKey { signer: SharedSigner::clone(signer), kid: kid.clone() })
            }
            _ => None,
        }
    }
}
