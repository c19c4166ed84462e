//! AS-PAR with proofs, and the way from a pushed request to tokens.

use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_e2e::answer::{assert_e_as, assert_n_as};
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge, Settings, World};
use keybound_oauth::client_auth::{ASSERTION_TYPE, sign_assertion};
use keybound_oauth::form::{Form, FormWriter};
use keybound_oauth::identifier::{ClientId, Issuer};

/// Pushes the usual request of the public client `app`, with `dpop_jkt` and a proof where the test has them.
async fn push(world: &World, dpop_jkt: Option<&str>, proof: Option<&str>) -> Answer {
    let form = authorization_form().pair("client_id", "app").optional("dpop_jkt", dpop_jkt);
    world.send(post(PUSHED, form, &borrow(&with_proof(Vec::new(), proof)))).await
}

/// Sends the user's browser with the answer to a push, and gives the code.
async fn code(world: &World, client_id: &str, pushed: &Answer) -> Secret {
    assert_eq!(pushed.status, 201, "{pushed:?}");
    let query =
        FormWriter::new().pair("client_id", client_id).pair("request_uri", &pushed.text("request_uri"));
    let answer = world.hands().allow(&format!("{AUTHORIZE}?{}", query.finish())).await.expect("allowed");
    let answer = Form::parse_query(&answer).expect("a form");
    assert_eq!((answer.get("state"), answer.get("iss")), (Some("some state"), Some(ISSUER)));
    answer.secret("code").expect("a code")
}

/// A token request of `app` with a proof by that key.
async fn redeem(world: &World, code: &Secret, key: &SigningKey) -> Answer {
    world.redeem(code, Some(&Forge::new(key, "POST", TOKEN, world.now()).sign(key))).await
}

#[tokio::test]
async fn as_par_01_a_code_is_bound_by_dpop_jkt_or_by_a_proof() {
    let world = World::new().await;
    let own = jkt(&world.key);
    for (dpop_jkt, proven) in [(Some(own.as_str()), false), (None, true), (Some(own.as_str()), true)] {
        let proof = proven.then(|| world.pushed_proof().sign(&world.key));
        let pushed = push(&world, dpop_jkt, proof.as_deref()).await;
        let code = code(&world, "app", &pushed).await;
        let refused = redeem(&world, &code, &new_key()).await;
        assert_eq!(refused.error(), (400, "invalid_grant".to_owned()), "{dpop_jkt:?} {proven}");
        let tokens = redeem(&world, &code, &world.key).await;
        assert_eq!(tokens.claims("access_token")["cnf"]["jkt"], own, "{dpop_jkt:?} {proven}");
    }
    let unbound = push(&world, None, None).await;
    let code = code(&world, "app", &unbound).await;
    assert_eq!(redeem(&world, &code, &new_key()).await.status, 200, "no key was named");
}

#[tokio::test]
async fn as_par_02_atk_071_a_proof_is_fully_checked() {
    let world = World::new().await;
    let key = &world.key;
    for bad in [
        world.proof(),
        Forge::new(key, "GET", PUSHED, world.now()),
        world.pushed_proof().head("typ", "JWT"),
        world.pushed_proof().claim("iat", world.now().minus_secs(301).as_secs()),
        world.pushed_proof().without("jti"),
    ] {
        assert_e_as(&push(&world, None, Some(&bad.sign(key))).await);
    }
    assert_e_as(&push(&world, None, Some(&world.pushed_proof().sign(&new_key()))).await);
    let request =
        post(PUSHED, authorization_form().pair("client_id", "app"), &[("dpop", "a"), ("dpop", "b")]);
    assert_e_as(&world.send(request).await);

    let proof = world.pushed_proof().sign(key);
    assert_eq!(push(&world, None, Some(&proof)).await.status, 201);
    assert_e_as(&push(&world, None, Some(&proof)).await);
}

#[tokio::test]
async fn as_par_02_a_request_that_is_refused_uses_no_proof_up() {
    let world = World::new().await;
    let proof = world.pushed_proof().sign(&world.key);
    let other = jkt(&new_key());
    assert_eq!(push(&world, Some(&other), Some(&proof)).await.status, 400);
    assert_eq!(push(&world, None, Some(&proof)).await.status, 201);
}

#[tokio::test]
async fn as_par_03_atk_071_key_and_proof_agree() {
    let world = World::new().await;
    let proof = world.pushed_proof().sign(&world.key);
    let answer = push(&world, Some(&jkt(&new_key())), Some(&proof)).await;
    assert_eq!(answer.error(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn as_par_04_clients_authenticate_as_at_the_token_endpoint() {
    let world = World::new().await;
    let send =
        async |form: FormWriter, headers: &[(&str, &str)]| world.send(post(PUSHED, form, headers)).await;
    let right = basic("service", SECRET);
    let pushed = send(authorization_form(), &[("authorization", &right)]).await;
    let code = code(&world, "service", &pushed).await;
    let headers = with_proof(vec![("authorization", right)], Some(&world.proof().sign(&world.key)));
    assert_eq!(world.post(code_form(&code), &borrow(&headers)).await.status, 200);

    let wrong = basic("service", "wrong");
    let by_header = send(authorization_form(), &[("authorization", &wrong)]).await;
    assert_eq!(by_header.error(), (401, "invalid_client".to_owned()));
    assert_eq!(by_header.challenges().len(), 1);
    for form in [
        authorization_form(),
        authorization_form().pair("client_id", "service"),
        authorization_form().pair("client_id", "poster"),
        authorization_form().pair("client_id", "signed"),
        authorization_form().pair("client_id", "nobody"),
        authorization_form().pair("client_id", "poster").pair("client_secret", "wrong"),
    ] {
        assert_eq!(send(form, &[]).await.error(), (401, "invalid_client".to_owned()));
    }
    let in_query = post(&format!("{PUSHED}?client_id=app"), authorization_form(), &[]);
    assert_eq!(world.send(in_query).await.error(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn as_par_04_atk_085_the_client_in_the_body_is_the_one_that_authenticates() {
    let world = World::new().await;
    let header = basic("service", SECRET);
    let form = authorization_form().pair("client_id", "app");
    let answer = world.send(post(PUSHED, form, &[("authorization", &header)])).await;
    assert_eq!(answer.error(), (401, "invalid_client".to_owned()));
}

#[tokio::test]
async fn as_par_16_an_assertion_may_name_the_endpoint_that_is_called() {
    let world = World::new().await;
    let assertion = |audience: &str, jti: &str| {
        let client_id = ClientId::parse("signed").expect("a client_id");
        let issuer = Issuer::parse(audience).expect("an audience");
        sign_assertion(&world.client_key, None, &client_id, &issuer, world.now(), jti).expect("signed")
    };
    let with = |form: FormWriter, assertion: &Secret| {
        form.pair("client_assertion_type", ASSERTION_TYPE).pair("client_assertion", assertion.reveal())
    };
    for (audience, status) in
        [(ISSUER, 201), (TOKEN, 201), (PUSHED, 201), (USERINFO, 401), ("https://other.example", 401)]
    {
        let form = with(authorization_form(), &assertion(audience, audience));
        assert_eq!(world.send(post(PUSHED, form, &[])).await.status.as_u16(), status, "{audience}");
    }
    let elsewhere = with(client_credentials_form(), &assertion(PUSHED, "elsewhere"));
    let answer = world.post(elsewhere, &[("dpop", &world.proof().sign(&world.key))]).await;
    assert_eq!(answer.error(), (401, "invalid_client".to_owned()), "at its own endpoint only");
}

#[tokio::test]
async fn as_ca_03_atk_082_an_assertion_used_to_push_is_used() {
    let world = World::new().await;
    let assertion = world.assertion();
    let form = authorization_form()
        .pair("client_assertion_type", ASSERTION_TYPE)
        .pair("client_assertion", assertion.reveal());
    assert_eq!(world.send(post(PUSHED, form, &[])).await.status, 201);
    let proof = world.proof().sign(&world.key);
    let again = world.with_assertion(assertion.reveal(), Some(&proof)).await;
    assert_eq!(again.error(), (401, "invalid_client".to_owned()));
}

#[tokio::test]
async fn as_non_05_as_non_13_a_push_is_challenged_like_a_token_request_and_spends_nothing() {
    let world = World::with(Settings::with_nonces()).await;
    let nonce = assert_n_as(&push(&world, None, Some(&world.pushed_proof().sign(&world.key))).await);
    let proof = world.pushed_proof().nonce(&nonce).sign(&world.key);
    let pushed = push(&world, None, Some(&proof)).await;
    assert_eq!(pushed.status, 201);
    assert!(pushed.header("dpop-nonce").is_empty(), "the nonce is of this minute");
    world.clock.pass(60);
    let pushed = push(&world, None, Some(&world.pushed_proof().nonce(&nonce).sign(&world.key))).await;
    assert_eq!(
        (pushed.status.as_u16(), pushed.header("cache-control")),
        (201, vec!["no-cache, no-store".to_owned()])
    );
    let fresh = pushed.nonce();
    let code = code(&world, "app", &pushed).await;
    let tokens = world.redeem(&code, Some(&world.proof().nonce(&fresh).sign(&world.key))).await;
    assert_eq!(tokens.status, 200, "one nonce for all endpoints");
    assert_eq!(push(&world, None, None).await.status, 201, "no proof, no nonce");
}
