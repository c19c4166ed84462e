//! AS-RES-03, 04: authorization details at the endpoints that clients call (RFC 9396).

use crate::device::answer;
use keybound_dpop::secret::Secret;
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Settings, World};
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::device::DeviceAuthorizationResponse;
use keybound_oauth::form::FormWriter;
use keybound_provider::registry::add_client;
use serde_json::{Value, json};

const BANK: &str = "https://bank.example/";

const CONFIG: &str = r#"
[nonce]
mode = "off"

[[resource]]
identifier = "https://bank.example/"
client = "service"

[[resource.authorization_details]]
type = "payment"
description = "Pay from your account"
actions = ["start", "status"]
required = { amount = "object", to = "string" }

[[resource.authorization_details]]
type = "balance"
description = "See what is in your account"

[[resource]]
identifier = "https://vault.example/"
tokens = "opaque"
client = "service"

[[resource.authorization_details]]
type = "key"
description = "Use a key"
optional = { name = "string" }
"#;

async fn world() -> World {
    World::with(Settings { config: CONFIG.to_owned() }).await
}

fn payment(actions: &[&str]) -> Value {
    json!({ "type": "payment", "actions": actions, "amount": { "currency": "EUR", "value": "12.50" }, "to": "Ada" })
}

fn parsed(details: &Value) -> AuthorizationDetails {
    AuthorizationDetails::parse(&details.to_string()).expect("details")
}

/// A token request by the client `service` for itself.
async fn ask(world: &World, details: &str) -> Answer {
    let proof = world.proof().sign(&world.key);
    let headers = with_proof(vec![("authorization", basic("service", SECRET))], Some(&proof));
    let form = FormWriter::new().pair("grant_type", "client_credentials");
    world.post(form.pair("authorization_details", details), &borrow(&headers)).await
}

async fn introspect(world: &World, token: &str) -> Value {
    let headers = [("authorization", basic("service", SECRET))];
    world.send(post(INTROSPECT, FormWriter::new().pair("token", token), &borrow(&headers))).await.json()
}

/// A code for `app` with a payment and a look at the balance.
async fn code(world: &World) -> Secret {
    let change = |code: &mut keybound_provider::store::Code| {
        code.scope = vec!["openid".to_owned()];
        code.resources = vec![BANK.to_owned()];
        code.authorization_details = parsed(&json!([payment(&["start", "status"]), { "type": "balance" }]));
    };
    world.code_with("app", change).await
}

async fn redeem(world: &World, code: &Secret, details: Option<&Value>) -> Answer {
    let text = details.map(Value::to_string);
    let form = code_form(code).pair("client_id", "app").optional("authorization_details", text.as_deref());
    let proof = world.proof().sign(&world.key);
    world.post(form, &[("dpop", &proof)]).await
}

#[track_caller]
fn assert_invalid(answer: &Answer) {
    assert_eq!(answer.error(), (400, "invalid_authorization_details".to_owned()), "{answer:?}");
}

#[tokio::test]
async fn as_res_03_what_is_no_detail_of_a_known_type_is_refused() {
    let world = world().await;
    let good = json!([payment(&["start"])]).to_string();
    assert_eq!(ask(&world, &good).await.status, 200);
    for bad in [
        "canary".to_owned(),
        "{}".to_owned(),
        "[1]".to_owned(),
        "[{}]".to_owned(),
        r#"[{"type":"canary"}]"#.to_owned(),
        r#"[{"type":"balance","type":"balance"}]"#.to_owned(),
        r#"[{"type":"balance","canary":1}]"#.to_owned(),
        json!([payment(&["canary"])]).to_string(),
        json!([payment(&[])]).to_string(),
        json!([{ "type": "payment", "actions": ["start"], "to": "canary" }]).to_string(),
        json!([payment(&["start"]), { "type": "other" }]).to_string(),
    ] {
        let answer = ask(&world, &bad).await;
        assert_invalid(&answer);
        assert!(!String::from_utf8_lossy(&answer.body).contains("canary"), "{answer:?}");
    }
}

#[tokio::test]
async fn as_res_03_details_say_which_resource_is_meant() {
    let world = world().await;
    let tokens = ask(&world, r#"[{"type":"balance"}]"#).await;
    assert_eq!(tokens.claims("access_token")["aud"], BANK, "not the default resource");
    let proof = || world.proof().sign(&world.key);
    let post = async |resource: &str| {
        let headers = with_proof(vec![("authorization", basic("service", SECRET))], Some(&proof()));
        let form = FormWriter::new()
            .pair("grant_type", "client_credentials")
            .pair("resource", resource)
            .pair("authorization_details", r#"[{"type":"balance"}]"#);
        world.post(form, &borrow(&headers)).await
    };
    assert_eq!(post(BANK).await.status, 200);
    assert_eq!(post(API).await.error(), (400, "invalid_target".to_owned()));
}

#[tokio::test]
async fn as_res_03_a_client_asks_for_its_own_types_only() {
    let world = world().await;
    let looker = json!({ "client_id": "looker", "client_secret": SECRET, "grant_types": ["client_credentials"],
                         "authorization_details_types": ["balance"] });
    add_client(&world.store, looker, world.now()).await.expect("a client");
    world.clock.pass(1);
    let ask = async |details: Value| {
        let proof = world.proof().sign(&world.key);
        let headers = with_proof(vec![("authorization", basic("looker", SECRET))], Some(&proof));
        let form = FormWriter::new().pair("grant_type", "client_credentials");
        world.post(form.pair("authorization_details", &details.to_string()), &borrow(&headers)).await
    };
    assert_eq!(ask(json!([{ "type": "balance" }])).await.status, 200);
    assert_invalid(&ask(json!([payment(&["start"])])).await);
}

#[tokio::test]
async fn as_res_04_granted_details_are_in_response_token_and_introspection() {
    let world = world().await;
    let asked = json!([payment(&["start"]), { "type": "balance" }]);
    let tokens = ask(&world, &asked.to_string()).await;
    assert_eq!(tokens.json()["authorization_details"], asked);
    assert_eq!(tokens.claims("access_token")["authorization_details"], asked);
    let told = introspect(&world, &tokens.text("access_token")).await;
    assert_eq!((&told["active"], &told["authorization_details"]), (&json!(true), &asked));

    let key = json!([{ "type": "key", "name": "k" }]);
    let opaque = ask(&world, &key.to_string()).await;
    assert_eq!(opaque.json()["authorization_details"], key);
    let told = introspect(&world, &opaque.text("access_token")).await;
    assert_eq!((&told["active"], &told["authorization_details"]), (&json!(true), &key));

    let metadata = world.send(get(&format!("{ISSUER}/.well-known/openid-configuration"), &[])).await.json();
    assert_eq!(metadata["authorization_details_types_supported"], json!(["payment", "balance", "key"]));
}

#[tokio::test]
async fn as_res_04_without_details_nothing_speaks_of_them() {
    let world = world().await;
    let tokens = world.client_credentials(Some(&world.proof().sign(&world.key))).await;
    assert!(tokens.json().get("authorization_details").is_none(), "{tokens:?}");
    assert!(tokens.claims("access_token").get("authorization_details").is_none());
    let plain = World::new().await;
    let metadata = plain.send(get(&format!("{ISSUER}/.well-known/openid-configuration"), &[])).await.json();
    assert!(metadata.get("authorization_details_types_supported").is_none());
}

#[tokio::test]
async fn as_res_03_as_res_04_a_token_request_may_only_narrow_what_was_granted() {
    let world = world().await;
    let code = code(&world).await;
    for more in [
        json!([payment(&["start", "status", "stop"])]),
        json!([{ "type": "key" }]),
        json!([{ "type": "payment", "actions": ["start"], "amount": { "value": "99" }, "to": "Ada" }]),
    ] {
        assert_invalid(&redeem(&world, &code, Some(&more)).await);
    }
    let less = json!([payment(&["status"])]);
    let tokens = redeem(&world, &code, Some(&less)).await;
    assert_eq!(tokens.json()["authorization_details"], less);
    assert_eq!(tokens.claims("access_token")["authorization_details"], less);
    assert!(tokens.claims("id_token").get("authorization_details").is_none());

    // What was granted is with the refresh token, and can be narrowed each time.
    let refresh = tokens.text("refresh_token");
    let whole = json!([payment(&["start", "status"]), { "type": "balance" }]);
    let post = async |details: Option<&Value>| {
        let text = details.map(Value::to_string);
        let form = refresh_form(&refresh).pair("client_id", "app");
        let proof = world.proof().sign(&world.key);
        world.post(form.optional("authorization_details", text.as_deref()), &[("dpop", &proof)]).await
    };
    assert_eq!(post(None).await.json()["authorization_details"], whole);
    let balance = json!([{ "type": "balance" }]);
    assert_eq!(post(Some(&balance)).await.claims("access_token")["authorization_details"], balance);
    assert_invalid(&post(Some(&json!([{ "type": "key" }]))).await);
}

#[tokio::test]
async fn as_res_04_a_token_for_another_resource_has_no_details_of_the_first() {
    let world = world().await;
    let code = world
        .code_with("app", |code| {
            code.scope = vec!["read".to_owned()];
            code.resources = vec![BANK.to_owned(), API.to_owned()];
            code.authorization_details = parsed(&json!([{ "type": "balance" }]));
        })
        .await;
    let proof = world.proof().sign(&world.key);
    let form = code_form(&code).pair("client_id", "app").pair("resource", API);
    let tokens = world.post(form, &[("dpop", &proof)]).await;
    assert_eq!(tokens.claims("access_token")["aud"], API);
    assert!(tokens.json().get("authorization_details").is_none(), "{tokens:?}");
}

#[tokio::test]
async fn as_res_03_as_res_04_a_device_asks_in_detail() {
    let world = world().await;
    let grant_type = "urn:ietf:params:oauth:grant-type:device_code";
    let tv = json!({ "client_id": "tv", "grant_types": [grant_type] });
    add_client(&world.store, tv, world.now()).await.expect("a client");
    world.clock.pass(1);
    let ask = async |details: &Value| {
        let form =
            FormWriter::new().pair("client_id", "tv").pair("authorization_details", &details.to_string());
        world.send(post(DEVICE_AUTHORIZATION, form, &[])).await
    };
    assert_invalid(&ask(&json!([{ "type": "other" }])).await);
    let asked = json!([payment(&["start"])]);
    let codes = DeviceAuthorizationResponse::parse(&ask(&asked).await.body).expect("codes");
    answer(&world, &codes, true).await;
    let form = FormWriter::new()
        .pair("grant_type", grant_type)
        .pair("device_code", codes.device_code.reveal())
        .pair("client_id", "tv");
    let proof = world.proof().sign(&world.key);
    let tokens = world.post(form, &[("dpop", &proof)]).await;
    assert_eq!(tokens.json()["authorization_details"], asked);
    assert_eq!(tokens.claims("access_token")["aud"], BANK);
}

#[tokio::test]
async fn as_res_03_as_par_06_a_pushed_request_is_judged_by_its_details() {
    let world = world().await;
    let push = async |details: &str| {
        let form = FormWriter::new()
            .pair("client_id", "app")
            .pair("response_type", "code")
            .pair("redirect_uri", REDIRECT_URI)
            .pair("code_challenge", &challenge(VERIFIER))
            .pair("code_challenge_method", "S256")
            .pair("authorization_details", details);
        world.send(post(PUSHED, form, &[])).await
    };
    assert_eq!(push(&json!([payment(&["start"])]).to_string()).await.status, 201);
    assert_invalid(&push(r#"[{"type":"other"}]"#).await);
    assert_invalid(&push("{}").await);
}

#[tokio::test]
async fn token_exchange_takes_no_details() {
    let world = world().await;
    let tokens = ask(&world, r#"[{"type":"balance"}]"#).await;
    let exchanger = json!({ "client_id": "exchanger", "client_secret": SECRET,
                            "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"] });
    add_client(&world.store, exchanger, world.now()).await.expect("a client");
    world.clock.pass(1);
    let proof = world.proof().sign(&world.key);
    let headers = with_proof(vec![("authorization", basic("exchanger", SECRET))], Some(&proof));
    let form = FormWriter::new()
        .pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .pair("subject_token", &tokens.text("access_token"))
        .pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
        .pair("authorization_details", r#"[{"type":"balance"}]"#);
    assert_invalid(&world.post(form, &borrow(&headers)).await);
}
