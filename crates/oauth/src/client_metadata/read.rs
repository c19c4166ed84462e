//! Each member by itself: its type, its form, its default.

use super::{
    ApplicationType, AuthMethod, ClientMetadata, ErrorDisplay, GrantType, MetadataError, ProfileName,
    SubjectType,
};
use crate::client_secret::ClientSecret;
use crate::identifier::{ClientId, Endpoint, ResourceId};
use crate::redirect_uri::RedirectUri;
use crate::scope::Scope;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::key_set::KeySet;
use serde_json::{Map, Value};

type Members = Map<String, Value>;

/// Items in an array, at the most.
const MAX_ITEMS: usize = 128;

/// What asks for something to be encrypted (OpenID Connect Registration §2, JARM §3, RFC 9701 §6, RFC 9101 §10.4).
const ENCRYPTION: [&str; 10] = [
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "authorization_encrypted_response_alg",
    "authorization_encrypted_response_enc",
    "introspection_encrypted_response_alg",
    "introspection_encrypted_response_enc",
];

/// Reads all members that we know.
pub(super) fn members(object: &Members) -> Result<ClientMetadata, MetadataError> {
    check_not_encrypted(object)?;
    let client_secret = client_secret(object)?;
    let default_method = match client_secret {
        Some(_) => AuthMethod::ClientSecretBasic,
        None => AuthMethod::None,
    };
    let grant_types = grant_types(object)?;
    check_response_types(object, &grant_types)?;
    let legacy_oidc = boolean(object, "legacy_oidc")?.unwrap_or(false);
    Ok(ClientMetadata {
        client_id: parsed(object, "client_id", ClientId::parse)?,
        client_secret,
        client_name: string(object, "client_name")?.map(str::to_owned),
        application_type: named(object, "application_type", ApplicationType::parse, "web, native")?
            .unwrap_or(ApplicationType::Web),
        redirect_uris: each(object, "redirect_uris", RedirectUri::parse)?.unwrap_or_default(),
        post_logout_redirect_uris: each(object, "post_logout_redirect_uris", RedirectUri::parse)?
            .unwrap_or_default(),
        grant_types,
        token_endpoint_auth_method: named(
            object,
            "token_endpoint_auth_method",
            AuthMethod::parse,
            "none, client_secret_basic, client_secret_post, private_key_jwt",
        )?
        .unwrap_or(default_method),
        jwks: jwks(object)?,
        jwks_uri: parsed(object, "jwks_uri", Endpoint::parse)?,
        scope: parsed(object, "scope", Scope::parse)?,
        dpop_bound_access_tokens: boolean(object, "dpop_bound_access_tokens")?.unwrap_or(!legacy_oidc),
        id_token_signed_response_alg: algorithm(object, "id_token_signed_response_alg")?,
        introspection_signed_response_alg: algorithm(object, "introspection_signed_response_alg")?,
        contacts: strings(object, "contacts")?.unwrap_or_default().into_iter().map(str::to_owned).collect(),
        client_uri: parsed(object, "client_uri", Endpoint::parse)?,
        logo_uri: parsed(object, "logo_uri", Endpoint::parse)?,
        policy_uri: parsed(object, "policy_uri", Endpoint::parse)?,
        tos_uri: parsed(object, "tos_uri", Endpoint::parse)?,
        resources: each(object, "resources", ResourceId::parse)?,
        authorization_details_types: strings(object, "authorization_details_types")?
            .map(|types| types.into_iter().map(str::to_owned).collect()),
        legacy_oidc,
        errors: named(object, "errors", ErrorDisplay::parse, "page, redirect")?.unwrap_or(ErrorDisplay::Page),
        profile: named(object, "profile", ProfileName::parse, "standard, fapi2")?
            .unwrap_or(ProfileName::Standard),
        use_mtls_endpoint_aliases: boolean(object, "use_mtls_endpoint_aliases")?,
        require_pushed_authorization_requests: boolean(object, "require_pushed_authorization_requests")?
            .unwrap_or(false),
        require_dpop_jkt: boolean(object, "require_dpop_jkt")?.unwrap_or(false),
        authorization_signed_response_alg: algorithm(object, "authorization_signed_response_alg")?,
        may_act: parsed(object, "may_act", subject)?,
        request_object_signing_alg: algorithm(object, "request_object_signing_alg")?,
        require_signed_request_object: boolean(object, "require_signed_request_object")?.unwrap_or(false),
        request_uris: each(object, "request_uris", Endpoint::parse)?.unwrap_or_default(),
        token_endpoint_auth_signing_alg: algorithm(object, "token_endpoint_auth_signing_alg")?,
        subject_type: named(object, "subject_type", SubjectType::parse, "public, pairwise")?
            .unwrap_or(SubjectType::Public),
        sector_identifier_uri: parsed(object, "sector_identifier_uri", Endpoint::parse)?,
        userinfo_signed_response_alg: algorithm(object, "userinfo_signed_response_alg")?,
        default_max_age_secs: seconds(object, "default_max_age")?,
        require_auth_time: boolean(object, "require_auth_time")?.unwrap_or(false),
        default_acr_values: strings(object, "default_acr_values")?
            .map(|values| values.into_iter().map(str::to_owned).collect())
            .unwrap_or_default(),
        backchannel_logout_uri: parsed(object, "backchannel_logout_uri", Endpoint::parse)?,
        backchannel_logout_session_required: boolean(object, "backchannel_logout_session_required")?
            .unwrap_or(false),
        software_id: string(object, "software_id")?.map(str::to_owned),
        software_version: string(object, "software_version")?.map(str::to_owned),
    })
}

/// A client that counts on encryption must not find out later that there is none.
fn check_not_encrypted(object: &Members) -> Result<(), MetadataError> {
    match ENCRYPTION.into_iter().find(|member| object.contains_key(*member)) {
        Some(member) => Err(MetadataError::new(member, "leave it out: nothing is encrypted here but by TLS")),
        None => Ok(()),
    }
}

/// The `sub` of a client or a user.
fn subject(text: &str) -> Result<String, &'static str> {
    let is_one = (1..=255).contains(&text.len()) && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    is_one
        .then(|| text.to_owned())
        .ok_or("must be the `sub` of a client or a user: 1 to 255 ASCII characters")
}

fn client_secret(object: &Members) -> Result<Option<ClientSecret>, MetadataError> {
    let text = string(object, "client_secret")?;
    let digest = string(object, "client_secret_sha256")?;
    match (text, digest) {
        (Some(_), Some(_)) => {
            Err(MetadataError::new("client_secret", "write this or `client_secret_sha256`, not both"))
        }
        (Some(""), None) => Err(MetadataError::new("client_secret", "must not be empty")),
        (Some(text), None) => Ok(Some(ClientSecret::new(text))),
        (None, Some(digest)) => ClientSecret::from_digest(digest).map(Some).ok_or_else(|| {
            MetadataError::new("client_secret_sha256", "must be a SHA-256 as 43 characters of base64url")
        }),
        (None, None) => Ok(None),
    }
}

fn algorithm(object: &Members, member: &'static str) -> Result<Option<Algorithm>, MetadataError> {
    named(object, member, Algorithm::parse, "a signature algorithm such as ES256, PS256, EdDSA")
}

fn grant_types(object: &Members) -> Result<Vec<GrantType>, MetadataError> {
    let Some(names) = strings(object, "grant_types")? else { return Ok(vec![GrantType::AuthorizationCode]) };
    let mut grants = Vec::new();
    for name in names {
        let grant = GrantType::parse(name).ok_or_else(|| {
            let offered: Vec<&str> = GrantType::ALL.iter().map(|grant| grant.as_str()).collect();
            MetadataError::new("grant_types", format!("must be an array out of {}", offered.join(", ")))
        })?;
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    Ok(grants)
}

/// RFC 7591 §2.1: `code` goes with `authorization_code`, and neither goes alone.
fn check_response_types(object: &Members, grants: &[GrantType]) -> Result<(), MetadataError> {
    let Some(types) = strings(object, "response_types")? else { return Ok(()) };
    if types.iter().any(|name| *name != "code") {
        return Err(MetadataError::new(
            "response_types",
            "must be [\"code\"], or [] without authorization_code",
        ));
    }
    match (types.is_empty(), grants.contains(&GrantType::AuthorizationCode)) {
        (false, false) => {
            Err(MetadataError::new("response_types", "`code` needs `authorization_code` in `grant_types`"))
        }
        (true, true) => Err(MetadataError::new(
            "response_types",
            "`authorization_code` in `grant_types` needs `code` here",
        )),
        _ => Ok(()),
    }
}

fn jwks(object: &Members) -> Result<Option<KeySet>, MetadataError> {
    let Some(value) = object.get("jwks") else { return Ok(None) };
    let keys = KeySet::parse(value.to_string().as_bytes());
    keys.map(Some).map_err(|error| MetadataError::new("jwks", error.to_string()))
}

fn string<'o>(object: &'o Members, member: &'static str) -> Result<Option<&'o str>, MetadataError> {
    match object.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(MetadataError::new(member, "must be a string")),
    }
}

fn boolean(object: &Members, member: &'static str) -> Result<Option<bool>, MetadataError> {
    match object.get(member) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(MetadataError::new(member, "must be true or false, without quotes")),
    }
}

fn seconds(object: &Members, member: &'static str) -> Result<Option<u64>, MetadataError> {
    let Some(value) = object.get(member) else { return Ok(None) };
    let wrong = || MetadataError::new(member, "must be a whole number of seconds, without quotes");
    value.as_u64().map(Some).ok_or_else(wrong)
}

fn strings<'o>(object: &'o Members, member: &'static str) -> Result<Option<Vec<&'o str>>, MetadataError> {
    let wrong = || MetadataError::new(member, format!("must be an array of at most {MAX_ITEMS} strings"));
    match object.get(member) {
        None => Ok(None),
        Some(Value::Array(items)) if items.len() <= MAX_ITEMS => {
            items.iter().map(|item| item.as_str().ok_or_else(wrong)).collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(wrong()),
    }
}

fn parsed<T, E: ToString>(
    object: &Members,
    member: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, MetadataError> {
    let text = string(object, member)?;
    text.map(parse).transpose().map_err(|error| MetadataError::new(member, error.to_string()))
}

fn each<T, E: ToString>(
    object: &Members,
    member: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<Vec<T>>, MetadataError> {
    let Some(texts) = strings(object, member)? else { return Ok(None) };
    let all = texts.into_iter().map(parse).collect::<Result<_, _>>();
    all.map(Some).map_err(|error| MetadataError::new(member, error.to_string()))
}

fn named<T>(
    object: &Members,
    member: &'static str,
    parse: impl Fn(&str) -> Option<T>,
    names: &str,
) -> Result<Option<T>, MetadataError> {
    let Some(text) = string(object, member)? else { return Ok(None) };
    parse(text).map(Some).ok_or_else(|| MetadataError::new(member, format!("must be one of: {names}")))
}
