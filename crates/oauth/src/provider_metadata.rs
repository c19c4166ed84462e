//! What an authorization server says of itself (RFC 8414 §2, OpenID Connect Discovery §3, and the members that later
//! RFCs added). One document for both well-known URLs.

use crate::identifier::{Endpoint, Issuer};
use keybound_dpop::jose::json::Object;
use serde::{Deserialize, Serialize};

/// The metadata of an authorization server. An empty list and a `None` are left out of the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderMetadata {
    /// `issuer`
    pub issuer: Issuer,
    /// The URLs.
    #[serde(flatten)]
    pub endpoints: Endpoints,
    /// `mtls_endpoint_aliases` (RFC 8705 §5): where clients that show a certificate meet the endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtls_endpoint_aliases: Option<Endpoints>,
    /// The lists of what is supported.
    #[serde(flatten)]
    pub supported: Supported,
    /// The switches.
    #[serde(flatten)]
    pub flags: Flags,
}

macro_rules! optional_members {
    ($(#[$doc:meta])* $name:ident { $($member:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            $(
                #[doc = concat!("`", stringify!($member), "`")]
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $member: Option<$type>,
            )*
        }
    };
}

optional_members! {
    /// Where things are. All are https, or http on a loopback host.
    Endpoints {
        authorization_endpoint: Endpoint,
        token_endpoint: Endpoint,
        jwks_uri: Endpoint,
        userinfo_endpoint: Endpoint,
        pushed_authorization_request_endpoint: Endpoint,
        registration_endpoint: Endpoint,
        revocation_endpoint: Endpoint,
        introspection_endpoint: Endpoint,
        device_authorization_endpoint: Endpoint,
        end_session_endpoint: Endpoint,
    }
}

optional_members! {
    /// What is on, what is off. Left out, each has the default of its definition.
    Flags {
        authorization_response_iss_parameter_supported: bool,
        require_pushed_authorization_requests: bool,
        require_signed_request_object: bool,
        claims_parameter_supported: bool,
        request_parameter_supported: bool,
        request_uri_parameter_supported: bool,
        require_request_uri_registration: bool,
        backchannel_logout_supported: bool,
        backchannel_logout_session_supported: bool,
        client_id_metadata_document_supported: bool,
    }
}

macro_rules! lists {
    ($(#[$doc:meta])* $name:ident { $($member:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            $(
                #[doc = concat!("`", stringify!($member), "`")]
                #[serde(default, skip_serializing_if = "Vec::is_empty")]
                pub $member: Vec<String>,
            )*
        }
    };
}

lists! {
    /// What is supported. An empty list is left out of the document (RFC 8414 §3.2).
    Supported {
        scopes_supported,
        response_types_supported,
        response_modes_supported,
        grant_types_supported,
        code_challenge_methods_supported,
        dpop_signing_alg_values_supported,
        token_endpoint_auth_methods_supported,
        token_endpoint_auth_signing_alg_values_supported,
        revocation_endpoint_auth_methods_supported,
        revocation_endpoint_auth_signing_alg_values_supported,
        introspection_endpoint_auth_methods_supported,
        introspection_endpoint_auth_signing_alg_values_supported,
        introspection_signing_alg_values_supported,
        subject_types_supported,
        id_token_signing_alg_values_supported,
        userinfo_signing_alg_values_supported,
        authorization_signing_alg_values_supported,
        request_object_signing_alg_values_supported,
        acr_values_supported,
        claims_supported,
        prompt_values_supported,
        ui_locales_supported,
        protected_resources,
        authorization_details_types_supported,
    }
}

/// Why a document is not the metadata of the issuer that was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderMetadataError {
    /// Not JSON, or not an object with distinct names.
    #[error("the metadata is not a JSON object with distinct member names")]
    NotJson,
    /// A member is missing or malformed.
    #[error("the metadata cannot be used: {0}")]
    Member(String),
    /// `issuer` is another one (CL-DSC-01).
    #[error("the metadata is not that of the issuer that was asked: `issuer` must be exactly {expected}")]
    OtherIssuer {
        /// The issuer that was asked.
        expected: Issuer,
    },
}

impl ProviderMetadata {
    /// Of that issuer, with nothing else said: for a server that publishes none, whose endpoints are written by hand.
    #[must_use]
    pub fn new(issuer: Issuer) -> Self {
        Self {
            issuer,
            endpoints: Endpoints::default(),
            mtls_endpoint_aliases: None,
            supported: Supported::default(),
            flags: Flags::default(),
        }
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_value(self).unwrap_or_default().to_string()
    }

    /// Reads the document that came from the well-known URL of `issuer`, which must be its `issuer` too, byte for
    /// byte (RFC 8414 §3.3).
    ///
    /// # Errors
    /// [`ProviderMetadataError`]
    pub fn parse(json: &[u8], issuer: &Issuer) -> Result<Self, ProviderMetadataError> {
        let object = Object::parse(json).map_err(|_| ProviderMetadataError::NotJson)?;
        if object.string("issuer").ok().flatten() != Some(issuer.as_str()) {
            return Err(ProviderMetadataError::OtherIssuer { expected: issuer.clone() });
        }
        serde_json::from_slice(json).map_err(|error| ProviderMetadataError::Member(error.to_string()))
    }

    /// Whether the server says that it binds tokens to keys (RFC 9449 §5.1).
    #[must_use]
    pub fn supports_dpop(&self) -> bool {
        !self.supported.dpop_signing_alg_values_supported.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> Issuer {
        Issuer::parse("https://id.example/t").expect("an issuer")
    }

    fn metadata() -> ProviderMetadata {
        let at = |path: &str| Endpoint::parse(issuer().endpoint(path).as_str()).ok();
        ProviderMetadata {
            issuer: issuer(),
            endpoints: Endpoints {
                authorization_endpoint: at("/authorize"),
                token_endpoint: at("/token"),
                ..Endpoints::default()
            },
            supported: Supported {
                dpop_signing_alg_values_supported: vec!["ES256".to_owned()],
                ..Supported::default()
            },
            flags: Flags { require_pushed_authorization_requests: Some(false), ..Flags::default() },
            ..ProviderMetadata::new(issuer())
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let json = metadata().to_json();
        assert_eq!(ProviderMetadata::parse(json.as_bytes(), &issuer()), Ok(metadata()));
        assert!(metadata().supports_dpop());
    }

    #[test]
    fn as_md_05_empty_arrays_are_omitted() {
        let json = metadata().to_json();
        assert!(
            !json.contains("[]") && !json.contains("null") && !json.contains("scopes_supported"),
            "{json}"
        );
        assert!(json.contains("\"require_pushed_authorization_requests\":false"), "{json}");
    }

    #[test]
    fn cl_dsc_01_the_issuer_must_be_the_one_that_was_asked() {
        for other in ["https://id.example", "https://id.example/t/", "https://ID.example/t"] {
            let json = metadata().to_json().replace("\"https://id.example/t\"", &format!("\"{other}\""));
            let expected = Err(ProviderMetadataError::OtherIssuer { expected: issuer() });
            assert_eq!(ProviderMetadata::parse(json.as_bytes(), &issuer()), expected, "{other}");
        }
    }

    #[test]
    fn as_md_09_endpoints_are_https_and_unknown_members_ignored() {
        let json = metadata().to_json().replace("https://id.example/t/token", "http://id.example/t/token");
        let error = ProviderMetadata::parse(json.as_bytes(), &issuer()).expect_err("refused");
        assert!(matches!(error, ProviderMetadataError::Member(_)), "{error}");
        let json = r#"{"issuer":"https://id.example/t","odd":{"a":[1]},"service_documentation":"x"}"#;
        assert!(ProviderMetadata::parse(json.as_bytes(), &issuer()).is_ok_and(|read| !read.supports_dpop()));
        for bad in ["", "[]", r#"{"issuer":"https://id.example/t","issuer":"https://id.example/t"}"#] {
            let read = ProviderMetadata::parse(bad.as_bytes(), &issuer());
            assert_eq!(read, Err(ProviderMetadataError::NotJson), "{bad}");
        }
    }
}
