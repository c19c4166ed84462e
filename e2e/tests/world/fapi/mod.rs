//! Part E: the FAPI 2.0 Security Profile, switched on for a provider or for one client of it.

mod authorization;
mod one_client;
mod server;
mod signatures;

use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_e2e::world::*;
use keybound_e2e::{Answer, World};
use keybound_oauth::client_auth::ASSERTION_TYPE;
use keybound_oauth::form::{Form, FormWriter};
use serde_json::{Value, json};

/// The claims of a good assertion of the client.
fn assertion_claims(world: &World, client_id: &str) -> Value {
    let now = world.now().as_secs();
    let jti = base64url::encode(&random::<16>().expect("entropy"));
    json!({ "iss": client_id, "sub": client_id, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": jti })
}

/// Adds an assertion with these claims by that key.
fn asserted(form: FormWriter, key: &SigningKey, claims: &Value) -> FormWriter {
    let assertion = jws::sign(key, "JWT", None, claims.to_string().as_bytes()).expect("signed");
    form.pair("client_assertion_type", ASSERTION_TYPE).pair("client_assertion", &assertion)
}

/// Adds a good assertion of the client.
fn by(world: &World, client_id: &str, form: FormWriter) -> FormWriter {
    asserted(form, &world.client_key, &assertion_claims(world, client_id))
}

/// Pushes a request.
async fn push(world: &World, form: FormWriter) -> Answer {
    world.send(post(PUSHED, form, &[])).await
}

/// The URL that begins with a pushed request.
fn authorize(client_id: &str, pushed: &Answer) -> String {
    let form =
        FormWriter::new().pair("client_id", client_id).pair("request_uri", &pushed.text("request_uri"));
    format!("{AUTHORIZE}?{}", form.finish())
}

/// The answer that comes to the client `signed` when its user allows the usual request.
async fn allowed(world: &World) -> Form {
    let pushed = push(world, by(world, "signed", authorization_form())).await;
    assert_eq!(pushed.status, 201, "{pushed:?}");
    let answer = world.hands().allow(&authorize("signed", &pushed)).await.expect("allowed");
    Form::parse_query(&answer).expect("a form")
}

/// A code of the client `signed`, by the whole way.
async fn code(world: &World) -> Secret {
    allowed(world).await.secret("code").expect("a code")
}

/// A token request of the client with a proof by the World's key.
async fn ask(world: &World, client_id: &str, form: FormWriter) -> Answer {
    let proof = world.proof().sign(&world.key);
    world.post(by(world, client_id, form), &[("dpop", &proof)]).await
}

/// Tokens of the client `signed`.
async fn tokens(world: &World) -> Answer {
    let answer = ask(world, "signed", code_form(&code(world).await)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The metadata.
async fn metadata(world: &World) -> Value {
    world.send(get(&format!("{ISSUER}/.well-known/openid-configuration"), &[])).await.json()
}

#[track_caller]
fn assert_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.error(), (status, code.to_owned()), "{answer:?}");
}
