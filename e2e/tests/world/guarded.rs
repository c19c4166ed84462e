//! A guard that asks our provider about tokens, over a socket (RS-INT, RS-CHK-04).

use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::secret::Secret;
use keybound_dpop::target::Target;
use keybound_dpop::time::Clock;
use keybound_e2e::world::*;
use keybound_e2e::{Forge, World};
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::identifier::{ClientId, Endpoint, Issuer};
use keybound_resource::{
    Access, Guard, GuardConfig, Introspection, IntrospectionAuth, IntrospectionConfig, IntrospectionEndpoint,
    Introspector, Keys, Rejection, TokenProfile, TrustedIssuer,
};
use std::sync::Arc;

/// The guard of an API whose client at the provider has that identifier.
async fn guard(world: &World, api: &str, client_id: &str, signed: bool) -> Guard {
    let jwks = world.send(get(&format!("{ISSUER}/jwks"), &[])).await.json().to_string();
    let keys = Keys::fixed(KeySet::parse(jwks.as_bytes()).expect("keys"));
    let endpoint = Endpoint::parse(&format!("{}/introspect", world.on_a_socket().await)).expect("a URL");
    let (issuer, endpoint) =
        (Issuer::parse(ISSUER).expect("an issuer"), IntrospectionEndpoint::Url(endpoint));
    let client_id = ClientId::parse(client_id).expect("a client");
    let auth = IntrospectionAuth::SecretBasic(Secret::new(SECRET));
    let mut config = IntrospectionConfig::new(issuer, endpoint, client_id, auth);
    if signed {
        config = config.signed(keys.clone());
    }
    let fetcher = Fetcher::for_operator(&Settings::default()).expect("a client");
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let introspector = Introspector::new(config, fetcher, Arc::clone(&clock));
    let mut trusted = TrustedIssuer::new(ISSUER, keys, TokenProfile::Rfc9068);
    trusted.introspection = Introspection::Every(introspector);
    let mut config = GuardConfig::new(trusted, api, clock).expect("a configuration");
    config.nonce = None;
    let guard = Guard::new(config).expect("a guard");
    world.clock.pass(31);
    guard
}

async fn call(world: &World, guard: &Guard, api: &str, token: &str) -> Result<Access, Rejection> {
    let url = format!("{api}things");
    let proof = Forge::new(&world.key, "GET", &url, world.now()).token(token).sign(&world.key);
    let request = get(&url, &[("authorization", &format!("DPoP {token}")), ("dpop", &proof)]);
    guard.check(&request.into_parts().0, &Target::parse(&url).expect("a target")).await
}

#[tokio::test]
async fn rs_int_01_rs_int_02_rs_chk_04_our_own_tokens_are_asked_about_and_their_end_is_seen() {
    let world = World::new().await;
    for (api, client_id, signed) in
        [(OPAQUE_API, "opaque-api", false), (OPAQUE_API, "opaque-api", true), (API, "api", false)]
    {
        let guard = guard(&world, api, client_id, signed).await;
        let token = match api {
            OPAQUE_API => world.opaque_tokens().await.text("access_token"),
            _ => world.tokens().await.text("access_token"),
        };
        let access = call(&world, &guard, api, &token).await.expect("let in");
        assert_eq!((access.subject(), access.client_id()), ("subject-of-alice", Some("app")));
        assert_eq!(world.revoke(&token).await.status, 200);
        world.clock.pass(29);
        assert!(call(&world, &guard, api, &token).await.is_ok(), "{api}: believed for 30 s");
        world.clock.pass(1);
        let refused = call(&world, &guard, api, &token).await.expect_err("refused");
        assert_eq!((refused.status().as_u16(), refused.reason().row()), (401, "RS-INT-01"), "{api}");
    }
}

#[tokio::test]
async fn rs_chk_07_atk_105_a_refresh_token_is_no_access_token() {
    let world = World::new().await;
    let guard = guard(&world, OPAQUE_API, "opaque-api", false).await;
    let refresh = world.opaque_tokens().await.text("refresh_token");
    let refused = call(&world, &guard, OPAQUE_API, &refresh).await.expect_err("refused");
    assert_eq!((refused.status().as_u16(), refused.reason().row()), (401, "RS-INT-01"));
}

#[tokio::test]
async fn rs_int_01_a_guard_that_the_provider_does_not_know_is_503() {
    let world = World::new().await;
    let guard = guard(&world, OPAQUE_API, "nobody", false).await;
    let token = world.opaque_tokens().await.text("access_token");
    let refused = call(&world, &guard, OPAQUE_API, &token).await.expect_err("refused");
    assert_eq!((refused.status().as_u16(), refused.reason().row()), (503, "RS-GW-09"));
}
