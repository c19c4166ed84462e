//! Signed requests from the client to its tokens: pushed, with a proof, answered by a signed response.

use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::secret::Secret;
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge, World};
use keybound_oauth::authorization::{AuthorizationRequest, AuthorizationResponse};
use keybound_oauth::client_auth::ASSERTION_TYPE;
use keybound_oauth::form::{Form, FormWriter};
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::request_object::About;
use keybound_oauth::{jarm, request_object};

fn client_id() -> ClientId {
    ClientId::parse("signed").expect("a client_id")
}

fn issuer() -> Issuer {
    Issuer::parse(ISSUER).expect("an issuer")
}

/// A signed request of the client `signed`, for a signed answer.
fn object(world: &World, dpop_jkt: Option<&str>) -> Secret {
    let form = Form::parse(authorization_form().finish().as_bytes()).expect("a form");
    let request = AuthorizationRequest::parse(&form).expect("a request");
    let request = AuthorizationRequest {
        response_mode: Some("jwt".to_owned()),
        dpop_jkt: dpop_jkt.and_then(Thumbprint::parse),
        nonce: Some(base64url::encode(&random::<9>().expect("entropy"))),
        ..request
    };
    let (client_id, issuer) = (client_id(), issuer());
    let about = About {
        client_id: &client_id,
        issuer: &issuer,
        jti: None,
        nbf: world.now(),
        exp: world.now().plus_secs(60),
    };
    request_object::sign(&request, &about, (&world.client_key, None)).expect("signed")
}

fn authenticated(world: &World, form: FormWriter) -> FormWriter {
    form.pair("client_assertion_type", ASSERTION_TYPE).pair("client_assertion", world.assertion().reveal())
}

async fn push(world: &World, object: &Secret, proof: Option<&str>) -> Answer {
    let form = authenticated(world, FormWriter::new().pair("request", object.reveal()));
    world.send(post(PUSHED, form, &borrow(&with_proof(Vec::new(), proof)))).await
}

#[tokio::test]
async fn fms_01_fms_04_as_par_01_from_a_signed_request_to_bound_tokens() {
    let world = World::new().await;
    let own = jkt(&world.key);
    for (inside, proven) in [(Some(own.as_str()), false), (None, true), (Some(own.as_str()), true)] {
        let proof = proven.then(|| world.pushed_proof().sign(&world.key));
        let pushed = push(&world, &object(&world, inside), proof.as_deref()).await;
        assert_eq!(pushed.status, 201, "{pushed:?}");
        let query =
            FormWriter::new().pair("client_id", "signed").pair("request_uri", &pushed.text("request_uri"));
        let answer = world.hands().allow(&format!("{AUTHORIZE}?{}", query.finish())).await.expect("allowed");
        let answer = Form::parse_query(&answer).expect("a form");
        let expected = jarm::Expected {
            issuer: &issuer(),
            client_id: &client_id(),
            algorithm: Algorithm::Es256,
            keys: &world.provider.signing_keys.key_set(world.now()),
            now: world.now(),
            skew_secs: 0,
        };
        let response = answer.secret("response").expect("a signed answer");
        let AuthorizationResponse { outcome, state, .. } =
            jarm::verify(&response, &expected).expect("signed");
        assert_eq!(state.as_deref(), Some("some state"));
        let code = outcome.expect("a code");

        let redeem = async |key: &SigningKey| {
            let proof = Forge::new(key, "POST", TOKEN, world.now()).sign(key);
            world.post(authenticated(&world, code_form(&code)), &[("dpop", &proof)]).await
        };
        let other = new_key();
        assert_eq!(redeem(&other).await.error(), (400, "invalid_grant".to_owned()));
        assert_eq!(redeem(&world.key).await.claims("access_token")["cnf"]["jkt"], own);
    }
}

#[tokio::test]
async fn as_cod_05_as_par_03_atk_072_the_key_inside_is_the_key_of_the_proof() {
    let world = World::new().await;
    let proof = world.pushed_proof().sign(&world.key);
    let answer = push(&world, &object(&world, Some(&jkt(&new_key()))), Some(&proof)).await;
    assert_eq!(answer.error(), (400, "invalid_request".to_owned()));
    let outside = authenticated(&world, FormWriter::new().pair("request", object(&world, None).reveal()))
        .pair("dpop_jkt", &jkt(&world.key));
    assert_eq!(world.send(post(PUSHED, outside, &[])).await.error(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn dpop_typ_04_a_proof_or_an_assertion_is_no_request_object_and_none_is_an_assertion() {
    let world = World::new().await;
    for other in [world.assertion(), Secret::new(world.pushed_proof().sign(&world.client_key))] {
        assert_eq!(push(&world, &other, None).await.error(), (400, "invalid_request_object".to_owned()));
    }
    let object = object(&world, None);
    let proof = world.proof().sign(&world.key);
    let answer = world.with_assertion(object.reveal(), Some(&proof)).await;
    assert_eq!(answer.error(), (401, "invalid_client".to_owned()));
    assert_eq!(world.client_credentials(Some(object.reveal())).await.error().1, "invalid_dpop_proof");
}
