//! What OpenID Connect adds to a request.

use crate::common::{CALLBACK, PASSWORD, World};
use http::StatusCode;
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
    browser.reach_consent(&[OPENID]).await;
    assert!(browser.ask(&[OPENID, ("prompt", "consent")]).await.asks_for_consent());
    let page = browser.ask(&[OPENID, ("prompt", "select_account")]).await;
    assert!(page.asks_to_sign_in());
    let page = browser.sign_in(&page, "bob", PASSWORD).await;
    let page = browser.follow(&page).await;
    assert!(page.asks_for_consent() && page.has("bob"));
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
        ("display", "page"),
        ("display", "popup"),
        ("display", "touch"),
        ("display", "wap"),
        ("display", "hologram"),
        ("ui_locales", "de fr-CA"),
        ("ui_locales", "not a tag, \u{0} --"),
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
