//! DPOP-SIG-04: proofs by one RSA key, for the World's own time, made once with another library: ours signs with no
//! salt but the right one. The private keys were not kept.

use super::api::Api;
use keybound_dpop::jose::json::Object;
use keybound_dpop::jose::jwk::PublicJwk;
use keybound_e2e::World;
use keybound_e2e::answer::assert_e_as;

const TOKEN: &str = include_str!("weak_salt/token.jwt");
const ISSUER_KEY: &str = include_str!("weak_salt/issuer_key.json");

#[tokio::test]
async fn dpop_sig_04_the_salt_is_as_long_as_the_digest() {
    let world = World::new().await;
    for weak in [
        include_str!("weak_salt/token_endpoint_salt_0.jwt"),
        include_str!("weak_salt/token_endpoint_salt_31.jwt"),
    ] {
        let answer = world.client_credentials(Some(weak.trim())).await;
        assert_e_as(&answer);
        assert!(answer.text("error_description").starts_with("DPOP-SIG-01"), "{answer:?}");
    }
    let right = include_str!("weak_salt/token_endpoint_salt_32.jwt");
    assert_eq!(
        world.client_credentials(Some(right.trim())).await.status,
        200,
        "the same key, the right salt"
    );

    let issuer_key = PublicJwk::parse(&Object::parse(ISSUER_KEY.as_bytes()).expect("JSON")).expect("a key");
    let api = Api::of_issuer("https://api.example", None, issuer_key);
    for weak in [include_str!("weak_salt/api_salt_0.jwt"), include_str!("weak_salt/api_salt_31.jwt")] {
        api.refuses("DPOP-SIG-01", api.request("GET", "/r", TOKEN.trim(), weak.trim())).await;
    }
    let right = include_str!("weak_salt/api_salt_32.jwt");
    assert_eq!(api.call(api.request("GET", "/r", TOKEN.trim(), right.trim())).await.status, 200);
}
