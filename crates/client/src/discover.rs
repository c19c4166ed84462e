//! What an issuer says of itself (RFC 8414 §3, OpenID Connect Discovery §4), and the algorithm that follows from it.

use crate::client_auth::{ClientAuth, Identity};
use crate::outgoing::OutgoingError;
use bytes::Bytes;
use http::{Response, StatusCode};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_oauth::identifier::{Endpoint, Issuer};
use keybound_oauth::provider_metadata::{Endpoints, ProviderMetadata, ProviderMetadataError};
use url::Url;

/// The algorithms in the order in which we like them for proofs: small keys and quick signatures first.
const PREFERENCE: [Algorithm; 11] = [
    Algorithm::Es256,
    Algorithm::EdDsa,
    Algorithm::Ed25519,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
];

/// The metadata cannot be had, or cannot be relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoverError {
    /// Neither well-known URL has it.
    #[error(
        "{issuer} publishes no metadata (the last answer was {status}); is that the issuer's exact name?"
    )]
    None {
        /// The issuer that was asked.
        issuer: Issuer,
        /// The status of the last answer.
        status: StatusCode,
    },
    /// The document is not the issuer's, or not metadata.
    #[error("{0}; check the issuer's exact name, and tell the server's operator if that is right")]
    Metadata(#[from] ProviderMetadataError),
}

/// No algorithm for proofs that both sides know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlgorithmError {
    /// The server does not say that it knows DPoP.
    #[error(
        "the authorization server does not say that it supports DPoP (no `dpop_signing_alg_values_supported`); name \
         an algorithm to try it all the same"
    )]
    Unsupported,
    /// The server's list and ours have nothing in common.
    #[error(
        "the authorization server takes proofs under {theirs} only; this client has {ours}: take a key of another kind"
    )]
    NoneInCommon {
        /// The server's list.
        theirs: String,
        /// What we have, or were told to use.
        ours: String,
    },
}

/// Where the metadata can be, in the order in which it is asked for.
#[must_use]
pub fn metadata_urls(issuer: &Issuer) -> [Url; 2] {
    [issuer.openid_metadata_url(), issuer.oauth_metadata_url()]
}

/// What an answer from one of these URLs means. `None`: there is no document, ask at the next one. Some servers answer
/// any URL with a page of theirs.
///
/// # Errors
/// [`ProviderMetadataError`] where there is a document, and it is not that of the issuer, byte for byte.
pub fn judge(
    issuer: &Issuer,
    response: &Response<Bytes>,
) -> Result<Option<ProviderMetadata>, ProviderMetadataError> {
    match response.status() {
        StatusCode::OK => match ProviderMetadata::parse(response.body(), issuer) {
            Err(ProviderMetadataError::NotJson) => Ok(None),
            judged => judged.map(Some),
        },
        _ => Ok(None),
    }
}

/// Where a client meets an endpoint. One that shows a certificate meets it at the alias for that, where the server names
/// one (RFC 8705 §5); `name` is the member of the metadata.
///
/// # Errors
/// [`OutgoingError::NoEndpoint`]
pub fn endpoint<'s>(
    server: &'s ProviderMetadata,
    identity: &Identity,
    name: &'static str,
    of: impl Fn(&Endpoints) -> Option<&Endpoint>,
) -> Result<&'s Endpoint, OutgoingError> {
    let aliases = match identity.auth {
        ClientAuth::TlsCertificate => server.mtls_endpoint_aliases.as_ref(),
        _ => None,
    };
    let found = aliases.and_then(&of).or_else(|| of(&server.endpoints));
    found.ok_or(OutgoingError::NoEndpoint(name))
}

/// The algorithm for a new proof key: the configured one, else the one we like best of those that the server lists.
///
/// # Errors
/// [`AlgorithmError`] before any request is made.
pub fn choose_algorithm(
    server: &ProviderMetadata,
    configured: Option<Algorithm>,
) -> Result<Algorithm, AlgorithmError> {
    let listed = &server.supported.dpop_signing_alg_values_supported;
    let lists = |algorithm: &Algorithm| listed.iter().any(|name| name == algorithm.name());
    let theirs = || keybound_oauth::error::shown(&listed.join(" "));
    match configured {
        Some(algorithm) if listed.is_empty() || lists(&algorithm) => Ok(algorithm),
        Some(algorithm) => {
            Err(AlgorithmError::NoneInCommon { theirs: theirs(), ours: algorithm.name().to_owned() })
        }
        None if listed.is_empty() => Err(AlgorithmError::Unsupported),
        None => PREFERENCE.into_iter().find(lists).ok_or_else(|| AlgorithmError::NoneInCommon {
            theirs: theirs(),
            ours: PREFERENCE.map(Algorithm::name).join(" "),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> Issuer {
        Issuer::parse("https://id.example/t").expect("an issuer")
    }

    fn document(algs: &[&str]) -> Response<Bytes> {
        let json = serde_json::json!({
            "issuer": "https://id.example/t",
            "token_endpoint": "https://id.example/t/token",
            "dpop_signing_alg_values_supported": algs,
        });
        Response::new(Bytes::from(json.to_string()))
    }

    fn choose(algs: &[&str], configured: Option<Algorithm>) -> Result<Algorithm, AlgorithmError> {
        let server = judge(&issuer(), &document(algs)).expect("metadata").expect("a document");
        choose_algorithm(&server, configured)
    }

    #[test]
    fn cl_dsc_01_the_issuer_must_be_the_one_asked() {
        assert!(matches!(judge(&issuer(), &document(&[])), Ok(Some(_))));
        for other in ["https://id.example/t/", "https://id.example", "https://ID.example/t"] {
            let other = Issuer::parse(other).expect("an issuer");
            let refused = judge(&other, &document(&[])).expect_err("refused");
            assert!(matches!(refused, ProviderMetadataError::OtherIssuer { .. }));
        }
        assert_eq!(judge(&issuer(), &Response::new(Bytes::from("<html>"))), Ok(None));
        let insecure = r#"{"issuer":"https://id.example/t","token_endpoint":"http://id.example/token"}"#;
        assert!(judge(&issuer(), &Response::new(Bytes::from(insecure))).is_err());
        let urls = metadata_urls(&issuer()).map(String::from);
        assert_eq!(urls[0], "https://id.example/t/.well-known/openid-configuration");
        assert_eq!(urls[1], "https://id.example/.well-known/oauth-authorization-server/t");
    }

    #[test]
    fn cl_key_01_the_algorithm_comes_from_the_servers_list() {
        assert_eq!(choose(&["RS256", "EdDSA", "ES256"], None), Ok(Algorithm::Es256));
        assert_eq!(choose(&["PS256", "Ed25519"], None), Ok(Algorithm::Ed25519));
        assert_eq!(choose(&["PS256"], None), Ok(Algorithm::Ps256));
        let refused = choose(&["ML-DSA-44", "HS256"], None).expect_err("nothing in common");
        assert!(refused.to_string().contains("ML-DSA-44 HS256") && refused.to_string().contains("ES256"));
        assert!(choose(&["PS256"], Some(Algorithm::Es256)).is_err());
    }

    #[test]
    fn cl_dsc_05_without_a_list_dpop_is_unsupported_unless_configured() {
        assert_eq!(choose(&[], None), Err(AlgorithmError::Unsupported));
        assert_eq!(choose(&[], Some(Algorithm::EdDsa)), Ok(Algorithm::EdDsa));
    }
}
