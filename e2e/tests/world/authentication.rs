//! OIDC-AUT and OIDC-RT: a whole sign-in, from the authorization request to what its tokens are good for.

use keybound_dpop::secret::Secret;
use keybound_e2e::answer::assert_e_as;
use keybound_e2e::forge::jkt;
use keybound_e2e::world::*;
use keybound_e2e::{Answer, World};
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::client_auth::ASSERTION_TYPE;
use keybound_oauth::form::{Form, FormWriter};
use keybound_provider::registry::add_client;
use keybound_provider::store::{Consent, Id, Write};
use serde_json::{Value, json};

/// An authorization request of the client; a code challenge is for the caller to add.
fn asked(client_id: &str, scope: &str) -> FormWriter {
    FormWriter::new()
        .pair("client_id", client_id)
        .pair("response_type", "code")
        .pair("redirect_uri", REDIRECT_URI)
        .pair("scope", scope)
}

fn with_pkce(form: FormWriter) -> FormWriter {
    form.pair("code_challenge", &challenge(VERIFIER)).pair("code_challenge_method", "S256")
}

/// The code of a user who allows the request.
async fn allowed(world: &World, request: FormWriter) -> Secret {
    let answer = world.hands().allow(&format!("{AUTHORIZE}?{}", request.finish())).await.expect("allowed");
    Form::parse_query(&answer).expect("a form").secret("code").unwrap_or_else(|| panic!("a code: {answer}"))
}

async fn add(world: &World, metadata: Value) {
    add_client(&world.store, metadata, world.now()).await.expect("a client");
}

/// Redeems a code as the client authenticates.
async fn redeem(world: &World, client_id: &str, form: FormWriter, has_proof: bool) -> Answer {
    let mut headers = Vec::new();
    let form = match client_id {
        "service" => {
            headers.push(("authorization", basic("service", SECRET)));
            form
        }
        "poster" => form.pair("client_id", "poster").pair("client_secret", SECRET),
        "signed" => form
            .pair("client_assertion_type", ASSERTION_TYPE)
            .pair("client_assertion", world.assertion().reveal()),
        public => form.pair("client_id", public),
    };
    let proof = has_proof.then(|| world.proof().sign(&world.key));
    world.post(form, &borrow(&with_proof(headers, proof.as_deref()))).await
}

fn is_active(answer: &Answer) -> bool {
    answer.status == 200
}

/// UserInfo for a bound token.
async fn userinfo(world: &World, token: &str) -> Answer {
    world.userinfo("DPoP", token, Some(&world.userinfo_proof(token).sign(&world.key))).await
}

#[tokio::test]
async fn oidc_aut_22_a_request_with_pkce_succeeds_for_every_kind_of_client() {
    let world = World::new().await;
    add(
        &world,
        json!({ "client_id": "old", "legacy_oidc": true, "redirect_uris": [REDIRECT_URI],
        "token_endpoint_auth_method": "none" }),
    )
    .await;
    add(
        &world,
        json!({ "client_id": "native", "application_type": "native", "redirect_uris": [REDIRECT_URI] }),
    )
    .await;
    for client_id in ["app", "native", "service", "poster", "signed", "old"] {
        let code = allowed(&world, with_pkce(asked(client_id, "openid email"))).await;
        let answer = redeem(&world, client_id, code_form(&code), true).await;
        assert_eq!(answer.status, 200, "{client_id}: {answer:?}");
        let claims = answer.claims("id_token");
        assert_eq!((&claims["aud"], &claims["sub"]), (&json!(client_id), &json!("subject-of-alice")));
        assert_eq!(answer.claims("access_token")["cnf"]["jkt"], jkt(&world.key), "{client_id}");
        assert!(is_active(&userinfo(&world, &answer.text("access_token")).await), "{client_id}");

        let code = allowed(&world, with_pkce(asked(client_id, "openid"))).await;
        let form = FormWriter::new().pair("grant_type", "authorization_code").pair("code", code.reveal());
        let without = redeem(&world, client_id, form.pair("redirect_uri", REDIRECT_URI), true).await;
        assert_eq!(without.error(), (400, "invalid_grant".to_owned()), "{client_id}: the verifier counts");
    }
}

#[tokio::test]
async fn oidc_aut_23_neither_pkce_nor_proofs_from_clients_that_are_marked_and_both_from_all_others() {
    let world = World::new().await;
    let client = |client_id: &str, is_old: bool| {
        json!({ "client_id": client_id, "legacy_oidc": is_old, "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none" })
    };
    add(&world, client("old", true)).await;
    add(&world, client("new", false)).await;

    let code = allowed(&world, asked("old", "openid email")).await;
    let form = FormWriter::new().pair("grant_type", "authorization_code").pair("code", code.reveal());
    let tokens = redeem(&world, "old", form.pair("redirect_uri", REDIRECT_URI), false).await;
    assert_eq!((tokens.status.as_u16(), tokens.text("token_type")), (200, "Bearer".to_owned()), "{tokens:?}");
    assert!(tokens.claims("id_token")["auth_time"].is_u64());
    let answer = world.userinfo("Bearer", &tokens.text("access_token"), None).await;
    assert_eq!(answer.json()["email"], "alice@example.org");
    let form = refresh_form(&tokens.text("refresh_token"));
    assert_eq!(redeem(&world, "old", form, false).await.text("token_type"), "Bearer");

    let refused = world.hands().allow(&format!("{AUTHORIZE}?{}", asked("new", "openid").finish())).await;
    assert!(refused.expect_err("a page").contains("code_challenge"));
    let code = allowed(&world, with_pkce(asked("new", "openid"))).await;
    assert_e_as(&redeem(&world, "new", code_form(&code), false).await);
    let tokens = redeem(&world, "new", code_form(&code), true).await;
    assert_eq!(tokens.text("token_type"), "DPoP");
    let unbound = world.userinfo("Bearer", &tokens.text("access_token"), None).await;
    assert_eq!(unbound.status, 401);
}

#[tokio::test]
async fn oidc_rt_01_a_refresh_token_outlives_the_sign_in_only_with_offline_access() {
    let world = World::new().await;
    let mut tokens = Vec::new();
    for scope in ["openid", "openid offline_access"] {
        let code = allowed(&world, with_pkce(asked("app", scope))).await;
        let answer = world.redeem(&code, Some(&world.proof().sign(&world.key))).await;
        assert_eq!(answer.text("scope"), scope);
        tokens.push(answer.text("refresh_token"));
    }
    let sign_in_secs = world.provider.config.lifetimes.session_secs;
    for (passed, still) in [(sign_in_secs - 1, [200, 200]), (2, [400, 200])] {
        world.clock.pass(passed);
        for (token, status) in tokens.iter().zip(still) {
            let answer = world.refresh(token, Some(&world.proof().sign(&world.key))).await;
            assert_eq!(answer.status, status, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn oidc_rt_04_a_code_that_comes_again_is_refused_at_once_and_later_and_its_tokens_end() {
    for later in [0, 30, 120] {
        let world = World::new().await;
        let redeem = async |code: &Secret| world.redeem(code, Some(&world.proof().sign(&world.key))).await;
        let code = allowed(&world, with_pkce(asked("app", "openid"))).await;
        remember(&world, "app").await;
        let tokens = redeem(&code).await;
        let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
        assert!(is_active(&userinfo(&world, &access).await));
        world.clock.pass(later);
        for _ in 0..2 {
            assert_eq!(redeem(&code).await.error(), (400, "invalid_grant".to_owned()), "{later} s later");
        }
        assert_eq!(userinfo(&world, &access).await.status, 401, "{later} s later");
        let refreshed = world.refresh(&refresh, Some(&world.proof().sign(&world.key))).await;
        assert_eq!(refreshed.error(), (400, "invalid_grant".to_owned()), "{later} s later");
        assert!(is_forgotten(&world, "app").await, "and the user is asked again");
    }
}

#[tokio::test]
async fn a_stolen_refresh_token_ends_what_is_remembered_and_a_revoked_one_does_not() {
    let world = World::with(keybound_e2e::Settings {
        config: "[nonce]\nmode = \"off\"\n[refresh_tokens]\nrotate = \"always\"\n".to_owned(),
    })
    .await;
    remember(&world, "app").await;
    let refresh = world.tokens().await.text("refresh_token");
    assert_eq!(world.revoke(&refresh).await.status, 200);
    assert!(
        !is_forgotten(&world, "app").await,
        "the client gave back what it had, the user took nothing back"
    );

    let refresh = world.tokens().await.text("refresh_token");
    let again = async || world.refresh(&refresh, Some(&world.proof().sign(&world.key))).await.status;
    assert_eq!(again().await, 200);
    world.clock.pass(world.provider.config.lifetimes.rotation_grace_secs + 1);
    assert_eq!(again().await, 400);
    assert!(is_forgotten(&world, "app").await);
}

async fn remember(world: &World, client_id: &str) {
    let consent = Consent {
        id: Id::mint(world.now(), &[7; 10]),
        subject: world.user.subject.clone(),
        client_id: client_id.to_owned(),
        client_hash: String::new(),
        scope: vec!["openid".to_owned()],
        resources: Vec::new(),
        authorization_details: AuthorizationDetails::default(),
        given_at: world.now(),
        used_at: None,
        expires_at: world.now().plus_secs(86_400),
    };
    world.store.write(vec![Write::RememberConsent(Box::new(consent))]).await.expect("written");
}

async fn is_forgotten(world: &World, client_id: &str) -> bool {
    world.store.consents(&world.user.subject, Some(client_id)).await.expect("an answer").is_empty()
}
