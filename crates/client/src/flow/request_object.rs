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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::authorization_code::tests::World;
    use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
    use keybound_dpop::jose::signer::{Signer, SigningKey};
    use keybound_oauth::request_object::{check_times, parameters, parse};
    use keybound_oauth::scope::Scope;
    use serde_json::json;
    use std::sync::Arc;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn object(scope: &str) -> (World, Arc<SigningKey>, AuthorizationRequest) {
        let world = World::new(&json!({}));
        let signer = Arc::new(SigningKey::generate(Algorithm::Es256).expect("a key"));
        let key = RequestKey { signer: signer.clone(), kid: Some("k".to_owned()) };
        let request = AuthorizationRequest {
            client_id: Some(world.identity.client_id.clone()),
            response_type: Some("code".to_owned()),
            scope: Scope::parse(scope).ok(),
            state: Some("s".to_owned()),
            ..AuthorizationRequest::default()
        };
        let outer = signed(&world.parties(), &request, &key, NOW).expect("signed");
        (world, signer, outer)
    }

    #[test]
    fn a_request_object_is_for_the_issuer_and_of_the_client_and_short_lived() {
        let (world, signer, outer) = object("read");
        let jwt = parse(outer.request.as_deref().expect("an object")).expect("a request object");
        let header = jwt.header().expect("a header");
        assert_eq!(header.string("typ"), Ok(Some("oauth-authz-req+jwt")));
        assert_eq!((header.string("alg"), header.string("kid")), (Ok(Some("ES256")), Ok(Some("k"))));
        let jwt = jwt.verify(AlgorithmSet::default(), [signer.public_jwk()].into_iter()).expect("verified");
        let form = parameters(&jwt, &world.identity.client_id, &world.server.issuer).expect("parameters");
        assert_eq!(form.get("state"), Some("s"));
        assert_eq!(check_times(&jwt, NOW, true), Ok(()));
        assert!(check_times(&jwt, NOW.plus_secs(300), true).is_err());
        let claims = jwt.claims().expect("claims");
        assert_eq!(claims.string("aud"), Ok(Some("https://id.example")));
        assert!(claims.string("jti").expect("a string").is_some_and(|jti| jti.len() >= 22));
    }

    #[test]
    fn beside_a_request_object_stands_what_openid_connect_needs_and_no_more() {
        let (_, _, outer) = object("read");
        assert_eq!((outer.client_id.is_some(), outer.response_type, outer.scope), (true, None, None));
        let (_, _, outer) = object("openid read");
        assert_eq!(outer.response_type.as_deref(), Some("code"));
        assert!(outer.scope.is_some() && outer.state.is_none() && outer.redirect_uri.is_none());
    }
}
