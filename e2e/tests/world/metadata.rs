//! AS-MD: what the provider says of itself is what it does, and AS-MTL, which it does not offer.

use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_e2e::answer::assert_e_as;
use keybound_e2e::forge::jkt;
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge, Settings, World};
use serde_json::{Value, json};

const PLACES: [&str; 2] = ["oauth-authorization-server", "openid-configuration"];

async fn metadata(world: &World) -> Value {
    world.send(get(&format!("{ISSUER}/.well-known/openid-configuration"), &[])).await.json()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text")).collect()
}

#[tokio::test]
async fn as_md_01_the_listed_algorithms_of_proofs_are_the_enforced_ones() {
    let all = Algorithm::ALL.map(Algorithm::name);
    let keys: Vec<(Algorithm, SigningKey)> = Algorithm::ALL
        .into_iter()
        .map(|algorithm| (algorithm, SigningKey::generate(algorithm).expect("a key")))
        .collect();
    for listed in [&["ES256", "PS256", "EdDSA", "Ed25519"][..], &["ES384", "RS256"], &all] {
        let config = format!("[nonce]\nmode = \"off\"\n[proof]\nalgorithms = {listed:?}\n");
        let world = World::with(Settings { config }).await;
        let metadata = metadata(&world).await;
        let told = texts(&metadata["dpop_signing_alg_values_supported"]);
        assert_eq!(told.len(), listed.len(), "{told:?}");
        for (algorithm, key) in &keys {
            let proof = Forge::new(key, "POST", TOKEN, world.now()).head("alg", algorithm.name()).sign(key);
            let answer = world.client_credentials(Some(&proof)).await;
            match told.contains(&algorithm.name()) {
                true => assert_eq!(answer.status, 200, "{algorithm}: {answer:?}"),
                false => assert_e_as(&answer),
            }
        }
    }
}

#[tokio::test]
async fn as_md_07_what_is_switched_is_listed() {
    let (standard, fapi) = (World::new().await, World::fapi2("").await);
    let (standard, fapi) = (metadata(&standard).await, metadata(&fapi).await);
    for endpoint in ["token", "revocation", "introspection"] {
        let (methods, algorithms) = (
            format!("{endpoint}_endpoint_auth_methods_supported"),
            format!("{endpoint}_endpoint_auth_signing_alg_values_supported"),
        );
        assert!(texts(&standard[&methods]).contains(&"client_secret_basic"), "{methods}");
        assert!(texts(&standard[&algorithms]).contains(&"RS256"), "{algorithms}");
        assert!(!texts(&fapi[&methods]).iter().any(|name| name.starts_with("client_secret")), "{methods}");
        assert_eq!(texts(&fapi[&algorithms]), ["ES256", "PS256", "EdDSA", "Ed25519"]);
        assert!(!texts(&standard[&algorithms]).contains(&"none"));
    }
    for document in [&standard, &fapi] {
        assert_eq!(texts(&document["response_types_supported"]), ["code"]);
        assert!(texts(&document["response_modes_supported"]).contains(&"query"));
        for grant in ["authorization_code", "refresh_token", "client_credentials"] {
            assert!(texts(&document["grant_types_supported"]).contains(&grant), "{grant}");
        }
    }
}

#[tokio::test]
async fn as_md_08_what_is_listed_is_there_and_what_is_not_offered_is_not_listed() {
    let world = World::new().await;
    let metadata = metadata(&world).await;
    let mut listed = 0;
    for (name, value) in metadata.as_object().expect("an object") {
        if name.ends_with("_endpoint") || name == "jwks_uri" {
            let answer = world.send(get(value.as_str().expect("a URL"), &[])).await;
            assert_ne!(answer.status, 404, "{name}");
            listed += 1;
        }
    }
    assert!(listed >= 6, "{metadata}");
    assert_eq!(texts(&metadata["protected_resources"])[0], API);
    for absent in ["backchannel_authentication_endpoint", "check_session_iframe", "mtls_endpoint_aliases"] {
        assert!(metadata.get(absent).is_none(), "{absent}");
    }
}

#[tokio::test]
async fn as_md_10_metadata_may_be_kept_for_a_while_and_read_by_any_page() {
    let world = World::new().await;
    for place in PLACES {
        let url = format!("{ISSUER}/.well-known/{place}");
        let answer = world.send(get(&url, &[("origin", "https://spa.example")])).await;
        let kept = answer.header("cache-control").join("");
        let secs = kept.split("max-age=").nth(1).and_then(|secs| secs.parse::<u64>().ok()).expect("max-age");
        assert!((1..=3600).contains(&secs), "{kept}");
        assert_eq!(answer.header("access-control-allow-origin"), ["*"]);
    }
}

#[tokio::test]
async fn as_tok_15_a_proof_where_none_is_asked_for_changes_nothing() {
    let world = World::new().await;
    let proofs = [world.proof().sign(&world.key), "broken".to_owned()];
    for path in ["/jwks", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let url = format!("{ISSUER}{path}");
        let without = world.send(get(&url, &[])).await;
        for proof in &proofs {
            let with = world.send(get(&url, &[("dpop", proof)])).await;
            assert_eq!((with.status, &with.body), (without.status, &without.body), "{path}");
        }
    }
    let page = async |headers: &[(&str, &str)]| -> Answer {
        let query = authorization_form().pair("client_id", "app").finish();
        world.send(get(&format!("{AUTHORIZE}?{query}"), headers)).await
    };
    assert_eq!(page(&[("dpop", "broken")]).await.status, page(&[]).await.status);
}

#[tokio::test]
async fn as_mtl_01_as_mtl_02_as_mtl_03_certificates_bind_nothing_and_are_not_offered() {
    let world = World::new().await;
    let text = metadata(&world).await.to_string();
    for name in ["mtls_endpoint_aliases", "tls_client_auth", "tls_client_certificate_bound_access_tokens"] {
        assert!(!text.contains(name), "{name}");
    }
    let proof = world.proof().sign(&world.key);
    let headers = [
        ("authorization", basic("service", SECRET)),
        ("client-cert", ":MIIB:".to_owned()),
        ("x-forwarded-client-cert", "Hash=00".to_owned()),
        ("dpop", proof),
    ];
    let answer = world.post(client_credentials_form(), &borrow(&headers)).await;
    assert_eq!(answer.claims("access_token")["cnf"], json!({ "jkt": jkt(&world.key) }), "the key alone");
}
