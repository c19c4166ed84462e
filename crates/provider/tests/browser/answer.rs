//! What comes back to the client, and what the code stands for.

use crate::common::{CALLBACK, CHALLENGE, World};
use http::StatusCode;
use serde_json::json;

#[tokio::test]
async fn as_aut_04_iss_is_in_every_response() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[]).await;
    let code = browser.press(&page, "allow").await.answer();
    let denied = browser.press(&page, "deny").await.answer();
    let faulty = browser.ask(&[("scope", "unknown")]).await.answer();
    for answer in [&code, &denied, &faulty] {
        assert_eq!((answer.get("iss"), answer.place.as_str()), ("https://id.example", CALLBACK));
        assert_ne!(answer.form.has("code"), answer.form.has("error"));
    }
}

#[tokio::test]
async fn as_aut_05_state_comes_back_unmodified_or_not_at_all() {
    let world = World::open().await;
    let long = "0123456789".repeat(150);
    for state in ["", "a", long.as_str(), "ü &=+%#?/\\\"'<>\u{1f600}\t"] {
        let mut browser = world.browser();
        let page = browser.reach_consent(&[("state", state)]).await;
        for button in ["allow", "deny"] {
            let answer = browser.press(&page, button).await.answer();
            assert_eq!(answer.form.get("state"), Some(state).filter(|state| !state.is_empty()));
        }
    }
}

#[tokio::test]
async fn as_aut_10_the_code_knows_whether_the_request_named_its_redirect_uri() {
    let world = World::open().await;
    for (redirect_uri, sent) in [(CALLBACK, true), ("", false)] {
        let answer = world.browser().allow(&[("redirect_uri", redirect_uri)]).await;
        let code = world.code(answer.get("code")).await;
        assert_eq!((code.redirect_uri.as_str(), code.redirect_uri_sent), (CALLBACK, sent));
    }
}

#[tokio::test]
async fn as_aut_13_atk_133_redirects_are_303() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.ask(&[]).await;
    let signed_in = browser.sign_in(&page, "ada", crate::common::PASSWORD).await;
    let page = browser.follow(&signed_in).await;
    let allowed = browser.press(&page, "allow").await;
    let denied = browser.press(&page, "deny").await;
    let faulty = browser.ask(&[("scope", "unknown")]).await;
    let posted = browser.post("/authorize", &[("client_id", "app")]).await;
    for page in [signed_in, allowed, denied, faulty, posted] {
        assert_eq!(page.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn as_aut_15_a_refusal_is_access_denied() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[]).await;
    let answer = browser.press(&page, "deny").await.answer();
    assert_eq!((answer.get("error"), answer.form.has("code")), ("access_denied", false));
}

#[tokio::test]
async fn as_cod_01_the_code_keeps_what_it_was_asked_for() {
    let world = World::open().await;
    let jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    let signed_in_at = world.provider.unix();
    let mut browser = world.browser();
    let page = browser.reach_consent(&[("dpop_jkt", jkt), ("nonce", "n-1"), ("scope", "write read")]).await;
    world.clock.turn(20);
    let answer = browser.press(&page, "allow").await.answer();
    let code = world.code(answer.get("code")).await;
    assert_eq!(code.dpop_jkt.as_deref(), Some(jkt));
    assert_eq!(code.code_challenge.as_deref(), Some(CHALLENGE));
    assert_eq!(code.nonce.as_deref(), Some("n-1"));
    assert_eq!((code.client_id.as_str(), code.subject.as_str()), ("app", "subject-of-ada"));
    assert_eq!(code.scope, ["write", "read"]);
    assert_eq!(code.resources, ["https://api.example/"]);
    assert_eq!(code.auth_time, signed_in_at);
    assert_eq!(code.issued_at, signed_in_at.plus_secs(20));
    assert_eq!(code.expires_at, signed_in_at.plus_secs(80), "AS-AUT-07: 60 s");
    assert!(code.session_id.is_some());
}

#[tokio::test]
async fn as_at_04_resources_are_those_named_or_the_default_or_with_openid_none() {
    let world = World::open().await;
    for (resource, scope, expected) in [
        ("", "read", vec!["https://api.example/"]),
        ("https://other.example/", "other", vec!["https://other.example/"]),
        ("", "openid", vec![]),
        ("https://api.example/", "openid read", vec!["https://api.example/"]),
    ] {
        let answer = world.browser().allow(&[("resource", resource), ("scope", scope)]).await;
        assert_eq!(world.code(answer.get("code")).await.resources, expected, "{resource} {scope}");
    }
    let two = crate::common::query(&[("scope", "read other"), ("resource", "https://api.example/")])
        + "&resource=https%3A%2F%2Fother.example%2F";
    let mut browser = world.browser();
    let page = browser.get(&format!("/authorize?{two}")).await;
    let page = browser.sign_in(&page, "ada", crate::common::PASSWORD).await;
    let page = browser.follow(&page).await;
    let answer = browser.press(&page, "allow").await.answer();
    let code = world.code(answer.get("code")).await;
    assert_eq!(code.resources, ["https://api.example/", "https://other.example/"]);

    let config = "issuer = \"https://id.example\"\n[[resource]]\nidentifier = \"urn:a\"\nscopes = [\"read\"]\n\
                  [[resource]]\nidentifier = \"urn:b\"\nscopes = [\"read\"]\n";
    let without_default = World::with(config, &[]).await;
    assert_eq!(without_default.browser().ask(&[]).await.shown_error(), "invalid_target");
}

#[tokio::test]
async fn oidc_aut_17_unknown_scopes_are_dropped_and_others_clients_scopes_refused() {
    let narrow = json!({"client_id": "narrow", "redirect_uris": [CALLBACK], "scope": "read"});
    let world = World::with_clients(&[narrow]).await;
    let answer = world.browser().allow(&[("scope", "unknown write other read")]).await;
    assert_eq!(world.code(answer.get("code")).await.scope, ["write", "read"]);
    for (client_id, scope) in [("app", "unknown"), ("app", "openid2 Read"), ("narrow", "read write")] {
        let page = world.browser().ask(&[("client_id", client_id), ("scope", scope)]).await;
        assert_eq!(page.shown_error(), "invalid_scope", "{client_id} {scope}");
    }
}

#[tokio::test]
async fn oidc_aut_19_a_registered_query_is_kept_and_added_to() {
    let with_query = json!({"client_id": "q", "redirect_uris": ["https://app.example/cb?a=b%20c"]});
    let world = World::with_clients(&[with_query]).await;
    let registered = ("redirect_uri", "https://app.example/cb?a=b%20c");
    let mut browser = world.browser();
    let page = browser.reach_consent(&[("client_id", "q"), registered]).await;
    let answer = browser.press(&page, "allow").await;
    assert!(answer.location().starts_with("https://app.example/cb?a=b%20c&code="), "{}", answer.location());
    for bad in
        ["https://app.example/cb", "https://app.example/cb?a=b%20c&x=1", "https://app.example/cb?a=b+c"]
    {
        let page = world.browser().ask(&[("client_id", "q"), ("redirect_uri", bad)]).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn fapi_az_10_consent_shows_who_asks_and_for_what() {
    let world = World::open().await;
    let page = world.browser().reach_consent(&[("scope", "read write")]).await;
    for shown in ["The App", "app.example", "read", "write"] {
        assert!(page.has(shown), "{shown}: {}", page.body);
    }
    let less = world.browser().reach_consent(&[("scope", "read")]).await;
    assert!(!less.has("write"), "{}", less.body);
}

#[tokio::test]
async fn bcp_red_03_redirects_to_clients_end_with_a_fragment_of_their_own() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[]).await;
    let good = browser.press(&page, "allow").await;
    let faulty = browser.ask(&[("scope", "unknown")]).await;
    let silent = world.browser().ask(&[("prompt", "none")]).await;
    for page in [good, faulty, silent] {
        let location = page.location();
        assert!(location.starts_with(CALLBACK) && location.ends_with("#_"), "{location}");
        assert_eq!(location.matches('#').count(), 1, "{location}");
    }
}
