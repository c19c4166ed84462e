//! What FAPI 2.0 Security Profile §5.3.3 demands of a client, as far as it can be seen before a login begins.

use crate::client_auth::ClientAuth;
use crate::flow::authorization_code::ask::Parties;
use crate::prover::Prover;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_oauth::pkce::S256;

/// The profile does not allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotFapi {
    /// The client authenticates with a secret, or not at all.
    #[error("FAPI 2.0 clients authenticate with private_key_jwt or a certificate")]
    ClientAuth,
    /// A key signs under an algorithm that the profile does not have.
    #[error("FAPI 2.0 allows ES256, PS256 and EdDSA only; use another {0}")]
    Algorithm(&'static str),
    /// The server does not say that it does what the profile demands.
    #[error("FAPI 2.0 cannot be done here: the authorization server's metadata must have {0}")]
    Server(&'static str),
}

/// The algorithms of the profile (§5.4.1).
pub const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Ed25519];

/// Whether this client may use this server under the profile, with proofs by that key.
///
/// # Errors
/// [`NotFapi`] names the first thing that is missing.
pub fn check(parties: &Parties<'_>, prover: &Prover) -> Result<(), NotFapi> {
    let is_fit = |algorithm| ALGORITHMS.contains(&algorithm);
    match &parties.identity.auth {
        ClientAuth::None | ClientAuth::SecretBasic(_) | ClientAuth::SecretPost(_) => {
            return Err(NotFapi::ClientAuth);
        }
        ClientAuth::PrivateKeyJwt { signer, .. } if !is_fit(signer.algorithm()) => {
            return Err(NotFapi::Algorithm("authentication key"));
        }
        _ => {}
    }
    if !is_fit(prover.algorithm()) {
        return Err(NotFapi::Algorithm("key for proofs"));
    }
    if parties.rules.request_key.as_ref().is_some_and(|key| !is_fit(key.signer.algorithm())) {
        return Err(NotFapi::Algorithm("key for signed requests"));
    }
    if !parties.server.supports_dpop() {
        return Err(NotFapi::Server("`dpop_signing_alg_values_supported`"));
    }
    Ok(())
}

/// Whether a login may begin under the profile.
///
/// # Errors
/// [`NotFapi`] names the first thing that is missing.
pub fn check_login(parties: &Parties<'_>, prover: &Prover) -> Result<(), NotFapi> {
    check(parties, prover)?;
    let server = parties.server;
    if server.endpoints.pushed_authorization_request_endpoint.is_none() {
        return Err(NotFapi::Server("`pushed_authorization_request_endpoint`"));
    }
    if !server.supported.code_challenge_methods_supported.iter().any(|method| method == S256) {
        return Err(NotFapi::Server("S256 among `code_challenge_methods_supported`"));
    }
    if server.flags.authorization_response_iss_parameter_supported != Some(true) {
        return Err(NotFapi::Server("`authorization_response_iss_parameter_supported`: true"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::authorization_code::tests::{World, ask};
    use crate::flow::authorization_code::{Begun, LoginImpossible, Profile, RequestKey, When};
    use keybound_dpop::jose::algorithm::AlgorithmSet;
    use keybound_dpop::jose::signer::SigningKey;
    use keybound_dpop::secret::Secret;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn metadata() -> Value {
        json!({
            "pushed_authorization_request_endpoint": "https://id.example/par",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn world(metadata: &Value) -> World {
        let mut world = World::new(metadata);
        let signer = Arc::new(SigningKey::generate(Algorithm::Es256).expect("a key"));
        world.identity.auth = ClientAuth::PrivateKeyJwt { signer, kid: None };
        world.rules.profile = Profile::Fapi2;
        world
    }

    #[test]
    fn fapi_cl_01_clients_show_a_key_or_a_certificate() {
        let mut world = world(&metadata());
        assert_eq!(check(&world.parties(), &world.prover), Ok(()));
        let secret = Secret::new("s");
        for auth in
            [ClientAuth::None, ClientAuth::SecretBasic(secret.clone()), ClientAuth::SecretPost(secret)]
        {
            world.identity.auth = auth;
            assert_eq!(check(&world.parties(), &world.prover), Err(NotFapi::ClientAuth));
        }
    }

    #[test]
    fn fapi_cl_01_keys_sign_as_the_profile_says() {
        let mut world = world(&metadata());
        let signer = Arc::new(SigningKey::generate(Algorithm::Es384).expect("a key"));
        world.rules.request_key = Some(RequestKey { signer: signer.clone(), kid: None });
        let refused = |name| Err(NotFapi::Algorithm(name));
        assert_eq!(check(&world.parties(), &world.prover), refused("key for signed requests"));
        let prover = world.prover.under(signer.clone());
        assert_eq!(check(&world.parties(), &prover), refused("key for proofs"));
        world.identity.auth = ClientAuth::PrivateKeyJwt { signer, kid: None };
        assert_eq!(check(&world.parties(), &world.prover), refused("authentication key"));
    }

    #[test]
    fn fapi_cl_07_no_login_where_the_metadata_does_not_promise_what_is_needed() {
        assert!(matches!(world(&metadata()).begin(ask()), Ok(Begun::ToPush(_))));
        for (name, lacking, expected) in [
            ("pushed_authorization_request_endpoint", Value::Null, "`pushed_authorization_request_endpoint`"),
            (
                "code_challenge_methods_supported",
                json!(["plain"]),
                "S256 among `code_challenge_methods_supported`",
            ),
            (
                "authorization_response_iss_parameter_supported",
                json!(false),
                "`authorization_response_iss_parameter_supported`: true",
            ),
            ("dpop_signing_alg_values_supported", json!([]), "`dpop_signing_alg_values_supported`"),
        ] {
            let mut metadata = metadata();
            metadata[name] = lacking;
            let refused = world(&metadata).begin(ask()).expect_err(name);
            assert_eq!(refused, LoginImpossible::Fapi(NotFapi::Server(expected)));
        }
        let mut unpushed = ask();
        unpushed.pushed = When::Never;
        assert_eq!(world(&metadata()).begin(unpushed).expect_err("refused"), LoginImpossible::MustPush);
    }

    #[test]
    fn fapi_cl_01_id_tokens_are_signed_as_the_profile_says() {
        let mut metadata = metadata();
        metadata["id_token_signing_alg_values_supported"] = json!(["RS256", "ES512", "PS256"]);
        let mut world = world(&metadata);
        assert_eq!(world.parties().id_token_algorithms(), AlgorithmSet::of(&[Algorithm::Ps256]));
        world.rules.profile = Profile::Open;
        let open = AlgorithmSet::of(&[Algorithm::Rs256, Algorithm::Es512, Algorithm::Ps256]);
        assert_eq!(world.parties().id_token_algorithms(), open);
        world.rules.id_token_algorithm = Some(Algorithm::Es256);
        assert_eq!(world.parties().id_token_algorithms(), AlgorithmSet::of(&[Algorithm::Es256]));
    }
}
