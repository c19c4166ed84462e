//! What the provider says of itself (RFC 8414, OpenID Connect Discovery) and its public keys.

use crate::acr;
use crate::config::{Config, RegistrationMode};
use crate::provider::Provider;
use crate::reach::OPENID_SCOPES;
use crate::respond;
use crate::signing_keys::JWKS_MAX_AGE_SECS;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, Response};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_oauth::client_metadata::{AuthMethod, GrantType, SubjectType};
use keybound_oauth::identifier::Endpoint;
use keybound_oauth::provider_metadata::{Endpoints, Flags, ProviderMetadata, Supported};
use keybound_oauth::response_mode::ResponseMode;
use keybound_oauth::standard_claims;
use std::sync::Arc;

/// The document at both well-known URLs.
pub async fn handle(State(provider): State<Arc<Provider>>) -> Response<Body> {
    respond::public_json(document(&provider.config).to_json())
}

/// The public keys (RFC 7517 §5), for as long as a new key is published before it is used.
pub async fn keys(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response<Body> {
    let json = provider.signing_keys.key_set(provider.unix()).to_json();
    respond::revalidated_json(json, JWKS_MAX_AGE_SECS, &headers)
}

/// The metadata: what is there, and nothing else.
#[must_use]
pub fn document(config: &Config) -> ProviderMetadata {
    let endpoint = |path: &str| Endpoint::parse(&config.endpoint(path)).ok();
    ProviderMetadata {
        issuer: config.issuer.clone(),
        endpoints: Endpoints {
            authorization_endpoint: endpoint(super::AUTHORIZE),
            token_endpoint: endpoint(super::TOKEN),
            jwks_uri: endpoint(super::KEYS),
            userinfo_endpoint: endpoint(super::USERINFO),
            device_authorization_endpoint: endpoint(super::DEVICE_AUTHORIZATION),
            pushed_authorization_request_endpoint: endpoint(super::PUSHED),
            introspection_endpoint: endpoint(super::INTROSPECT),
            revocation_endpoint: endpoint(super::REVOKE),
            registration_endpoint: match config.registration.mode {
                RegistrationMode::Off => None,
                RegistrationMode::Token | RegistrationMode::Open => endpoint(super::REGISTER),
            },
            end_session_endpoint: endpoint(super::LOGOUT),
        },
        mtls_endpoint_aliases: None,
        supported: supported(config),
        flags: Flags {
            authorization_response_iss_parameter_supported: Some(true),
            require_pushed_authorization_requests: Some(config.require_pushed_authorization_requests),
            // Of each client on its own (RFC 9101 §10.5).
            require_signed_request_object: None,
            claims_parameter_supported: Some(true),
            request_parameter_supported: Some(true),
            request_uri_parameter_supported: Some(true),
            require_request_uri_registration: Some(true),
            client_id_metadata_document_supported: config.registration.documents.as_ref().map(|_| true),
            backchannel_logout_supported: Some(true),
            backchannel_logout_session_supported: Some(true),
        },
    }
}

fn supported(config: &Config) -> Supported {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let names = |all: &[Algorithm]| all.iter().map(|algorithm| algorithm.name().to_owned()).collect();
    let methods: Vec<String> =
        config.profile.auth_methods().iter().map(|method| method.as_str().to_owned()).collect();
    let mut scopes = texts(&OPENID_SCOPES);
    for token in config.resources.iter().flat_map(|resource| resource.scopes.iter()) {
        if !scopes.iter().any(|known| known == token) {
            scopes.push(token.to_owned());
        }
    }
    let about_the_sign_in = ["sub", "auth_time", "acr"].into_iter();
    let claims = about_the_sign_in.chain(standard_claims::ALL.iter().map(|claim| claim.name));
    Supported {
        scopes_supported: scopes,
        response_types_supported: texts(&["code"]),
        response_modes_supported: texts(&ResponseMode::NAMES),
        grant_types_supported: GrantType::ALL.iter().map(|grant| grant.as_str().to_owned()).collect(),
        code_challenge_methods_supported: texts(&["S256"]),
        dpop_signing_alg_values_supported: config
            .proof
            .algorithms
            .names()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        token_endpoint_auth_methods_supported: methods.clone(),
        token_endpoint_auth_signing_alg_values_supported: names(config.profile.signature_algorithms()),
        revocation_endpoint_auth_methods_supported: methods.clone(),
        revocation_endpoint_auth_signing_alg_values_supported: names(config.profile.signature_algorithms()),
        // RFC 8414 §2: the methods, and the types of access tokens that are taken instead.
        introspection_endpoint_auth_methods_supported: methods
            .into_iter()
            .filter(|method| method != AuthMethod::None.as_str())
            .chain(texts(&["DPoP"]))
            .collect(),
        introspection_endpoint_auth_signing_alg_values_supported: names(
            config.profile.signature_algorithms(),
        ),
        introspection_signing_alg_values_supported: names(config.profile.signing_algorithms()),
        subject_types_supported: SubjectType::ALL.iter().map(|known| known.as_str().to_owned()).collect(),
        authorization_signing_alg_values_supported: names(config.profile.signing_algorithms()),
        request_object_signing_alg_values_supported: names(config.profile.signature_algorithms()),
        id_token_signing_alg_values_supported: names(config.profile.signing_algorithms()),
        ui_locales_supported: config.pages.languages.tags().map(str::to_owned).collect(),
        userinfo_signing_alg_values_supported: names(config.profile.signing_algorithms()),
        acr_values_supported: texts(&acr::OFFERED),
        claims_supported: claims.map(str::to_owned).collect(),
        prompt_values_supported: texts(&["none", "login", "consent", "select_account"]),
        protected_resources: config
            .resources
            .iter()
            .map(|resource| resource.identifier.to_string())
            .collect(),
        authorization_details_types_supported: config
            .resources
            .iter()
            .flat_map(|resource| resource.details.iter().map(|detail| detail.name.clone()))
            .collect(),
    }
}
