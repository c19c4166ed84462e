//! FAPI-CRY: keys, algorithms, entropy.

use super::{ask, assert_error, asserted, assertion_claims, by, code, metadata, push, tokens};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_e2e::answer::assert_e_as;
use keybound_e2e::forge::new_key;
use keybound_e2e::world::*;
use keybound_e2e::{Forge, World};
use keybound_oauth::client_auth::ASSERTION_TYPE;
use serde_json::{Value, json};
use std::collections::HashSet;

fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).expect("a key")
}

fn jwk(key: &SigningKey) -> Value {
    serde_json::from_str(&key.public_jwk().to_json()).expect("JSON")
}

/// Adds a client for itself with these public keys.
async fn add(world: &World, client_id: &str, keys: Vec<Value>) {
    let metadata = json!({ "client_id": client_id, "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": keys } });
    keybound_provider::registry::add_client(&world.store, metadata, world.now()).await.expect("a client");
}

#[tokio::test]
async fn fapi_cry_01_dpop_alg_07_as_md_01_proofs_by_the_listed_algorithms_and_no_other() {
    let world = World::fapi2("").await;
    let listed = metadata(&world).await["dpop_signing_alg_values_supported"].clone();
    assert_eq!(listed, json!(["ES256", "PS256", "EdDSA", "Ed25519"]));
    let rsa = key(Algorithm::Ps256);
    for (key, name, taken) in [
        (&new_key(), "ES256", true),
        (&rsa, "PS256", true),
        (&key(Algorithm::EdDsa), "EdDSA", true),
        (&key(Algorithm::Ed25519), "Ed25519", true),
        (&key(Algorithm::Rs256), "RS256", false),
        (&key(Algorithm::Es384), "ES384", false),
    ] {
        let proof = Forge::new(key, "POST", TOKEN, world.now()).head("alg", name).sign(key);
        let answer = world.post(by(&world, "signed", client_credentials_form()), &[("dpop", &proof)]).await;
        match taken {
            true => assert_eq!(answer.status, 200, "{name}: {answer:?}"),
            false => assert_e_as(&answer),
        }
    }
}

#[tokio::test]
async fn fapi_cry_01_assertions_by_rs256_or_none_are_refused_and_nothing_lists_them() {
    let world = World::fapi2("").await;
    let rsa = key(Algorithm::Rs256);
    add(&world, "rsa", vec![jwk(&rsa)]).await;
    let show = |assertion: String| {
        let form = client_credentials_form()
            .pair("client_assertion_type", ASSERTION_TYPE)
            .pair("client_assertion", &assertion);
        let (world, proof) = (&world, world.proof().sign(&world.key));
        async move { world.post(form, &[("dpop", &proof)]).await }
    };
    let claims = || assertion_claims(&world, "rsa").to_string();
    let rs256 = jws::sign(&rsa, "JWT", None, claims().as_bytes()).expect("signed");
    assert_error(&show(rs256).await, 401, "invalid_client");
    let unsigned = jws::sign(&rsa, "JWT", None, claims().as_bytes()).expect("signed");
    let payload = unsigned.split('.').nth(1).expect("a payload");
    let none = keybound_dpop::jose::base64url::encode(br#"{"alg":"none","typ":"JWT"}"#);
    assert_error(&show(format!("{none}.{payload}.")).await, 401, "invalid_client");
    let metadata = metadata(&world).await;
    for (member, value) in metadata.as_object().expect("an object") {
        if member.ends_with("alg_values_supported") {
            let text = value.to_string();
            assert!(!text.contains("RS256") && !text.contains("none"), "{member}: {text}");
        }
    }
    assert_eq!(tokens(&world).await.jose_header("id_token")["alg"], "ES256");
}

#[tokio::test]
async fn fapi_cry_03_credentials_are_beyond_guessing() {
    let world = World::fapi2("").await;
    let (mut seen, mut shortest) = (HashSet::new(), usize::MAX);
    for _ in 0..5 {
        let pushed = push(&world, by(&world, "signed", authorization_form())).await.text("request_uri");
        let code = code(&world).await;
        let answer = ask(&world, "signed", code_form(&code)).await;
        let jti = answer.claims("access_token")["jti"].as_str().expect("jti").to_owned();
        for secret in [pushed, code.reveal().to_owned(), answer.text("refresh_token"), jti] {
            let random = secret.rsplit(['.', ':']).next().expect("a last part").to_owned();
            shortest = shortest.min(random.len());
            assert!(seen.insert(random), "nothing comes twice");
        }
    }
    // base64url: six bits a character.
    assert!(shortest * 6 >= 128, "{shortest} characters");
}

#[tokio::test]
async fn fapi_cry_04_no_kid_twice_and_no_header_that_leads_elsewhere() {
    let world = World::fapi2("").await;
    let answer = tokens(&world).await;
    for token in ["access_token", "id_token"] {
        let header = answer.jose_header(token);
        for member in ["x5u", "jku", "jwk", "x5c"] {
            assert!(header.get(member).is_none(), "{token} {member}");
        }
        assert!(header["kid"].is_string());
    }
    let keys = world.send(get(&format!("{ISSUER}/jwks"), &[])).await.json();
    let kids: Vec<&Value> = keys["keys"].as_array().expect("keys").iter().map(|key| &key["kid"]).collect();
    let distinct: HashSet<String> = kids.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), kids.len(), "{kids:?}");
    assert!(metadata(&world).await["jwks_uri"].as_str().is_some_and(|uri| uri.starts_with("https://")));
}

#[tokio::test]
async fn fapi_cry_05_keys_of_one_kid_are_told_apart_by_kind_use_algorithm_and_curve() {
    let world = World::fapi2("").await;
    let (ec, rsa, ed) = (new_key(), key(Algorithm::Ps256), key(Algorithm::EdDsa));
    let named = |key: &SigningKey, more: Value| {
        let mut jwk = jwk(key);
        jwk["kid"] = json!("one");
        jwk.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        jwk
    };
    let keys = vec![
        named(&new_key(), json!({ "use": "enc" })),
        named(&rsa, json!({ "alg": "PS256" })),
        named(&key(Algorithm::Es384), json!({})),
        named(&ec, json!({ "use": "sig" })),
        named(&ed, json!({})),
    ];
    add(&world, "many", keys).await;
    for key in [&ec, &rsa, &ed] {
        let claims = assertion_claims(&world, "many").to_string();
        let assertion = jws::sign(key, "JWT", Some("one"), claims.as_bytes()).expect("signed");
        let form = client_credentials_form()
            .pair("client_assertion_type", ASSERTION_TYPE)
            .pair("client_assertion", &assertion);
        let answer = world.post(form, &[("dpop", &world.proof().sign(&world.key))]).await;
        assert_eq!(answer.status, 200, "{:?}: {answer:?}", key.algorithm());
    }
    let stranger = new_key();
    let form = asserted(client_credentials_form(), &stranger, &assertion_claims(&world, "many"));
    let answer = world.post(form, &[("dpop", &world.proof().sign(&world.key))]).await;
    assert_error(&answer, 401, "invalid_client");
}
