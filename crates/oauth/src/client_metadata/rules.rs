//! How the members go together.

use super::{ApplicationType, AuthMethod, ClientMetadata, GrantType, MetadataError, SubjectType};

/// Checks all rules; the first that is broken is told.
pub(super) fn check(client: &ClientMetadata) -> Result<(), MetadataError> {
    redirect_uris(client)?;
    grants(client)?;
    keys(client)?;
    subject(client)?;
    authentication(client)
}

fn redirect_uris(client: &ClientMetadata) -> Result<(), MetadataError> {
    let needs_one = client.allows_grant(GrantType::AuthorizationCode);
    if needs_one && client.redirect_uris.is_empty() {
        return Err(MetadataError::new(
            "redirect_uris",
            "name at least one, or leave authorization_code out of `grant_types`",
        ));
    }
    let is_native = client.application_type == ApplicationType::Native;
    if !is_native && client.redirect_uris.iter().any(super::RedirectUri::is_private_use) {
        return Err(MetadataError::new(
            "redirect_uris",
            "a private-use scheme needs `application_type` = native; a web application needs https",
        ));
    }
    Ok(())
}

fn grants(client: &ClientMetadata) -> Result<(), MetadataError> {
    if client.grant_types.is_empty() {
        return Err(MetadataError::new("grant_types", "name at least one"));
    }
    // RFC 6749 §4.4: the client credentials grant is for confidential clients only.
    if client.is_public() && client.allows_grant(GrantType::ClientCredentials) {
        return Err(MetadataError::new(
            "grant_types",
            "client_credentials is not for public clients: give the client keys (`token_endpoint_auth_method` = \
             private_key_jwt) or a secret",
        ));
    }
    if client.is_public() && client.allows_grant(GrantType::TokenExchange) {
        return Err(MetadataError::new(
            "grant_types",
            "token exchange is not for public clients: give the client keys or a secret",
        ));
    }
    Ok(())
}

fn keys(client: &ClientMetadata) -> Result<(), MetadataError> {
    // RFC 7591 §2: `jwks_uri` and `jwks` must not both be present.
    if client.jwks.is_some() && client.jwks_uri.is_some() {
        return Err(MetadataError::new("jwks", "write `jwks` or `jwks_uri`, not both"));
    }
    if client.require_signed_request_object && !has_key(client) {
        return Err(MetadataError::new(
            "jwks",
            "`require_signed_request_object` needs a public key here, or a `jwks_uri`",
        ));
    }
    Ok(())
}

/// OpenID Connect Core §8.1: whose clients share a `sub` has to be clear.
fn subject(client: &ClientMetadata) -> Result<(), MetadataError> {
    let is_clear = client.subject_type == SubjectType::Public || client.sector().is_some();
    is_clear.then_some(()).ok_or_else(|| {
        MetadataError::new(
            "sector_identifier_uri",
            "`subject_type` = pairwise needs one https host in all `redirect_uris`, or an https URL here",
        )
    })
}

fn has_key(client: &ClientMetadata) -> bool {
    client.jwks_uri.is_some() || client.jwks.as_ref().is_some_and(|keys| keys.iter().count() > 0)
}

fn authentication(client: &ClientMetadata) -> Result<(), MetadataError> {
    match client.token_endpoint_auth_method {
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost if client.client_secret.is_none() => {
            Err(MetadataError::new("client_secret", "this `token_endpoint_auth_method` needs a secret"))
        }
        AuthMethod::PrivateKeyJwt if !has_key(client) => {
            Err(MetadataError::new("jwks", "private_key_jwt needs a public key here, or a `jwks_uri`"))
        }
        AuthMethod::None | AuthMethod::PrivateKeyJwt if client.client_secret.is_some() => {
            Err(MetadataError::new(
                "client_secret",
                "this `token_endpoint_auth_method` uses no secret: leave it out",
            ))
        }
        _ => Ok(()),
    }
}
