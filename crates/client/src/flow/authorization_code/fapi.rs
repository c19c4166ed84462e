//! What FAPI 2.0 Security Profile §5.3.3 demands of a client, as far as it can be seen before a login begins.

use crate::client_auth::ClientAuth;
use crate::flow::authorization_code::ask::{LoginAsk, Parties};
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

/// Whether this client may use this server under the profile.
///
/// # Errors
/// [`NotFapi`] names the first thing that is missing.
pub fn check(parties: &Parties<'_>) -> Result<(), NotFapi> {
    match &parties.identity.auth {
        ClientAuth::None | ClientAuth::SecretBasic(_) | ClientAuth::SecretPost(_) => {
            return Err(NotFapi::ClientAuth);
        }
        ClientAuth::PrivateKeyJwt { signer, .. } if !ALGORITHMS.contains(&signer.algorithm()) => {
            return Err(NotFapi::Algorithm("authentication key"));
        }
        _ => {}
    }
    if !parties.server.supports_dpop() {
        return Err(NotFapi::Server("`dpop_signing_alg_values_supported`"));
    }
    Ok(())
}

/// Whether this login may begin under the profile.
///
/// # Errors
/// [`NotFapi`] names the first thing that is missing.
pub fn check_login(parties: &Parties<'_>, _ask: &LoginAsk) -> Result<(), NotFapi> {
    check(parties)?;
    let server = parties.server;
    if server.endpoints.pushed_authorization_request_endpoint.is_none() {
        return Err(NotFapi::Server("`pushed_authorization_request_endpoint`"));
    }
    if !server.supported.code_challenge_methods_supported.iter().any(|method| method == S256) {
        return Err(NotFapi::Server("`code_challenge_methods_supported` with S256"));
    }
    if server.flags.authorization_response_iss_parameter_supported != Some(true) {
        return Err(NotFapi::Server("`authorization_response_iss_parameter_supported` true"));
    }
    Ok(())
}
