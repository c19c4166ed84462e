//! What OpenID Connect adds to a request.

use crate::common::{CALLBACK, PASSWORD, World};
use http::StatusCode;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_oauth::id_token::NewIdToken;
use keybound_oauth::identifier::ClientId;
use keybound_provider::signing_keys::KeyUse;
use keybound_provider::signing_keys::command::{Pace, rotate};
use serde_json::json;

const OPENID: (&str, &str) = ("scope", "openid");

#[tokio::test]
async fn oidc_aut_01_the_scopes_of_openid_connect_need_openid() {
    let world = World::open().await;
    let answer = world.browser().allow(&[("scope", "email openid read profile")]).await;
    assert_eq!(world.code(answer.get("code")).await.scope, ["email", "openid", "profile"]);
    let answer = world.browser().allow(&[("scope", "email read profile")]).await;
    assert_eq!(world.code(answer.get("code")).await.scope, ["read"]);
}

#[tokio::test]
async fn oidc_aut_02_post_leads_to_the_sign_in_page() {
    let world = World::open().await;
    let mut browser = world.browser();
    let fields = [
        ("client_id", "app"),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("code_challenge", crate::common::CHALLENGE),
        ("code_challenge_method", "S256"),
        ("login_hint", "ada"),
    ];
    let page = browser.post("/authorize", &fields).await;
    let page = browser.follow(&page).await;
    assert!(page.asks_to_sign_in());
    assert_eq!(page.field("username"), "ada");
}

#[tokio::test]
async fn oidc_aut_03_a_missing_response_type_is_an_error() {
    let world = World::open().await;
    let page = world.browser().ask(&[OPENID, ("response_type", "")]).await;
    assert_eq!((page.status, page.shown_error()), (StatusCode::BAD_REQUEST, "invalid_request"));
}

#[tokio::test]
async fn oidc_aut_04_nonce_is_optional_and_kept_exactly() {
    let world = World::open().await;
    for nonce in ["", "n \"ü\" +1"] {
        let answer = world.browser().allow(&[OPENID, ("nonce", nonce)]).await;
        let code = world.code(answer.get("code")).await;
        assert_eq!(code.nonce.as_deref(), Some(nonce).filter(|nonce| !nonce.is_empty()));
    }
}

#[tokio::test]
async fn oidc_aut_06_prompt_none_shows_nothing() {
    let world = World::open().await;
    let mut browser = world.browser();
    let silent = [OPENID, ("prompt", "none")];
    let answer = browser.ask(&silent).await.answer();
    assert_eq!((answer.get("error"), answer.get("state")), ("login_required", "s t&a=te"));
    assert_eq!(answer.get("iss"), "https://id.example");
    browser.reach_consent(&[OPENID]).await;
    assert_eq!(browser.ask(&silent).await.answer().get("error"), "consent_required");
    world.clock.turn(100);
    let too_old = browser.ask(&[OPENID, ("prompt", "none"), ("max_age", "10")]).await.answer();
    assert_eq!(too_old.get("error"), "login_required");
}

#[tokio::test]
async fn oidc_aut_08_prompt_login_asks_again_and_auth_time_moves() {
    let world = World::open().await;
    let mut browser = world.browser();
    let first = browser.allow(&[OPENID]).await;
    let first = world.code(first.get("code")).await;
    world.clock.turn(30);
    assert!(browser.ask(&[OPENID]).await.asks_for_consent(), "signed in already");
    let again = [OPENID, ("prompt", "login")];
    assert!(browser.ask(&again).await.asks_to_sign_in());
    let second = browser.allow(&again).await;
    let second = world.code(second.get("code")).await;
    assert_eq!(second.auth_time, first.auth_time.plus_secs(30));
    assert_ne!(second.session_id, first.session_id);
    assert!(browser.ask(&again).await.asks_to_sign_in(), "each request asks anew");
}

#[tokio::test]
async fn oidc_aut_08_the_word_of_a_sign_in_is_good_for_its_session_and_for_a_while() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.ask(&[OPENID, ("prompt", "login")]).await;
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    assert!(browser.follow(&redirect).await.asks_for_consent());
    let mut other = world.browser();
    other.reach_consent(&[]).await;
    assert!(other.follow(&redirect).await.asks_to_sign_in(), "another session");
    world.clock.turn(601);
    assert!(browser.follow(&redirect).await.asks_to_sign_in(), "too late");
}

#[tokio::test]
async fn oidc_aut_09_prompt_none_goes_with_nothing_else() {
    let world = World::open().await;
    for prompt in ["none login", "consent none"] {
        let answer = world.browser().ask(&[OPENID, ("prompt", prompt)]).await.answer();
        assert_eq!(answer.get("error"), "invalid_request", "{prompt}");
    }
}

#[tokio::test]
async fn oidc_aut_10_consent_and_select_account_are_honoured() {
    let world = World::open().await;
    let mut browser = world.browser();
    let choice = [OPENID, ("prompt", "select_account")];
    let page = browser.ask(&choice).await;
    assert!(page.asks_to_sign_in(), "who signs in has chosen");
    let page = browser.sign_in(&page, "ada", PASSWORD).await;
    assert!(browser.follow(&page).await.asks_for_consent());
    assert!(browser.ask(&[OPENID, ("prompt", "consent")]).await.asks_for_consent());

    let choose = browser.ask(&choice).await;
    assert!(choose.has("Continue as <bdi>ada</bdi>") && !choose.asks_for_consent(), "{}", choose.body);
    let page = browser.press_at("/account", &choose, "continue").await;
    assert!(page.asks_for_consent() && page.has("ada"));
    assert!(browser.press(&page, "allow").await.answer().form.has("code"));
    let theirs = world.browser().press_at("/account", &choose, "continue").await;
    assert!(theirs.location().starts_with("https://id.example/authorize?"), "nobody is signed in there");

    let page = browser.press_at("/account", &choose, "switch").await;
    assert!(page.asks_to_sign_in());
    let page = browser.sign_in(&page, "bob", PASSWORD).await;
    let page = browser.follow(&page).await;
    assert!(page.asks_for_consent() && page.has("bob"));
    let stale = browser.press_at("/account", &choose, "continue").await;
    assert_eq!(stale.status, StatusCode::FORBIDDEN, "the page was ada's");
}

#[tokio::test]
async fn oidc_aut_11_max_age_asks_again_when_the_sign_in_is_older() {
    let world = World::open().await;
    let mut browser = world.browser();
    browser.reach_consent(&[OPENID]).await;
    world.clock.turn(60);
    assert!(browser.ask(&[OPENID, ("max_age", "10000")]).await.asks_for_consent());
    assert!(browser.ask(&[OPENID, ("max_age", "60")]).await.asks_for_consent());
    assert!(browser.ask(&[OPENID, ("max_age", "59")]).await.asks_to_sign_in());
    let answer = browser.allow(&[OPENID, ("max_age", "59")]).await;
    assert_eq!(world.code(answer.get("code")).await.auth_time, world.provider.unix());
}

#[tokio::test]
async fn oidc_aut_12_max_age_0_is_prompt_login() {
    let world = World::open().await;
    let mut browser = world.browser();
    browser.reach_consent(&[OPENID]).await;
    assert!(browser.ask(&[OPENID, ("max_age", "0")]).await.asks_to_sign_in());
    assert!(browser.allow(&[OPENID, ("max_age", "0")]).await.form.has("code"));
}

#[tokio::test]
async fn oidc_aut_13_hints_are_never_an_error() {
    let world = World::open().await;
    for (name, value) in [
        ("display", "popup"),
        ("display", "hologram"),
        ("ui_locales", "de fr-CA"),
        ("claims_locales", "xx"),
        ("acr_values", "urn:a urn:b"),
        ("login_hint", "nobody@example.com"),
        ("claims", "{\"id_token\":{\"acr\":null}}"),
    ] {
        let page = world.browser().ask(&[OPENID, (name, value)]).await;
        assert!(page.asks_to_sign_in(), "{name}={value}");
    }
}

#[tokio::test]
async fn oidc_aut_16_unknown_parameters_are_ignored() {
    let world = World::open().await;
    let answer = world.browser().allow(&[OPENID, ("extra", "foobar")]).await;
    assert!(answer.form.has("code") && !answer.form.has("extra"));
}

#[tokio::test]
async fn oidc_aut_18_an_unregistered_redirect_uri_is_told_on_a_page() {
    let world = World::open().await;
    let page = world.browser().ask(&[OPENID, ("redirect_uri", "https://app.example/other")]).await;
    assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, ""));
}

#[tokio::test]
async fn oidc_aut_20_which_of_two_redirect_uris_has_to_be_said() {
    let two = json!({"client_id": "two", "redirect_uris": [CALLBACK, "https://app.example/cb2"]});
    let world = World::with_clients(&[two]).await;
    let page = world.browser().ask(&[OPENID, ("client_id", "two"), ("redirect_uri", "")]).await;
    assert_eq!((page.status, page.shown_error()), (StatusCode::BAD_REQUEST, "invalid_request"));
    assert!(!page.has("<form"));
}

#[tokio::test]
async fn oidc_aut_21_what_is_not_offered_has_its_own_error() {
    let world = World::open().await;
    for (name, value, error) in [
        ("request", "eyJhbGciOiJub25lIn0.e30.", "request_not_supported"),
        ("request_uri", "https://app.example/request.jwt", "request_uri_not_supported"),
        ("registration", "{}", "registration_not_supported"),
        ("response_mode", "fragment", "invalid_request"),
    ] {
        let page = world.browser().ask(&[OPENID, (name, value)]).await;
        assert_eq!(page.shown_error(), error, "{name}");
    }
    assert!(world.browser().ask(&[OPENID, ("response_mode", "query")]).await.asks_to_sign_in());
}

#[tokio::test]
async fn a_prompt_that_is_not_offered_is_an_error_that_metadata_foretells() {
    let world = World::open().await;
    for prompt in ["create", "create login", "dance", "Login"] {
        let page = world.browser().ask(&[OPENID, ("prompt", prompt)]).await;
        assert_eq!(
            (page.status, page.shown_error()),
            (StatusCode::BAD_REQUEST, "invalid_request"),
            "{prompt}"
        );
        assert!(page.has("prompt") && page.has("select_account"), "{}", page.body);
    }
    let silent = world.browser().ask(&[OPENID, ("prompt", "none create")]).await.answer();
    assert_eq!(silent.get("error"), "invalid_request");
    let metadata = world.browser().get("/.well-known/openid-configuration").await;
    let metadata: serde_json::Value = serde_json::from_str(&metadata.body).unwrap();
    assert_eq!(metadata["prompt_values_supported"], json!(["none", "login", "consent", "select_account"]));
}

#[tokio::test]
async fn oidc_aut_11_what_a_client_registered_in_the_place_of_max_age_counts() {
    let client = json!({"client_id": "c", "redirect_uris": [CALLBACK], "default_max_age": 60,
        "require_auth_time": true});
    let world = World::with_clients(&[client]).await;
    let mut browser = world.browser();
    let asked = [OPENID, ("client_id", "c")];
    browser.reach_consent(&asked).await;
    world.clock.turn(61);
    assert!(browser.ask(&asked).await.asks_to_sign_in());
    assert_eq!(
        browser.ask(&[asked[0], asked[1], ("prompt", "none")]).await.answer().get("error"),
        "login_required"
    );
    assert!(browser.ask(&[OPENID]).await.asks_for_consent(), "other clients did not");
    let longer = browser.ask(&[asked[0], asked[1], ("max_age", "100")]).await;
    assert!(longer.asks_for_consent(), "the request's own wins");
    let shorter = browser.ask(&[asked[0], asked[1], ("max_age", "1")]).await;
    assert!(shorter.asks_to_sign_in());
}

/// An ID token for the client, as we issue it.
fn id_token(world: &World, client_id: &str, sub: &str) -> String {
    let now = world.provider.unix();
    let key = world.provider.signing_keys.signer(KeyUse::Tokens, Algorithm::Es256, now).unwrap();
    let token = NewIdToken {
        iss: &world.provider.config.issuer,
        sub,
        aud: &ClientId::parse(client_id).unwrap(),
        exp: now.plus_secs(600),
        iat: now,
        nonce: None,
        auth_time: None,
        acr: None,
        amr: &[],
        sid: None,
        access_token: None,
        claims: None,
    };
    token.sign(&key.key, Some(&key.kid)).unwrap().reveal().to_owned()
}

#[tokio::test]
async fn oidc_aut_15_the_user_of_the_hint_or_nobody() {
    let world = World::open().await;
    let mut browser = world.browser();
    let (ada, bob) = (id_token(&world, "app", "subject-of-ada"), id_token(&world, "app", "subject-of-bob"));
    let hinted = |hint| [OPENID, ("id_token_hint", hint), ("prompt", "none")];
    assert_eq!(browser.ask(&hinted(&ada)).await.answer().get("error"), "login_required");
    browser.reach_consent(&[OPENID]).await;
    world.clock.turn(3600);
    let known = browser.ask(&hinted(&ada)).await.answer();
    assert_eq!(known.get("error"), "consent_required", "an expired hint is one too");
    let other = browser.ask(&hinted(&bob)).await.answer();
    assert_eq!(other.get("error"), "login_required");

    assert!(browser.ask(&hinted(&ada)[..2]).await.asks_for_consent());
    let page = browser.ask(&hinted(&bob)[..2]).await;
    assert!(page.asks_to_sign_in());
    let wrong = browser.sign_in(&page, "ada", PASSWORD).await;
    assert_eq!(browser.follow(&wrong).await.answer().get("error"), "login_required", "not asked for ever");
    let right = browser.sign_in(&page, "bob", PASSWORD).await;
    let page = browser.follow(&right).await;
    assert!(page.asks_for_consent());
    let answer = browser.press(&page, "allow").await.answer();
    assert_eq!(world.code(answer.get("code")).await.subject, "subject-of-bob");
}

#[tokio::test]
async fn oidc_aut_15_whom_nobody_can_tell_any_more_signs_in_anew() {
    let world = World::open().await;
    let mut browser = world.browser();
    let hint = id_token(&world, "app", "subject-of-ada");
    browser.reach_consent(&[OPENID]).await;
    let rotate = async |pace| {
        let (store, now) = (&world.provider.store, world.provider.unix());
        rotate(store, None, pace, world.provider.config.key_lives(), now).await.unwrap();
        world.provider.reload_keys().await;
        world.clock.turn(600);
    };
    rotate(Pace::Orderly).await;
    let hinted = [OPENID, ("id_token_hint", hint.as_str()), ("prompt", "none")];
    let known = browser.ask(&hinted).await.answer();
    assert_eq!(known.get("error"), "consent_required", "another key signs, and the one before is published");
    rotate(Pace::AtOnce).await;
    assert_eq!(browser.ask(&hinted).await.answer().get("error"), "login_required");
    let page = browser.ask(&hinted[..2]).await;
    assert!(page.asks_to_sign_in());
    let page = browser.sign_in(&page, "bob", PASSWORD).await;
    assert!(browser.follow(&page).await.asks_for_consent());
}

#[tokio::test]
async fn oidc_aut_15_what_is_no_id_token_of_ours_for_this_client_is_invalid_request() {
    let world = World::open().await;
    let mut browser = world.browser();
    browser.reach_consent(&[OPENID]).await;
    let others = id_token(&world, "other", "subject-of-ada");
    let ours = id_token(&world, "app", "subject-of-ada");
    let (signed, signature) = ours.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    for hint in [others.as_str(), &forged, "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.e30"] {
        let answer = browser.ask(&[OPENID, ("id_token_hint", hint)]).await.answer();
        assert_eq!(answer.get("error"), "invalid_request", "{hint}");
    }
}
