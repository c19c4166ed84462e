//! What a World is made of: its addresses and secrets, its configuration and its clients.

use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_oauth::token_exchange::GRANT_TYPE as TOKEN_EXCHANGE;
use keybound_provider::config::ConfigFile;
use serde_json::{Value, json};

/// The issuer of every World.
pub const ISSUER: &str = "https://as.example";
/// The token endpoint.
pub const TOKEN: &str = "https://as.example/token";
/// The pushed authorization request endpoint.
pub const PUSHED: &str = "https://as.example/par";
/// The authorization endpoint.
pub const AUTHORIZE: &str = "https://as.example/authorize";
/// The device authorization endpoint.
pub const DEVICE_AUTHORIZATION: &str = "https://as.example/device_authorization";
/// UserInfo.
pub const USERINFO: &str = "https://as.example/userinfo";
/// The API that tokens are for.
pub const API: &str = "https://api.example/";
/// A second API, where bearer tokens are allowed.
pub const MIXED_API: &str = "https://mixed.example/";
/// A third, which knows nothing of DPoP.
pub const OLD_API: &str = "https://old.example/";
/// A fourth, whose tokens say nothing by themselves.
pub const OPAQUE_API: &str = "https://opaque.example/";
/// Introspection.
pub const INTROSPECT: &str = "https://as.example/introspect";
/// Revocation.
pub const REVOKE: &str = "https://as.example/revoke";
/// The secret of the client `service`.
pub const SECRET: &str = "a:b%2F+ secret";
/// The password of the user.
pub const PASSWORD: &str = "correct horse";
/// The PKCE verifier of every code.
pub const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier";
/// Where codes are sent.
pub const REDIRECT_URI: &str = "https://app.example/callback";

/// What a World is made of, besides what all have.
#[derive(Clone, Debug)]
pub struct Settings {
    /// More lines of configuration.
    pub config: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { config: "[nonce]\nmode = \"off\"\n".to_owned() }
    }
}

impl Settings {
    /// With nonces, as they are by default.
    #[must_use]
    pub fn with_nonces() -> Self {
        Self { config: String::new() }
    }
}

/// The configuration of a World, with more lines at its end.
pub fn config(more: &str) -> ConfigFile {
    config_of(ISSUER, more)
}

pub(crate) fn config_of(issuer: &str, more: &str) -> ConfigFile {
    let text = format!(
        r#"
        issuer = "{issuer}"

        [[resource]]
        identifier = "{API}"
        scopes = ["read", "write"]
        default = true
        client = "api"

        [[resource]]
        identifier = "{MIXED_API}"
        scopes = ["read"]
        dpop = "allowed"

        [[resource]]
        identifier = "{OPAQUE_API}"
        scopes = ["read"]
        dpop = "allowed"
        tokens = "opaque"
        client = "opaque-api"

        [[resource]]
        identifier = "{OLD_API}"
        scopes = ["read"]
        dpop = "refresh_only"

        {more}"#
    );
    ConfigFile::parse(&text, "world.toml").expect("a configuration")
}

/// A client that may ask for everything and authenticates by a key.
pub(crate) fn signed(client_id: &str, key: &SigningKey) -> Value {
    let jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).expect("JSON");
    json!({ "client_id": client_id, "jwks": { "keys": [jwk] }, "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
            "token_endpoint_auth_method": "private_key_jwt" })
}

/// The clients of a World.
pub(crate) fn clients(client_key: &SigningKey) -> Vec<Value> {
    let all_grants = json!(["authorization_code", "refresh_token", "client_credentials"]);
    vec![
        json!({ "client_id": "app", "redirect_uris": [REDIRECT_URI],
                "grant_types": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_method": "none" }),
        json!({ "client_id": "bearer-app", "redirect_uris": [REDIRECT_URI],
                "grant_types": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_method": "none", "dpop_bound_access_tokens": false }),
        json!({ "client_id": "service", "client_secret": SECRET, "redirect_uris": [REDIRECT_URI],
                "grant_types": all_grants, "token_endpoint_auth_method": "client_secret_basic" }),
        json!({ "client_id": "poster", "client_secret": SECRET, "redirect_uris": [REDIRECT_URI],
                "grant_types": all_grants, "token_endpoint_auth_method": "client_secret_post",
                "dpop_bound_access_tokens": false }),
        signed("signed", client_key),
        json!({ "client_id": "api", "client_secret": SECRET, "grant_types": ["client_credentials", TOKEN_EXCHANGE] }),
        json!({ "client_id": "broker", "client_secret": SECRET, "grant_types": ["client_credentials", TOKEN_EXCHANGE],
                "dpop_bound_access_tokens": false }),
        json!({ "client_id": "opaque-api", "client_secret": SECRET, "dpop_bound_access_tokens": false,
                "grant_types": ["client_credentials", TOKEN_EXCHANGE] }),
    ]
}
