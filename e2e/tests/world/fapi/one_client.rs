//! A client that says `profile = fapi2` at a provider of the standard profile.

use super::{ask, assert_error, asserted, assertion_claims, authorize, by, metadata, push};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_e2e::answer::assert_e_as;
use keybound_e2e::world::*;
use keybound_e2e::{Forge, Settings, World};
use keybound_oauth::form::{Form, FormWriter};
use keybound_provider::registry::add_client;
use serde_json::{Value, json};

/// A standard World that takes RS256, with the client `bank`.
async fn world() -> World {
    let config = "[nonce]\nmode = \"off\"\n[proof]\nalgorithms = [\"ES256\", \"RS256\"]\n";
    let world = World::with(Settings { config: config.to_owned() }).await;
    add_client(&world.store, bank(&world), world.now()).await.expect("a client");
    world
}

fn bank(world: &World) -> Value {
    let jwk: Value = serde_json::from_str(&world.client_key.public_jwk().to_json()).expect("JSON");
    json!({ "client_id": "bank", "profile": "fapi2", "jwks": { "keys": [jwk] }, "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "client_credentials"],
            "token_endpoint_auth_method": "private_key_jwt" })
}

#[tokio::test]
async fn fapi_az_02_its_requests_are_pushed_and_those_of_others_need_not_be() {
    let world = world().await;
    let plain =
        |client_id| format!("{AUTHORIZE}?{}", authorization_form().pair("client_id", client_id).finish());
    let page = world.send(get(&plain("bank"), &[])).await;
    assert_eq!(page.status, 400, "{page:?}");
    assert_eq!(world.send(get(&plain("signed"), &[])).await.status, 200);
    let pushed = push(&world, by(&world, "bank", authorization_form())).await;
    let answer = world.hands().allow(&authorize("bank", &pushed)).await.expect("allowed");
    let code = Form::parse_query(&answer).expect("a form").secret("code").expect("a code");
    assert_eq!(ask(&world, "bank", code_form(&code)).await.status, 200);
    assert_eq!(metadata(&world).await["require_pushed_authorization_requests"], json!(false));
}

#[tokio::test]
async fn fapi_as_07_its_assertions_are_for_the_issuer_alone() {
    let world = world().await;
    for (client_id, status) in [("bank", 401), ("signed", 200)] {
        let mut claims = assertion_claims(&world, client_id);
        claims["aud"] = json!(TOKEN);
        let form = asserted(client_credentials_form(), &world.client_key, &claims);
        let answer = world.post(form, &[("dpop", &world.proof().sign(&world.key))]).await;
        assert_eq!(answer.status.as_u16(), status, "{client_id}: {answer:?}");
    }
}

#[tokio::test]
async fn dpop_alg_07_its_proofs_are_never_by_rs256() {
    let world = world().await;
    let rsa = SigningKey::generate(Algorithm::Rs256).expect("a key");
    let proof = || Forge::new(&rsa, "POST", TOKEN, world.now()).sign(&rsa);
    let answer = world.post(by(&world, "bank", client_credentials_form()), &[("dpop", &proof())]).await;
    assert_e_as(&answer);
    let others = world.post(by(&world, "signed", client_credentials_form()), &[("dpop", &proof())]).await;
    assert_eq!(others.status, 200, "{others:?}");
}

#[tokio::test]
async fn fapi_as_04_its_tokens_are_bound_also_where_others_need_not_be() {
    let world = world().await;
    for resource in [MIXED_API, OLD_API] {
        let form = || by(&world, "bank", client_credentials_form().pair("resource", resource));
        assert_e_as(&world.post(form(), &[]).await);
        let answer = world.post(form(), &[("dpop", &world.proof().sign(&world.key))]).await;
        assert_eq!(answer.text("token_type"), "DPoP");
        assert!(answer.claims("access_token")["cnf"]["jkt"].is_string());
    }
}

#[tokio::test]
async fn fapi_cry_01_as_at_03_its_access_tokens_are_never_signed_by_rs256() {
    let config = format!(
        "{}[signing]\naccess_tokens = \"RS256\"\n[[resource]]\nidentifier = \"https://rsa.example/\"\nsigning_alg = \"RS256\"\n",
        Settings::default().config
    );
    let world = World::with(Settings { config }).await;
    add_client(&world.store, bank(&world), world.now()).await.expect("a client");
    world.clock.pass(1);
    for resource in [API, "https://rsa.example/"] {
        for (client_id, algorithm) in [("bank", "ES256"), ("signed", "RS256")] {
            let form = FormWriter::new().pair("grant_type", "client_credentials").pair("resource", resource);
            let answer = ask(&world, client_id, form).await;
            assert_eq!(answer.jose_header("access_token")["alg"], algorithm, "{client_id} {resource}");
        }
    }
}

#[tokio::test]
async fn fapi_as_05_it_cannot_be_registered_with_less() {
    let world = world().await;
    for (member, value) in [
        ("token_endpoint_auth_method", json!("none")),
        ("dpop_bound_access_tokens", json!(false)),
        ("legacy_oidc", json!(true)),
        ("redirect_uris", json!(["http://127.0.0.1/cb"])),
    ] {
        let mut metadata = bank(&world);
        metadata[member] = value;
        if member == "token_endpoint_auth_method" {
            metadata["grant_types"] = json!(["authorization_code"]);
        }
        let told = add_client(&world.store, metadata, world.now()).await.expect_err(member).to_string();
        assert!(told.contains("fapi2") && told.contains(member), "{told}");
    }
    let unknown = json!({ "client_id": "x", "redirect_uris": [REDIRECT_URI], "profile": "fapi1" });
    let told = add_client(&world.store, unknown, world.now()).await.expect_err("no such profile").to_string();
    assert!(told.contains("standard, fapi2"), "{told}");
    let bank = add_client(&world.store, bank(&world), world.now()).await;
    assert!(bank.is_ok());
    assert_error(&push(&world, authorization_form().pair("client_id", "bank")).await, 401, "invalid_client");
}
