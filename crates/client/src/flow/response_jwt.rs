//! Signed authorization responses (JARM), as a client reads them: nothing in one is used before its signature, issuer,
//! audience and time are good (§2.4).

use crate::id_token::SKEW_SECS;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::{JwtError, UnverifiedJwt};
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization::AuthorizationResponse;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::jarm::{Expected, JarmError, verify};
use keybound_oauth::provider_metadata::ProviderMetadata;

/// What a signed response is held against, besides the login that it answers.
#[derive(Clone, Copy, Debug)]
pub struct SignedBy<'a> {
    /// The issuer's keys.
    pub keys: &'a KeySet,
    /// The algorithms that are taken ([`accepted`]).
    pub algorithms: AlgorithmSet,
    /// The time.
    pub now: UnixTime,
}

/// The algorithms that a response may be signed with: the registered one, else those that the server lists, else any
/// asymmetric one. `none` is not one.
#[must_use]
pub fn accepted(server: &ProviderMetadata, registered: Option<Algorithm>) -> AlgorithmSet {
    crate::id_token::listed(&server.supported.authorization_signing_alg_values_supported, registered)
}

/// The `kid` of a response, to get the issuer's keys by.
///
/// # Errors
/// [`JarmError`] where it is no JWT.
pub fn kid(response: &Secret) -> Result<Option<String>, JarmError> {
    Ok(UnverifiedJwt::parse(response.reveal())?.kid()?.map(|kid| kid.to_string()))
}

/// Reads a response.
///
/// # Errors
/// [`JarmError`]
pub fn read(
    response: &Secret,
    issuer: &Issuer,
    client_id: &ClientId,
    signed_by: &SignedBy<'_>,
) -> Result<AuthorizationResponse, JarmError> {
    let jwt = UnverifiedJwt::parse(response.reveal())?;
    let named = jwt.header()?.string("alg").ok().flatten().and_then(Algorithm::parse);
    let algorithm = named.filter(|named| signed_by.algorithms.contains(*named)).ok_or(JwtError::Algorithm)?;
    let (keys, now) = (signed_by.keys, signed_by.now);
    verify(response, &Expected { issuer, client_id, algorithm, keys, now, skew_secs: SKEW_SECS })
}
