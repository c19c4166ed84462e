//! What a protected resource says of itself (RFC 9728 §2): whose tokens it takes, and how.

use crate::identifier::{Endpoint, Issuer, ResourceId};
use keybound_dpop::jose::algorithm::AlgorithmSet;
use keybound_dpop::jose::json::Object;
use keybound_dpop::jose::jwk::PublicJwk;
use keybound_dpop::jose::jws::{self, JwtError, UnverifiedJwt};
use keybound_dpop::jose::signer::{SignError, Signer};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The metadata of a protected resource. An empty list and a `None` are left out of the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceMetadata {
    /// `resource`: its identifier.
    pub resource: ResourceId,
    /// `authorization_servers`: whose tokens it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_servers: Vec<Issuer>,
    /// `jwks_uri`: the keys that it signs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<Endpoint>,
    /// `scopes_supported`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// `bearer_methods_supported`. Unlike any other list an empty one is written: it says that bearer tokens are not
    /// taken (RFC 9728 §2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_methods_supported: Option<Vec<String>>,
    /// `resource_signing_alg_values_supported`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_signing_alg_values_supported: Vec<String>,
    /// What people read of it.
    #[serde(flatten)]
    pub for_people: ForPeople,
    /// `tls_client_certificate_bound_access_tokens`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_certificate_bound_access_tokens: Option<bool>,
    /// `authorization_details_types_supported`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_details_types_supported: Vec<String>,
    /// `dpop_signing_alg_values_supported`: with which algorithms a proof may be signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dpop_signing_alg_values_supported: Vec<String>,
    /// `dpop_bound_access_tokens_required`: whether nothing but bound tokens is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_bound_access_tokens_required: Option<bool>,
    /// `signed_metadata`: the same as a JWT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_metadata: Option<String>,
}

/// A member that people read, or that leads to something that they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// `resource_name`
    Name,
    /// `resource_documentation`
    Documentation,
    /// `resource_policy_uri`
    Policy,
    /// `resource_tos_uri`
    Terms,
}

impl Told {
    const ALL: [Self; 4] = [Self::Name, Self::Documentation, Self::Policy, Self::Terms];

    /// The name of the member.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Name => "resource_name",
            Self::Documentation => "resource_documentation",
            Self::Policy => "resource_policy_uri",
            Self::Terms => "resource_tos_uri",
        }
    }
}

/// What people read, in one language or several: `resource_name`, `resource_name#de` (RFC 9728 §2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ForPeople(BTreeMap<String, String>);

impl ForPeople {
    /// Says it in that language (BCP 47); in none for readers of any.
    pub fn tell(&mut self, what: Told, language: Option<&str>, text: &str) {
        self.0.insert(name(what, language), text.to_owned());
    }

    /// What is said in that language; tags are the same in capitals.
    #[must_use]
    pub fn told(&self, what: Told, language: Option<&str>) -> Option<&str> {
        let name = name(what, language);
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)).map(|(_, text)| text.as_str())
    }
}

fn name(what: Told, language: Option<&str>) -> String {
    match language {
        Some(tag) => format!("{}#{tag}", what.member()),
        None => what.member().to_owned(),
    }
}

impl<'de> Deserialize<'de> for ForPeople {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = ForPeople;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<ForPeople, M::Error> {
                let mut read = ForPeople::default();
                while let Some(member) = members.next_key::<String>()? {
                    let base = member.split('#').next().unwrap_or_default();
                    if Told::ALL.iter().any(|told| told.member() == base) {
                        read.0.insert(member, members.next_value()?);
                    } else {
                        members.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(read)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Why a document is not the metadata of the resource that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceMetadataError {
    /// Not JSON, or not an object with distinct names.
    #[error("the metadata is not a JSON object with distinct member names")]
    NotJson,
    /// A member is missing or malformed.
    #[error("the metadata cannot be used: {0}")]
    Member(String),
    /// `resource` is another one (CL-DSC-02).
    #[error(
        "the metadata is not that of the resource that was asked for: `resource` must be exactly {expected}"
    )]
    OtherResource {
        /// The resource that was asked for.
        expected: ResourceId,
    },
    /// `signed_metadata` is not what a trusted key signed.
    #[error("`signed_metadata` cannot be used: {0}")]
    Signature(#[from] JwtError),
    /// `signed_metadata` says something that it must not, or not who says it (RFC 9728 §2.2).
    #[error("`signed_metadata` must have `iss` and must not hold itself")]
    Signed,
}

impl ResourceMetadata {
    /// Of that resource, with nothing else said.
    #[must_use]
    pub fn new(resource: ResourceId) -> Self {
        Self {
            resource,
            authorization_servers: Vec::new(),
            jwks_uri: None,
            scopes_supported: Vec::new(),
            bearer_methods_supported: None,
            resource_signing_alg_values_supported: Vec::new(),
            for_people: ForPeople::default(),
            tls_client_certificate_bound_access_tokens: None,
            authorization_details_types_supported: Vec::new(),
            dpop_signing_alg_values_supported: Vec::new(),
            dpop_bound_access_tokens_required: None,
            signed_metadata: None,
        }
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.members().to_string()
    }

    /// Reads the document that came from the well-known URL of `resource`, which must be its `resource` too, byte for
    /// byte (RFC 9728 §3.3). What stands in `signed_metadata` is kept and not looked at.
    ///
    /// # Errors
    /// [`ResourceMetadataError`]
    pub fn parse(json: &[u8], resource: &ResourceId) -> Result<Self, ResourceMetadataError> {
        let object = Object::parse(json).map_err(|_| ResourceMetadataError::NotJson)?;
        if object.string("resource").ok().flatten() != Some(resource.as_str()) {
            return Err(ResourceMetadataError::OtherResource { expected: resource.clone() });
        }
        serde_json::from_slice(json).map_err(|error| ResourceMetadataError::Member(error.to_string()))
    }

    /// Adds `signed_metadata`: everything else, as `iss` says it (RFC 9728 §2.2).
    ///
    /// # Errors
    /// [`SignError`] where the signer cannot sign.
    pub fn sign(mut self, iss: &str, signer: &impl Signer, kid: Option<&str>) -> Result<Self, SignError> {
        self.signed_metadata = None;
        let mut claims = self.members();
        claims["iss"] = iss.into();
        self.signed_metadata = Some(jws::sign(signer, "JWT", kid, claims.to_string().as_bytes())?);
        Ok(self)
    }

    /// What `signed_metadata` says, and who says it: values that win over those beside it. The keys are those of whom
    /// the caller trusts. `None` where there is none.
    ///
    /// # Errors
    /// [`ResourceMetadataError`]
    pub fn signed<'k>(
        &self,
        accepted: AlgorithmSet,
        keys: impl Iterator<Item = &'k PublicJwk>,
    ) -> Result<Option<(String, Self)>, ResourceMetadataError> {
        let Some(compact) = &self.signed_metadata else { return Ok(None) };
        let jwt = UnverifiedJwt::parse(compact)?.verify(accepted, keys)?;
        let claims = jwt.claims()?;
        let iss = claims.string("iss").ok().flatten().ok_or(ResourceMetadataError::Signed)?;
        if claims.has("signed_metadata") {
            return Err(ResourceMetadataError::Signed);
        }
        Ok(Some((iss.to_owned(), Self::parse(jwt.payload(), &self.resource)?)))
    }

    fn members(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::jose::algorithm::Algorithm;
    use keybound_dpop::jose::signer::SigningKey;

    fn resource() -> ResourceId {
        ResourceId::parse("https://api.example/v1").expect("a resource")
    }

    fn metadata() -> ResourceMetadata {
        let mut metadata = ResourceMetadata {
            authorization_servers: vec![Issuer::parse("https://id.example").expect("an issuer")],
            scopes_supported: vec!["read".to_owned()],
            bearer_methods_supported: Some(Vec::new()),
            dpop_signing_alg_values_supported: vec!["ES256".to_owned()],
            dpop_bound_access_tokens_required: Some(true),
            ..ResourceMetadata::new(resource())
        };
        metadata.for_people.tell(Told::Name, None, "Photos");
        metadata.for_people.tell(Told::Name, Some("de-AT"), "Fotos");
        metadata.for_people.tell(Told::Terms, None, "https://api.example/terms");
        metadata
    }

    #[test]
    fn what_is_written_is_read_back() {
        let json = metadata().to_json();
        let read = ResourceMetadata::parse(json.as_bytes(), &resource()).expect("metadata");
        assert_eq!(read, metadata());
        assert_eq!(read.for_people.told(Told::Name, Some("de-at")), Some("Fotos"));
        assert_eq!(read.for_people.told(Told::Policy, None), None);
        let odd = r##"{"resource":"https://api.example/v1","odd":{"a":[1]},"resource_name#":"x","#":1}"##;
        assert!(ResourceMetadata::parse(odd.as_bytes(), &resource()).is_ok());
    }

    #[test]
    fn rs_prm_04_only_the_bearer_methods_may_be_an_empty_list() {
        let json = metadata().to_json();
        assert!(json.contains("\"bearer_methods_supported\":[]") && !json.contains("null"), "{json}");
        assert_eq!(json.matches("[]").count(), 1, "{json}");
        let silent = ResourceMetadata::new(resource()).to_json();
        assert_eq!(silent, r#"{"resource":"https://api.example/v1"}"#);
    }

    #[test]
    fn rs_prm_02_cl_dsc_02_the_resource_must_be_the_one_that_was_asked_for() {
        for other in ["https://api.example", "https://api.example/v1/", "https://API.example/v1"] {
            let json = metadata().to_json().replace("\"https://api.example/v1\"", &format!("\"{other}\""));
            let expected = Err(ResourceMetadataError::OtherResource { expected: resource() });
            assert_eq!(ResourceMetadata::parse(json.as_bytes(), &resource()), expected, "{other}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let with = |more: &str| format!("{{\"resource\":\"https://api.example/v1\",{more}}}");
        for bad in ["", "[]", &with("\"resource\":\"https://api.example/v1\"")] {
            let read = ResourceMetadata::parse(bad.as_bytes(), &resource());
            assert_eq!(read, Err(ResourceMetadataError::NotJson), "{bad}");
        }
        for bad in [
            "\"authorization_servers\":[\"http://id.example\"]",
            "\"scopes_supported\":\"read\"",
            "\"dpop_bound_access_tokens_required\":\"true\"",
            "\"resource_name#de\":1",
        ] {
            let read = ResourceMetadata::parse(with(bad).as_bytes(), &resource());
            assert!(matches!(read, Err(ResourceMetadataError::Member(_))), "{bad}: {read:?}");
        }
    }

    #[test]
    fn rs_prm_06_signed_metadata_say_who_says_it_and_do_not_hold_themselves() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let keys = || std::iter::once(key.public_jwk());
        let signed = metadata().sign("https://api.example/v1", &key, Some("k1")).expect("signed");
        let again = signed.clone().sign("https://api.example/v1", &key, None).expect("signed");
        for document in [&signed, &again] {
            let read = ResourceMetadata::parse(document.to_json().as_bytes(), &resource()).expect("metadata");
            let told = read.signed(AlgorithmSet::default(), keys()).expect("verified");
            assert_eq!(told, Some(("https://api.example/v1".to_owned(), metadata())));
        }
        let other = SigningKey::generate(Algorithm::Es256).expect("a key");
        let told = signed.signed(AlgorithmSet::default(), std::iter::once(other.public_jwk()));
        assert_eq!(told, Err(ResourceMetadataError::Signature(JwtError::Signature)));
        for bad in [
            r#"{"resource":"https://api.example/v1"}"#,
            r#"{"iss":"i","resource":"https://api.example/v1","signed_metadata":"x"}"#,
        ] {
            let compact = jws::sign(&key, "JWT", None, bad.as_bytes()).expect("signed");
            let document = ResourceMetadata { signed_metadata: Some(compact), ..metadata() };
            let told = document.signed(AlgorithmSet::default(), keys());
            assert_eq!(told, Err(ResourceMetadataError::Signed), "{bad}");
        }
    }
}
