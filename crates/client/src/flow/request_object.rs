//! Signed requests (RFC 9101): what would go to the server as parameters goes as a JWT under the client's key.

use crate::flow::authorization_code::ask::{Parties, RequestKey};
use crate::prover::ProveError;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto;
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization::AuthorizationRequest;
use keybound_oauth::request_object::{About, sign};

/// For how long a request object is good.
const LIFE_SECS: u64 = 300;

/// The request as a JWT: for the issuer alone, good for five minutes, with a `jti` of its own. What is returned holds
/// the JWT and what must stand beside it in a URL: `client_id`, and for OpenID Connect (Core §6.1) `response_type` and
/// `scope`.
///
/// # Errors
/// [`ProveError`] where it cannot be signed.
pub fn signed(
    parties: &Parties<'_>,
    request: &AuthorizationRequest,
    key: &RequestKey,
    now: UnixTime,
) -> Result<AuthorizationRequest, ProveError> {
    let jti = base64url::encode(&crypto::random::<16>()?);
    let client_id = &parties.identity.client_id;
    let about = About {
        client_id,
        issuer: &parties.server.issuer,
        jti: Some(&jti),
        nbf: now,
        exp: now.plus_secs(LIFE_SECS),
    };
    let object = sign(request, &about, (&key.signer, key.kid.as_deref()))?;
    let is_openid = request.scope.as_ref().is_some_and(|scope| scope.contains("openid"));
    Ok(AuthorizationRequest {
        client_id: Some(client_id.clone()),
        response_type: request.response_type.clone().filter(|_| is_openid),
        scope: request.scope.clone().filter(|_| is_openid),
        request: Some(object.reveal().to_owned()),
        ..AuthorizationRequest::default()
    })
}
