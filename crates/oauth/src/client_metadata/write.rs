//! Metadata as it is written down.

use super::{ClientMetadata, SubjectType};
use crate::identifier::{ClientId, Endpoint, ResourceId};
use crate::redirect_uri::RedirectUri;
use crate::scope::Scope;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::key_set::KeySet;
use serde_json::{Map, Value};

impl ClientMetadata {
    /// As a JSON object: all that is set, secrets included.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                object.insert(name.to_owned(), value);
            }
        };
        put("client_id", text(self.client_id.as_ref().map(ClientId::as_str)));
        if let Some(secret) = &self.client_secret {
            let (name, value) = secret.to_member();
            put(name, value.into());
        }
        put("client_name", text(self.client_name.as_deref()));
        put("application_type", self.application_type.as_str().into());
        put("redirect_uris", list(self.redirect_uris.iter().map(RedirectUri::as_str)));
        put(
            "post_logout_redirect_uris",
            list(self.post_logout_redirect_uris.iter().map(RedirectUri::as_str)),
        );
        put("grant_types", self.grant_types.iter().map(|grant| grant.as_str()).collect());
        put("response_types", self.response_types().iter().copied().collect());
        put("token_endpoint_auth_method", self.token_endpoint_auth_method.as_str().into());
        put("jwks", self.jwks.as_ref().map_or(Value::Null, json_of));
        put("jwks_uri", text(self.jwks_uri.as_ref().map(Endpoint::as_str)));
        put("scope", text(self.scope.as_ref().map(Scope::as_str)));
        put("dpop_bound_access_tokens", self.dpop_bound_access_tokens.into());
        put("id_token_signed_response_alg", text(self.id_token_signed_response_alg.map(Algorithm::name)));
        put(
            "introspection_signed_response_alg",
            text(self.introspection_signed_response_alg.map(Algorithm::name)),
        );
        put("contacts", list(self.contacts.iter().map(String::as_str)));
        put("client_uri", text(self.client_uri.as_ref().map(Endpoint::as_str)));
        put("logo_uri", text(self.logo_uri.as_ref().map(Endpoint::as_str)));
        put("policy_uri", text(self.policy_uri.as_ref().map(Endpoint::as_str)));
        put("tos_uri", text(self.tos_uri.as_ref().map(Endpoint::as_str)));
        if let Some(resources) = &self.resources {
            put("resources", resources.iter().map(ResourceId::as_str).collect());
        }
        if let Some(types) = &self.authorization_details_types {
            put("authorization_details_types", types.iter().map(String::as_str).collect());
        }
        put("legacy_oidc", self.legacy_oidc.into());
        put("errors", self.errors.as_str().into());
        put("profile", self.profile.as_str().into());
        put("use_mtls_endpoint_aliases", self.use_mtls_endpoint_aliases.map_or(Value::Null, Value::from));
        put("require_pushed_authorization_requests", switch(self.require_pushed_authorization_requests));
        put("require_dpop_jkt", switch(self.require_dpop_jkt));
        let algorithm = self.authorization_signed_response_alg.map(Algorithm::name);
        put("authorization_signed_response_alg", text(algorithm));
        put("may_act", text(self.may_act.as_deref()));
        put("request_object_signing_alg", text(self.request_object_signing_alg.map(Algorithm::name)));
        put("require_signed_request_object", switch(self.require_signed_request_object));
        put("request_uris", list(self.request_uris.iter().map(Endpoint::as_str)));
        self.openid_members(&mut put);
        Value::Object(object)
    }

    /// Those that only an OpenID Provider reads, and those of the software.
    fn openid_members(&self, put: &mut impl FnMut(&str, Value)) {
        let algorithm = |algorithm: Option<Algorithm>| text(algorithm.map(Algorithm::name));
        put("token_endpoint_auth_signing_alg", algorithm(self.token_endpoint_auth_signing_alg));
        if self.subject_type != SubjectType::Public {
            put("subject_type", self.subject_type.as_str().into());
        }
        put("sector_identifier_uri", text(self.sector_identifier_uri.as_ref().map(Endpoint::as_str)));
        put("userinfo_signed_response_alg", algorithm(self.userinfo_signed_response_alg));
        put("default_max_age", self.default_max_age_secs.map_or(Value::Null, Value::from));
        put("require_auth_time", switch(self.require_auth_time));
        put("default_acr_values", list(self.default_acr_values.iter().map(String::as_str)));
        put("backchannel_logout_uri", text(self.backchannel_logout_uri.as_ref().map(Endpoint::as_str)));
        put("backchannel_logout_session_required", switch(self.backchannel_logout_session_required));
        put("software_id", text(self.software_id.as_deref()));
        put("software_version", text(self.software_version.as_deref()));
    }
}

fn text(value: Option<&str>) -> Value {
    value.map_or(Value::Null, Value::from)
}

/// `true`, or nothing where it is the default.
fn switch(on: bool) -> Value {
    if on { Value::Bool(true) } else { Value::Null }
}

/// An array, or nothing where it would be empty.
fn list<'a>(items: impl Iterator<Item = &'a str>) -> Value {
    let items: Vec<Value> = items.map(Value::from).collect();
    if items.is_empty() { Value::Null } else { Value::Array(items) }
}

pub(super) fn json_of(keys: &KeySet) -> Value {
    serde_json::from_str(&keys.to_json()).unwrap_or(Value::Null)
}
